//! NEON of ARMv8.0 (Cortex-A53): four registers have four elements of the sixteen rows of a tile.
//!
//! Targets without an operating system are built for strict alignment, where a load that may be
//! misaligned becomes sixteen loads of a byte. So the weights are read as [`Quad`]s, which are aligned;
//! the arena gives them a cache line of their own.

use super::scalar::{Attention, LANES as LANES_OF_A_SUM, finite, softmax_numerators};
use super::tiles::{self, Format, TILE, four};
use crate::quantize::ActivationQ8;
use core::arch::aarch64::*;
use half::f16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Rows in a register.
const LANES: usize = 4;

/// Tokens that share a pass over the weights.
const TOKENS: usize = 4;

/// The bytes of a register. A tile's block is a whole number of them: two with scales, then four for each
/// chunk.
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
struct Quad([u8; 16]);

/// Four floats that lie together.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
struct Four([f32; 4]);

/// As [`Attention::run`] for keys and values in f16, where heads are whole groups of lanes.
#[target_feature(enable = "neon")]
pub(super) fn attend(attention: Attention<'_>, keys: &[f16], values: &[f16]) {
    // Two registers of f16 and four of floats for sixteen lanes.
    let (Ok(key_quads), Ok(value_quads), Ok(query), true) = (
        <[Quad]>::ref_from_bytes(keys.as_bytes()),
        <[Quad]>::ref_from_bytes(values.as_bytes()),
        <[Four]>::ref_from_bytes(attention.query.as_bytes()),
        attention.head_size.is_multiple_of(LANES_OF_A_SUM),
    ) else {
        let widen = |x: &[f16; LANES_OF_A_SUM]| core::array::from_fn(|lane| finite(x[lane]));
        return attention.run(keys, values, widen, finite);
    };
    let Attention {
        heads,
        kv_heads,
        head_size,
        attended,
        scores,
        ..
    } = attention;
    let quads = head_size / 8;
    let row = kv_heads * quads;
    let scale = 1.0 / libm::sqrtf(head_size as f32);
    let outputs = attended.chunks_exact_mut(head_size);
    let queries = query
        .as_chunks::<4>()
        .0
        .chunks_exact(head_size / LANES_OF_A_SUM);
    for (head, (query, out)) in queries.zip(outputs).enumerate() {
        let start = head * kv_heads / heads * quads;
        for (score, key) in scores.iter_mut().zip(key_quads.chunks_exact(row)) {
            let key = key[start..start + quads].as_chunks::<2>().0;
            let mut lanes = [vdupq_n_f32(0.0); 4];
            for (query, key) in query.iter().zip(key) {
                let ([k0, k1], [k2, k3]) = (floats(&key[0]), floats(&key[1]));
                for ((lane, q), k) in lanes.iter_mut().zip(query).zip([k0, k1, k2, k3]) {
                    *lane = vaddq_f32(*lane, vmulq_f32(four_floats(q), k));
                }
            }
            *score = fold(lanes) * scale;
        }
        let sum = softmax_numerators(scores);
        for (chunk, out) in out
            .as_chunks_mut::<LANES_OF_A_SUM>()
            .0
            .iter_mut()
            .enumerate()
        {
            let at = start + 2 * chunk;
            let mut lanes = [vdupq_n_f32(0.0); 4];
            for (&p, value) in scores.iter().zip(value_quads.chunks_exact(row)) {
                let ([v0, v1], [v2, v3]) = (floats(&value[at]), floats(&value[at + 1]));
                for (lane, v) in lanes.iter_mut().zip([v0, v1, v2, v3]) {
                    *lane = vaddq_f32(*lane, vmulq_n_f32(v, p));
                }
            }
            let sum = vdupq_n_f32(sum);
            for (lane, out) in lanes.into_iter().zip(out.as_chunks_mut::<LANES>().0) {
                let quotient = vdivq_f32(lane, sum);
                // SAFETY: four floats, borrowed.
                unsafe { vst1q_f32(out.as_mut_ptr(), quotient) }
            }
        }
    }
}

/// The lanes of a sum, folded 8, 4, 2, 1.
#[target_feature(enable = "neon")]
fn fold(lanes: [float32x4_t; 4]) -> f32 {
    let [a, b, c, d] = lanes;
    let four = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
    let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
}

#[target_feature(enable = "neon")]
fn four_floats(four: &Four) -> float32x4_t {
    // SAFETY: both are four floats without padding.
    unsafe { core::mem::transmute::<Four, float32x4_t>(*four) }
}

/// As [`super::scalar::matmul_small`] for tiles.
#[target_feature(enable = "neon")]
pub(super) fn matmul(format: Format, w: &[u8], blocks: usize, x: &[ActivationQ8], out: &mut [f32]) {
    let rows = w.len() / (format.block_bytes() * blocks);
    let Ok(quads) = <[Quad]>::ref_from_bytes(w) else {
        return tiles::matmul(format, w, blocks, x, out);
    };
    let x = x.chunks(blocks * TOKENS);
    for (x, out) in x.zip(out.chunks_mut(rows * TOKENS)) {
        match (format, x.len() / blocks) {
            (Format::Q8_0, 4) => pass::<4, true>(quads, blocks, x, out, rows),
            (Format::Q8_0, 3) => pass::<3, true>(quads, blocks, x, out, rows),
            (Format::Q8_0, 2) => pass::<2, true>(quads, blocks, x, out, rows),
            (Format::Q8_0, _) => pass::<1, true>(quads, blocks, x, out, rows),
            (Format::Q4_0, 4) => pass::<4, false>(quads, blocks, x, out, rows),
            (Format::Q4_0, 3) => pass::<3, false>(quads, blocks, x, out, rows),
            (Format::Q4_0, 2) => pass::<2, false>(quads, blocks, x, out, rows),
            (Format::Q4_0, _) => pass::<1, false>(quads, blocks, x, out, rows),
        }
    }
}

/// `T` tokens. `BYTES`: Q8_0, else Q4_0.
#[target_feature(enable = "neon")]
fn pass<const T: usize, const BYTES: bool>(
    w: &[Quad],
    blocks: usize,
    x: &[ActivationQ8],
    out: &mut [f32],
    rows: usize,
) {
    let format = if BYTES { Format::Q8_0 } else { Format::Q4_0 };
    let quads = format.tile_bytes() / size_of::<Quad>();
    for (index, tile) in w.chunks_exact(quads * blocks).enumerate() {
        let mut sums = [[vdupq_n_f32(0.0); TILE / LANES]; T];
        for (b, block) in tile.chunks_exact(quads).enumerate() {
            let (scales, chunks) = block.split_at(2);
            let [first, second] = [floats(&scales[0]), floats(&scales[1])];
            let scales = [first[0], first[1], second[0], second[1]];
            let chunks = chunks.as_chunks::<4>().0;
            for (t, sums) in sums.iter_mut().enumerate() {
                let x = &x[t * blocks + b];
                // They stay in registers for all sixteen rows.
                let fours: [int8x16_t; 8] = core::array::from_fn(|c| four_times(&x.q, c));
                for (quarter, (sum, scale)) in sums.iter_mut().zip(scales).enumerate() {
                    let dot = if BYTES {
                        dot_bytes(chunks, quarter, &fours)
                    } else {
                        dot_nibbles(chunks, quarter, &fours)
                    };
                    let scale = vmulq_n_f32(scale, x.d);
                    *sum = vaddq_f32(*sum, vmulq_f32(vcvtq_f32_s32(dot), scale));
                }
            }
        }
        for (t, sums) in sums.into_iter().enumerate() {
            let at = t * rows + index * TILE;
            if let Some(out) = out
                .get_mut(at..)
                .and_then(|out| out.first_chunk_mut::<TILE>())
            {
                for (out, sum) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(sums) {
                    // SAFETY: four floats, borrowed.
                    unsafe { vst1q_f32(out.as_mut_ptr(), sum) }
                }
            }
        }
    }
}

/// Exact products of four rows: each register of weights has four elements of four rows, `x` the same
/// four four times. Two products fit 16 bits: 2 · 128 · 127.
#[target_feature(enable = "neon")]
fn dot_bytes(chunks: &[[Quad; 4]], quarter: usize, x: &[int8x16_t; 8]) -> int32x4_t {
    let (mut rows_01, mut rows_23) = (vdupq_n_s32(0), vdupq_n_s32(0));
    let pairs = chunks.as_chunks::<2>().0.iter();
    for (chunks, x) in pairs.zip(x.as_chunks::<2>().0) {
        let [w0, w1] = [load(&chunks[0][quarter]), load(&chunks[1][quarter])];
        let low = vmull_s8(vget_low_s8(w0), vget_low_s8(x[0]));
        let low = vmlal_s8(low, vget_low_s8(w1), vget_low_s8(x[1]));
        let high = vmlal_high_s8(vmull_high_s8(w0, x[0]), w1, x[1]);
        rows_01 = vpadalq_s16(rows_01, low);
        rows_23 = vpadalq_s16(rows_23, high);
    }
    vpaddq_s32(rows_01, rows_23)
}

/// As [`dot_bytes`]; eight products fit 16 bits: 8 · 8 · 127.
#[target_feature(enable = "neon")]
fn dot_nibbles(chunks: &[[Quad; 4]], quarter: usize, x: &[int8x16_t; 8]) -> int32x4_t {
    let (mut low_rows, mut high_rows) = (vdupq_n_s16(0), vdupq_n_s16(0));
    let (low_x, high_x) = x.split_at(4);
    for (chunk, (low_x, high_x)) in chunks.iter().zip(low_x.iter().zip(high_x)) {
        let packed = vreinterpretq_u8_s8(load(&chunk[quarter]));
        let eight = vdupq_n_s8(8);
        let low = vsubq_s8(vreinterpretq_s8_u8(vandq_u8(packed, vdupq_n_u8(15))), eight);
        let high = vsubq_s8(vreinterpretq_s8_u8(vshrq_n_u8::<4>(packed)), eight);
        for (w, x) in [(low, *low_x), (high, *high_x)] {
            low_rows = vmlal_s8(low_rows, vget_low_s8(w), vget_low_s8(x));
            high_rows = vmlal_high_s8(high_rows, w, x);
        }
    }
    vpaddq_s32(vpaddlq_s16(low_rows), vpaddlq_s16(high_rows))
}

/// The four activations that meet chunk `c`, four times.
#[target_feature(enable = "neon")]
fn four_times(x: &[i8; 32], c: usize) -> int8x16_t {
    vreinterpretq_s8_s32(vdupq_n_s32(four(x, c)))
}

#[target_feature(enable = "neon")]
fn load(quad: &Quad) -> int8x16_t {
    // SAFETY: both are sixteen bytes without padding, for which any bits are valid.
    unsafe { core::mem::transmute::<Quad, int8x16_t>(*quad) }
}

/// Eight finite f16 as f32: exponent and mantissa are moved into place and multiplied by 2¹¹², which is
/// exact, also for subnormals.
#[target_feature(enable = "neon")]
fn floats(scales: &Quad) -> [float32x4_t; 2] {
    let scales = vreinterpretq_u16_s8(load(scales));
    [vget_low_u16(scales), vget_high_u16(scales)].map(|scales| {
        let bits = vmovl_u16(scales);
        let magnitude = vshlq_n_u32::<13>(vandq_u32(bits, vdupq_n_u32(0x7FFF)));
        let sign = vshlq_n_u32::<16>(vandq_u32(bits, vdupq_n_u32(0x8000)));
        // 2¹¹²
        let power = f32::from_bits((127 + 112) << 23);
        let magnitude = vmulq_n_f32(vreinterpretq_f32_u32(magnitude), power);
        vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(magnitude), sign))
    })
}

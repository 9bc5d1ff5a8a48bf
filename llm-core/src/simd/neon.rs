//! NEON of ARMv8.0 (Cortex-A53): four registers have four elements of the sixteen rows of a tile.
//!
//! Targets without an operating system are built for strict alignment, where a load that may be
//! misaligned becomes sixteen loads of a byte. So the weights are read as [`Quad`]s, which are aligned;
//! the arena gives them a cache line of their own.

use super::attention::{Attention, Eight, F16s, F32s, I8s, Isa, Query};
use super::tiles::{self, Format, TILE, four};
use crate::quantize::ActivationQ8;
use core::arch::aarch64::*;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Rows in a register.
const LANES: usize = 4;

/// Tokens that share a pass over the weights.
const TOKENS: usize = 4;

/// The bytes of a register. A tile's block is a whole number of them: two with scales, then four for each
/// chunk.
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
struct Quad([u8; 16]);

/// Attention for heads that are whole groups of lanes.
#[target_feature(enable = "neon")]
pub(super) fn attend(attention: Attention<'_>) {
    attention.run(Neon(()));
}

/// Made in functions alone that are compiled for the instruction set, and so are only called where the CPU
/// has it.
#[derive(Clone, Copy)]
struct Neon(());

impl Isa for Neon {
    type Floats = [float32x4_t; 4];
    const ACCUMULATORS: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { splat(x) }
    }

    #[inline(always)]
    fn load(self, x: &F32s) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { load(x) }
    }

    #[inline(always)]
    fn store(self, x: Self::Floats, to: &mut F32s) {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { store(x, to) }
    }

    #[inline(always)]
    fn halves(self, x: &F16s) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { halves(x) }
    }

    #[inline(always)]
    fn bytes(self, x: &I8s) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { bytes(x) }
    }

    #[inline(always)]
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { add(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { mul(a, b) }
    }

    #[inline(always)]
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { div(a, b) }
    }

    #[inline(always)]
    fn fold(self, x: Self::Floats) -> f32 {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { fold(x) }
    }

    #[inline(always)]
    fn dots(self, keys: &[[I8s; 4]], query: &Query<'_>) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { dots(keys, query) }
    }
}

#[target_feature(enable = "neon")]
#[inline]
fn splat(x: f32) -> [float32x4_t; 4] {
    [vdupq_n_f32(x); 4]
}

#[target_feature(enable = "neon")]
#[inline]
fn load(x: &F32s) -> [float32x4_t; 4] {
    // SAFETY: both are sixteen floats without padding.
    unsafe { core::mem::transmute::<F32s, [float32x4_t; 4]>(*x) }
}

#[target_feature(enable = "neon")]
#[inline]
fn store(x: [float32x4_t; 4], to: &mut F32s) {
    // SAFETY: both are sixteen floats without padding.
    *to = unsafe { core::mem::transmute::<[float32x4_t; 4], F32s>(x) };
}

#[target_feature(enable = "neon")]
#[inline]
fn halves([low, high]: &F16s) -> [float32x4_t; 4] {
    let [a, b] = eight(low);
    let [c, d] = eight(high);
    [a, b, c, d]
}

#[target_feature(enable = "neon")]
#[inline]
fn eight(x: &Eight) -> [float32x4_t; 2] {
    // SAFETY: both are sixteen bytes without padding, for which any bits are valid.
    floats(unsafe { core::mem::transmute::<Eight, uint16x8_t>(*x) })
}

#[target_feature(enable = "neon")]
#[inline]
fn sixteen(x: &I8s) -> int8x16_t {
    // SAFETY: both are sixteen bytes without padding, for which any bits are valid.
    unsafe { core::mem::transmute::<I8s, int8x16_t>(*x) }
}

#[target_feature(enable = "neon")]
#[inline]
fn bytes(x: &I8s) -> [float32x4_t; 4] {
    let x = sixteen(x);
    let (low, high) = (vmovl_s8(vget_low_s8(x)), vmovl_high_s8(x));
    [
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
        vcvtq_f32_s32(vmovl_high_s16(low)),
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
        vcvtq_f32_s32(vmovl_high_s16(high)),
    ]
}

#[target_feature(enable = "neon")]
#[inline]
fn add(a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
    [
        vaddq_f32(a[0], b[0]),
        vaddq_f32(a[1], b[1]),
        vaddq_f32(a[2], b[2]),
        vaddq_f32(a[3], b[3]),
    ]
}

#[target_feature(enable = "neon")]
#[inline]
fn mul(a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
    [
        vmulq_f32(a[0], b[0]),
        vmulq_f32(a[1], b[1]),
        vmulq_f32(a[2], b[2]),
        vmulq_f32(a[3], b[3]),
    ]
}

#[target_feature(enable = "neon")]
#[inline]
fn div(a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
    [
        vdivq_f32(a[0], b[0]),
        vdivq_f32(a[1], b[1]),
        vdivq_f32(a[2], b[2]),
        vdivq_f32(a[3], b[3]),
    ]
}

#[target_feature(enable = "neon")]
#[inline]
fn fold([a, b, c, d]: [float32x4_t; 4]) -> f32 {
    let four = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
    let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
}

#[target_feature(enable = "neon")]
#[inline]
fn dots(keys: &[[I8s; 4]], query: &Query<'_>) -> [float32x4_t; 4] {
    let mut low = [vdupq_n_s32(0); 4];
    let mut high = [vdupq_n_s32(0); 4];
    let pairs = keys.as_chunks::<2>().0.iter();
    for (keys, q) in pairs.zip(query.q.as_chunks::<2>().0) {
        let q = [
            vreinterpretq_s8_s32(vdupq_n_s32(i32::from_le_bytes(q[0].map(|q| q as u8)))),
            vreinterpretq_s8_s32(vdupq_n_s32(i32::from_le_bytes(q[1].map(|q| q as u8)))),
        ];
        for quarter in 0..4 {
            let k = [sixteen(&keys[0][quarter]), sixteen(&keys[1][quarter])];
            // Two products fit 16 bits.
            let products = vmull_s8(vget_low_s8(k[0]), vget_low_s8(q[0]));
            let products = vmlal_s8(products, vget_low_s8(k[1]), vget_low_s8(q[1]));
            low[quarter] = vpadalq_s16(low[quarter], products);
            let products = vmlal_high_s8(vmull_high_s8(k[0], q[0]), k[1], q[1]);
            high[quarter] = vpadalq_s16(high[quarter], products);
        }
    }
    let mut dots = splat(0.0);
    for (dot, (low, high)) in dots.iter_mut().zip(low.into_iter().zip(high)) {
        *dot = vcvtq_f32_s32(vpaddq_s32(low, high));
    }
    dots
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
            let first = floats(vreinterpretq_u16_s8(quad(&scales[0])));
            let second = floats(vreinterpretq_u16_s8(quad(&scales[1])));
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
        let [w0, w1] = [quad(&chunks[0][quarter]), quad(&chunks[1][quarter])];
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
        let packed = vreinterpretq_u8_s8(quad(&chunk[quarter]));
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
fn quad(quad: &Quad) -> int8x16_t {
    // SAFETY: both are sixteen bytes without padding, for which any bits are valid.
    unsafe { core::mem::transmute::<Quad, int8x16_t>(*quad) }
}

/// Eight finite f16 as f32: exponent and mantissa are moved into place and multiplied by 2¹¹², which is
/// exact, also for subnormals.
#[target_feature(enable = "neon")]
fn floats(scales: uint16x8_t) -> [float32x4_t; 2] {
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

//! NEON of ARMv8.0 (Cortex-A53): four registers have four elements of the sixteen rows of a tile.
//!
//! Targets without an operating system are built for strict alignment, where a load that may be
//! misaligned becomes sixteen loads of a byte. So the weights are read as [`Quad`]s, which are aligned;
//! the arena gives them a cache line of their own.

use super::attention::{Attention, Eight, F16s, F32s, I8s, Isa, Vector};
use super::tiles::{self, Format, PACKED_SCALES, TILE, tokens_of, unpack_scales};
use crate::quantize::{ActivationQ8, ActivationQ8K};
use core::arch::aarch64::*;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Rows in a register.
const LANES: usize = 4;

/// The bytes of a register. A tile's block is a whole number of them: two with scales, then four for each
/// chunk.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
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
    fn max(self, x: Self::Floats) -> f32 {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { max(x) }
    }

    #[inline(always)]
    fn round(self, x: Self::Floats) -> [u8; 16] {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { round(x) }
    }

    #[inline(always)]
    fn dots<const H: usize>(
        self,
        chunks: &[[I8s; 4]],
        vectors: &[Vector<'_>; H],
    ) -> [Self::Floats; H] {
        // The registers hold the sums of one vector.
        // SAFETY: the value says that the CPU has the instructions.
        vectors.map(|vector| unsafe { dots(chunks, vector) })
    }

    #[inline(always)]
    fn weigh<const H: usize>(
        self,
        chunks: &[[I8s; 4]; 4],
        weights: &[[u8; 16]; H],
    ) -> [Self::Floats; H] {
        // SAFETY: the value says that the CPU has the instructions.
        weights.map(|weights| unsafe { weigh(chunks, &weights) })
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
fn dots(chunks: &[[I8s; 4]], vector: Vector<'_>) -> [float32x4_t; 4] {
    let mut low = [vdupq_n_s32(0); 4];
    let mut high = [vdupq_n_s32(0); 4];
    let pairs = chunks.as_chunks::<2>().0.iter();
    for (keys, q) in pairs.zip(vector.q.as_chunks::<2>().0) {
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

#[target_feature(enable = "neon")]
#[inline]
fn max([a, b, c, d]: [float32x4_t; 4]) -> f32 {
    vmaxvq_f32(vmaxq_f32(vmaxq_f32(a, b), vmaxq_f32(c, d)))
}

#[target_feature(enable = "neon")]
#[inline]
fn round([a, b, c, d]: [float32x4_t; 4]) -> [u8; 16] {
    let low = vcombine_s16(vmovn_s32(vcvtnq_s32_f32(a)), vmovn_s32(vcvtnq_s32_f32(b)));
    let high = vcombine_s16(vmovn_s32(vcvtnq_s32_f32(c)), vmovn_s32(vcvtnq_s32_f32(d)));
    let bytes = vcombine_s8(vmovn_s16(low), vmovn_s16(high));
    // SAFETY: both are sixteen bytes without padding, for which any bits are valid.
    unsafe { core::mem::transmute::<int8x16_t, [u8; 16]>(bytes) }
}

#[target_feature(enable = "neon")]
#[inline]
fn weigh(chunks: &[[I8s; 4]; 4], weights: &[u8; 16]) -> [float32x4_t; 4] {
    let q = weights.map(|weight| weight as i8);
    let vector = Vector {
        q: q.as_chunks().0,
        sum: 0,
    };
    dots(chunks, vector)
}

/// As [`super::scalar::matmul_small`] for tiles of Q8_0, or of Q4_0. `DOT`: with SDOT.
///
/// # Safety
/// `DOT`: the CPU has it.
#[target_feature(enable = "neon")]
pub(super) unsafe fn matmul_small<const BYTES: bool, const DOT: bool>(
    w: &[u8],
    blocks: usize,
    mut x: &[ActivationQ8],
    out: &mut [f32],
) {
    let format = if BYTES { Format::Q8_0 } else { Format::Q4_0 };
    let rows = out.len() * blocks / x.len();
    let (Ok(w), Ok(mut out)) = (
        <[Quad]>::ref_from_bytes(w),
        <[F32s]>::mut_from_bytes(out.as_mut_bytes()),
    ) else {
        return tiles::matmul_small(format, w, blocks, x, out);
    };
    let rows = rows / TILE;
    while !x.is_empty() {
        let tokens = tokens_of(x.len() / blocks, 4);
        let (here, later) = out.split_at_mut(tokens * rows);
        // SAFETY: as the caller says.
        unsafe {
            match tokens {
                4 => small::<4, BYTES, DOT>(w, blocks, x, here),
                2 => small::<2, BYTES, DOT>(w, blocks, x, here),
                _ => small::<1, BYTES, DOT>(w, blocks, x, here),
            }
        }
        x = &x[tokens * blocks..];
        out = later;
    }
}

/// `T` tokens.
///
/// # Safety
/// `DOT`: the CPU has it.
#[target_feature(enable = "neon")]
unsafe fn small<const T: usize, const BYTES: bool, const DOT: bool>(
    w: &[Quad],
    blocks: usize,
    x: &[ActivationQ8],
    out: &mut [F32s],
) {
    let format = if BYTES { Format::Q8_0 } else { Format::Q4_0 };
    let quads = format.tile_bytes() / size_of::<Quad>();
    let rows = out.len() / T;
    for (index, tile) in w.chunks_exact(quads * blocks).enumerate() {
        let mut sums = [[vdupq_n_f32(0.0); TILE / LANES]; T];
        for (b, block) in tile.chunks_exact(quads).enumerate() {
            let (scales, chunks) = block.split_at(2);
            let scales = scales_of(scales);
            let chunks = chunks.as_chunks::<4>().0;
            for (t, sums) in sums.iter_mut().enumerate() {
                let x = &x[t * blocks + b];
                // They stay in registers for all sixteen rows.
                let quads: &[Quad; 3] = zerocopy::transmute_ref!(x);
                let [low, high] = broadcast(&quads[..2]);
                let surplus = vdupq_n_s32(if BYTES { 0 } else { -8 * x.sum });
                for (quarter, (sum, scale)) in sums.iter_mut().zip(scales).enumerate() {
                    // SAFETY: as the caller says.
                    let dot = unsafe {
                        match BYTES {
                            true => bytes_dot::<DOT>(surplus, chunks, quarter, low, high),
                            false => {
                                let dot = nibbles_dot::<DOT, false>(surplus, chunks, quarter, low);
                                nibbles_dot::<DOT, true>(dot, chunks, quarter, high)
                            }
                        }
                    };
                    let scale = vmulq_n_f32(scale, x.d);
                    *sum = vaddq_f32(*sum, vmulq_f32(vcvtq_f32_s32(dot), scale));
                }
            }
        }
        write(&sums, out, rows, index);
    }
}

/// As [`super::scalar::matmul_super`] for tiles of Q4_K. `DOT`: with SDOT.
///
/// # Safety
/// `DOT`: the CPU has it.
#[target_feature(enable = "neon")]
pub(super) unsafe fn matmul_super<const DOT: bool>(
    w: &[u8],
    blocks: usize,
    x: &[ActivationQ8K],
    out: &mut [f32],
) {
    let rows = out.len() * blocks / x.len();
    let (Ok(w), Ok(out)) = (
        <[Quad]>::ref_from_bytes(w),
        <[F32s]>::mut_from_bytes(out.as_mut_bytes()),
    ) else {
        return tiles::matmul_super(w, blocks, x, out);
    };
    let rows = rows / TILE;
    let quads = Format::Q4K.tile_bytes() / size_of::<Quad>();
    for (x, out) in x.chunks_exact(blocks).zip(out.chunks_exact_mut(rows)) {
        for (index, tile) in w.chunks_exact(quads * blocks).enumerate() {
            let mut sums = [[vdupq_n_f32(0.0); TILE / LANES]];
            for (x, block) in x.iter().zip(tile.chunks_exact(quads)) {
                // SAFETY: as the caller says.
                unsafe { q4_k::<DOT>(block, x, &mut sums[0]) }
            }
            write(&sums, out, rows, index);
        }
    }
}

/// Adds a block's products with one token.
///
/// # Safety
/// `DOT`: the CPU has it.
#[target_feature(enable = "neon")]
unsafe fn q4_k<const DOT: bool>(
    block: &[Quad],
    x: &ActivationQ8K,
    sums: &mut [float32x4_t; TILE / LANES],
) {
    let (d, rest) = block.split_at(2);
    let (d_min, rest) = rest.split_at(2);
    let (packed, chunks) = rest.split_at(PACKED_SCALES);
    let mut packed_bytes = [[0; TILE]; PACKED_SCALES];
    for (to, from) in packed_bytes.iter_mut().zip(packed) {
        *to = from.0;
    }
    let [scales, minima] = unpack_scales(&packed_bytes);
    let mut totals = [vdupq_n_s32(0); TILE / LANES];
    let mut minimum = [vdupq_n_s32(0); TILE / LANES];
    // A byte has an element of a group of 32 and one of the next.
    let quads: &[Quad; 19] = zerocopy::transmute_ref!(x);
    let pairs = chunks.as_chunks::<4>().0.as_chunks::<8>().0.iter();
    for (pair, (chunks, x_q)) in pairs.zip(quads.as_chunks::<4>().0).enumerate() {
        for (half, x_q) in x_q.chunks(2).enumerate() {
            let group = 2 * pair + half;
            let [first, second] = broadcast(x_q);
            let (scale, least) = (widen(&scales[group]), widen(&minima[group]));
            let sum = i32::from(x.sums[2 * group]) + i32::from(x.sums[2 * group + 1]);
            for quarter in 0..TILE / LANES {
                let zero = vdupq_n_s32(0);
                let (front, back) = chunks.split_at(4);
                // SAFETY: as the caller says.
                let dot = unsafe {
                    match half {
                        0 => {
                            let dot = nibbles_dot::<DOT, false>(zero, front, quarter, first);
                            nibbles_dot::<DOT, false>(dot, back, quarter, second)
                        }
                        _ => {
                            let dot = nibbles_dot::<DOT, true>(zero, front, quarter, first);
                            nibbles_dot::<DOT, true>(dot, back, quarter, second)
                        }
                    }
                };
                totals[quarter] = vmlaq_s32(totals[quarter], dot, scale[quarter]);
                minimum[quarter] = vmlaq_n_s32(minimum[quarter], least[quarter], sum);
            }
        }
    }
    let (d, d_min) = (scales_of(d), scales_of(d_min));
    for (quarter, total) in sums.iter_mut().enumerate() {
        let product = vcvtq_f32_s32(totals[quarter]);
        let product = vmulq_f32(product, vmulq_n_f32(d[quarter], x.d));
        let least = vcvtq_f32_s32(minimum[quarter]);
        let least = vmulq_f32(least, vmulq_n_f32(d_min[quarter], x.d));
        *total = vaddq_f32(*total, vsubq_f32(product, least));
    }
}

/// Puts the sums of a tile's rows where they belong.
#[target_feature(enable = "neon")]
fn write<const T: usize>(
    sums: &[[float32x4_t; TILE / LANES]; T],
    out: &mut [F32s],
    rows: usize,
    index: usize,
) {
    for (sums, out) in sums.iter().zip(out.chunks_exact_mut(rows)) {
        if let Some(out) = out.get_mut(index) {
            store(*sums, out);
        }
    }
}

/// The chunks of 32 activations, each four times.
#[target_feature(enable = "neon")]
fn broadcast(x: &[Quad]) -> [[int8x16_t; 4]; 2] {
    let mut chunks = [[vdupq_n_s8(0); 4]; 2];
    for (x, chunks) in x.iter().zip(&mut chunks) {
        let x = vreinterpretq_s32_s8(quad(x));
        let four_times = [
            vdupq_laneq_s32::<0>(x),
            vdupq_laneq_s32::<1>(x),
            vdupq_laneq_s32::<2>(x),
            vdupq_laneq_s32::<3>(x),
        ];
        for (chunk, x) in chunks.iter_mut().zip(four_times) {
            *chunk = opaque(vreinterpretq_s8_s32(x));
        }
    }
    chunks
}

/// The same, but the compiler does not see that it is a broadcast: it would take the halves of its factor
/// apart with an instruction each.
#[target_feature(enable = "neon")]
fn opaque(mut x: int8x16_t) -> int8x16_t {
    // SAFETY: no instruction.
    unsafe {
        core::arch::asm!("/* {0:v} */", inout(vreg) x, options(pure, nomem, nostack, preserves_flags));
    }
    x
}

/// `dot` and the exact products of four rows: each register of weights has four elements of four rows. Two
/// products fit 16 bits: 2 · 128 · 127.
///
/// # Safety
/// `DOT`: the CPU has SDOT.
#[target_feature(enable = "neon")]
unsafe fn bytes_dot<const DOT: bool>(
    mut dot: int32x4_t,
    chunks: &[[Quad; 4]],
    quarter: usize,
    low: [int8x16_t; 4],
    high: [int8x16_t; 4],
) -> int32x4_t {
    let x = [
        low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3],
    ];
    if DOT {
        for (chunk, x) in chunks.iter().zip(x) {
            // SAFETY: as the caller says.
            dot = unsafe { sdot(dot, quad(&chunk[quarter]), x) };
        }
        return dot;
    }
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
    vaddq_s32(dot, vpaddq_s32(rows_01, rows_23))
}

/// `dot` and the exact products of the low or the high nibbles of four chunks. Four products fit 16 bits:
/// 4 · 15 · 127.
///
/// # Safety
/// `DOT`: the CPU has SDOT.
#[target_feature(enable = "neon")]
unsafe fn nibbles_dot<const DOT: bool, const HIGH: bool>(
    mut dot: int32x4_t,
    chunks: &[[Quad; 4]],
    quarter: usize,
    x: [int8x16_t; 4],
) -> int32x4_t {
    let (mut rows_01, mut rows_23) = (vdupq_n_s16(0), vdupq_n_s16(0));
    for (chunk, x) in chunks.iter().zip(x) {
        let w = vreinterpretq_u8_s8(quad(&chunk[quarter]));
        let w = match HIGH {
            true => vshrq_n_u8::<4>(w),
            false => vandq_u8(w, vdupq_n_u8(15)),
        };
        let w = vreinterpretq_s8_u8(w);
        if DOT {
            // SAFETY: as the caller says.
            dot = unsafe { sdot(dot, w, x) };
        } else {
            rows_01 = vmlal_s8(rows_01, vget_low_s8(w), vget_low_s8(x));
            rows_23 = vmlal_high_s8(rows_23, w, x);
        }
    }
    if DOT {
        return dot;
    }
    vaddq_s32(dot, vpaddq_s32(vpaddlq_s16(rows_01), vpaddlq_s16(rows_23)))
}

/// `sum` and four products for each of four lanes. The intrinsic is not stable.
///
/// # Safety
/// The CPU has SDOT.
#[target_feature(enable = "neon")]
unsafe fn sdot(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: registers alone; the caller says that the CPU has the instruction.
    unsafe {
        core::arch::asm!(
            ".arch_extension dotprod",
            "sdot {0:v}.4s, {1:v}.16b, {2:v}.16b",
            inout(vreg) sum, in(vreg) a, in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

/// Sixteen bytes as integers.
#[target_feature(enable = "neon")]
fn widen(bytes: &[u8; TILE]) -> [int32x4_t; 4] {
    let bytes = vreinterpretq_u8_s8(quad(&Quad(*bytes)));
    let (low, high) = (vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes));
    [
        vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low))),
        vreinterpretq_s32_u32(vmovl_high_u16(low)),
        vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high))),
        vreinterpretq_s32_u32(vmovl_high_u16(high)),
    ]
}

/// Sixteen f16, which are finite.
#[target_feature(enable = "neon")]
fn scales_of(quads: &[Quad]) -> [float32x4_t; 4] {
    let [a, b] = floats(vreinterpretq_u16_s8(quad(&quads[0])));
    let [c, d] = floats(vreinterpretq_u16_s8(quad(&quads[1])));
    [a, b, c, d]
}

#[target_feature(enable = "neon")]
fn quad(quad: &Quad) -> int8x16_t {
    // SAFETY: both are sixteen bytes without padding, for which any bits are valid.
    unsafe { core::mem::transmute::<Quad, int8x16_t>(*quad) }
}

/// Eight f16 as f32. The type of the intrinsic is not stable; FPCR is 0, which is IEEE's conversion.
#[target_feature(enable = "neon")]
fn floats(halves: uint16x8_t) -> [float32x4_t; 2] {
    let (low, high);
    // SAFETY: registers alone, with instructions that every NEON has.
    unsafe {
        core::arch::asm!(
            "fcvtl {1:v}.4s, {0:v}.4h",
            "fcvtl2 {2:v}.4s, {0:v}.8h",
            in(vreg) halves, out(vreg) low, lateout(vreg) high,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    [low, high]
}

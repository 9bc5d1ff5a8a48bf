//! NEON of ARMv8.0 (Cortex-A53), and with SDOT: four registers hold four elements of the sixteen rows of a tile.
//!
//! It multiplies signed bytes by signed ones. Without SDOT, products are added in 16 bits, which must not overflow.
//! Targets without an operating system are built for strict alignment, so every load is aligned.

mod lanes;
mod products;

use super::adapter::Half;
use super::attention::Attention;
use super::backward::Spread;
use super::isa::{Registers, instructions};
use super::lanes::Four;
use super::matrix::{Tiles, for_tokens};
use crate::outputs::Outputs;
use crate::quantize::blocks::{FloatType, SmallBlock, SuperBlock};
use crate::quantize::{ActivationQ8, ActivationQ8K, Quad};
use core::arch::aarch64::*;
use products::{finish, more_products, opaque, products, scaled, widen, widened};
use zerocopy::transmute;

/// Created only in functions that are called if the CPU has the instructions; with `DOT`, also SDOT.
#[derive(Clone, Copy)]
struct Neon<const DOT: bool>(());

/// Attention for heads that are whole groups of lanes.
#[target_feature(enable = "neon")]
pub(super) fn attend(attention: Attention<'_>) {
    attention.run(Neon::<false>(()));
}

/// Like [`Spread::run_scalar`].
#[target_feature(enable = "neon")]
pub(super) fn spread(spread: Spread<'_>) {
    spread.run::<_, 1>(Neon::<false>(()));
}

/// Like [`Half::down_scalar`].
#[target_feature(enable = "neon")]
pub(super) fn adapter_half_down(half: Half<'_>, x: &[f32], scale: f32, t: &mut [f32]) {
    half.down(Neon::<false>(()), x, scale, t);
}

/// Like [`Half::up_scalar`].
#[target_feature(enable = "neon")]
pub(super) fn adapter_half_up(half: Half<'_>, t: &[f32], y: &mut [f32]) {
    half.up(Neon::<false>(()), t, y);
}

/// Like [`crate::arithmetic::matmul_float`]. SDOT would not help.
#[target_feature(enable = "neon")]
pub(super) fn floats<F: FloatType, const DOT: bool>(
    w: Tiles<'_>,
    x: &[f32],
    out: &mut Outputs<'_>,
) {
    for_tokens!(floats::<F>(Neon::<false>(()), w, x, out) 2: 1 4; 1: 1 4);
}

/// Like [`crate::arithmetic::matmul_small`].
///
/// # Safety
/// `DOT`: the CPU has SDOT.
#[target_feature(enable = "neon")]
pub(super) unsafe fn small<F: SmallBlock, const DOT: bool>(
    w: Tiles<'_>,
    x: &[ActivationQ8],
    out: &mut Outputs<'_>,
) {
    for_tokens!(small::<F>(Neon::<DOT>(()), w, x, out) 2: 1 4; 1: 1 4);
}

/// Like [`crate::arithmetic::matmul_super`].
///
/// # Safety
/// `DOT`: the CPU has SDOT.
#[target_feature(enable = "neon")]
pub(super) unsafe fn large<F: SuperBlock, const DOT: bool>(
    w: Tiles<'_>,
    x: &[ActivationQ8K],
    out: &mut Outputs<'_>,
) {
    for_tokens!(large::<F>(Neon::<DOT>(()), w, x, out) 2: 1 4; 1: 1 4);
}

/// Shifts bytes by a compile-time distance.
macro_rules! shift {
    ($by:ident($x:expr, $distance:expr)) => {
        match $distance {
            1 => $by::<1>($x),
            2 => $by::<2>($x),
            3 => $by::<3>($x),
            4 => $by::<4>($x),
            5 => $by::<5>($x),
            6 => $by::<6>($x),
            7 => $by::<7>($x),
            _ => $x,
        }
    };
}

impl<const DOT: bool> Registers for Neon<DOT> {
    type Bytes = int8x16_t;
    type Splat = int8x16_t;
    /// Four 16-bit sums for each of two rows, twice; with SDOT, one 32-bit sum per row.
    type Partial = [int8x16_t; 2];
    /// Two sums for each of two rows, twice; with SDOT, one per row.
    type Wide = [int32x4_t; 2];
    type Ints = int32x4_t;
    type Floats = float32x4_t;
    type Scale = int32x4_t;
    type Pair = [int16x4_t; 2];

    const PARTS: usize = 4;
    const SURPLUS: i32 = 0;

    fn room(largest: i32) -> usize {
        match DOT {
            true => usize::MAX,
            false => (i16::MAX as usize) / (127 * largest as usize),
        }
    }

    #[inline(always)]
    fn first(self, w: int8x16_t, _: int8x16_t, x: int8x16_t, _: bool) -> [int8x16_t; 2] {
        // SAFETY: the value guarantees that the CPU has NEON, and with DOT also SDOT.
        unsafe { products::<DOT>(w, x) }
    }

    #[inline(always)]
    fn more(
        self,
        sum: [int8x16_t; 2],
        w: int8x16_t,
        _: int8x16_t,
        x: int8x16_t,
        _: bool,
    ) -> [int8x16_t; 2] {
        // SAFETY: the value guarantees that the CPU has NEON, and with DOT also SDOT.
        unsafe { more_products::<DOT>(sum, w, x) }
    }

    #[inline(always)]
    fn widen(self, sum: [int32x4_t; 2], partial: [int8x16_t; 2]) -> [int32x4_t; 2] {
        // SAFETY: the value guarantees that the CPU has NEON.
        unsafe { widen::<DOT>(sum, partial) }
    }

    #[inline(always)]
    fn finish(self, wide: [int32x4_t; 2]) -> int32x4_t {
        // SAFETY: the value guarantees that the CPU has NEON.
        unsafe { finish::<DOT>(wide) }
    }

    #[inline(always)]
    fn scaled(self, sum: int32x4_t, partial: [int8x16_t; 2], scale: int32x4_t) -> int32x4_t {
        // SAFETY: the value guarantees that the CPU has NEON.
        unsafe { scaled::<DOT>(sum, partial, scale) }
    }

    instructions! { "neon"
        fn no_partial() -> [int8x16_t; 2] {
            [vdupq_n_s8(0); 2]
        }

        fn no_wide() -> [int32x4_t; 2] {
            [vdupq_n_s32(0); 2]
        }

        fn no_ints() -> int32x4_t {
            vdupq_n_s32(0)
        }

        fn load(chunk: &[Quad; 4], part: usize) -> int8x16_t {
            transmute!(chunk[part])
        }

        fn field(x: int8x16_t, from: usize, bits: usize, to: usize) -> int8x16_t {
            if bits == 8 {
                return x;
            }
            let x = vreinterpretq_u8_s8(x);
            let moved = match from > to {
                true => shift!(vshrq_n_u8(x, from.abs_diff(to))),
                false => shift!(vshlq_n_u8(x, from.abs_diff(to))),
            };
            // Bits shifted to an end have no neighbours to mask off.
            let alone = match from > to {
                true => to == 0 && from + bits == 8,
                false => from == 0 && to + bits == 8,
            };
            vreinterpretq_s8_u8(match alone {
                true => moved,
                false => vandq_u8(moved, vdupq_n_u8(((1u16 << bits) - 1 << to) as u8)),
            })
        }

        fn or(a: int8x16_t, b: int8x16_t) -> int8x16_t {
            vorrq_s8(a, b)
        }

        fn digit(x: int8x16_t) -> int8x16_t {
            let x = vreinterpretq_u8_s8(x);
            let three_quarters = vhaddq_u8(x, vshrq_n_u8::<1>(x));
            vreinterpretq_s8_u8(vshrq_n_u8::<6>(three_quarters))
        }

        fn thrice(x: int8x16_t) -> int8x16_t {
            vaddq_s8(x, vaddq_s8(x, x))
        }

        fn lookup(table: &[i8; 16], x: int8x16_t) -> int8x16_t {
            vqtbl1q_s8(transmute!(*table), vreinterpretq_u8_s8(x))
        }

        fn magnitude(x: int8x16_t) -> int8x16_t {
            x
        }

        fn splat(x: &Quad, i: usize) -> int8x16_t {
            let x: int32x4_t = transmute!(*x);
            let x = match i {
                0 => vdupq_laneq_s32::<0>(x),
                1 => vdupq_laneq_s32::<1>(x),
                2 => vdupq_laneq_s32::<2>(x),
                _ => vdupq_laneq_s32::<3>(x),
            };
            opaque(vreinterpretq_s8_s32(x))
        }

        fn scale(scales: &Quad, part: usize) -> int32x4_t {
            let wide = widened(scales, part);
            vmovl_s16(wide)
        }

        fn pair(a: &Quad, b: &Quad, part: usize) -> [int16x4_t; 2] {
            [widened(a, part), widened(b, part)]
        }

        fn weigh(sum: int32x4_t, pair: [int16x4_t; 2], x: [i16; 2]) -> int32x4_t {
            vmlal_n_s16(vmlal_n_s16(sum, pair[0], x[0]), pair[1], x[1])
        }

        fn less(sum: int32x4_t, x: int32x4_t, factor: i32) -> int32x4_t {
            vsubq_s32(sum, vmulq_n_s32(x, factor))
        }

        fn splat_int(x: i32) -> int32x4_t {
            vdupq_n_s32(x)
        }

        fn to_floats(x: int32x4_t) -> float32x4_t {
            vcvtq_f32_s32(x)
        }

        fn f16s(x: &[Quad; 2], part: usize) -> float32x4_t {
            let x: [uint16x8_t; 2] = transmute!(*x);
            match part % 2 {
                0 => low_half(x[part / 2]),
                _ => high_half(x[part / 2]),
            }
        }

        fn bf16s(x: &[Quad; 2], part: usize) -> float32x4_t {
            let x: [uint16x8_t; 2] = transmute!(*x);
            let half = match part % 2 {
                0 => vget_low_u16(x[part / 2]),
                _ => vget_high_u16(x[part / 2]),
            };
            vreinterpretq_f32_u32(vshll_n_u16::<16>(half))
        }

        fn f32s(x: &[Quad; 4], part: usize) -> float32x4_t {
            transmute!(x[part])
        }

        fn put(x: float32x4_t, to: &mut [Quad; 4], part: usize) {
            to[part] = transmute!(x);
        }

        fn splat_float(x: f32) -> float32x4_t {
            vdupq_n_f32(x)
        }

        fn times(x: float32x4_t, by: &Four, i: usize) -> float32x4_t {
            let by: float32x4_t = transmute!(*by);
            match i {
                0 => vmulq_laneq_f32::<0>(x, by),
                1 => vmulq_laneq_f32::<1>(x, by),
                2 => vmulq_laneq_f32::<2>(x, by),
                _ => vmulq_laneq_f32::<3>(x, by),
            }
        }

        fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            vaddq_f32(a, b)
        }

        fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            vsubq_f32(a, b)
        }

        fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            vmulq_f32(a, b)
        }
    }
}

/// Eight f16 as f32.
#[target_feature(enable = "neon")]
#[inline]
fn eight(halves: uint16x8_t) -> [float32x4_t; 2] {
    [low_half(halves), high_half(halves)]
}

/// The lower four of eight f16 as f32. The intrinsic's type is not stable. FPCR is 0, so the conversion is IEEE's.
#[inline(always)]
fn low_half(halves: uint16x8_t) -> float32x4_t {
    let floats;
    // SAFETY: only registers are used, with an instruction that every NEON CPU has.
    unsafe {
        core::arch::asm!(
            "fcvtl {1:v}.4s, {0:v}.4h",
            in(vreg) halves, lateout(vreg) floats,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    floats
}

/// The upper four.
#[inline(always)]
fn high_half(halves: uint16x8_t) -> float32x4_t {
    let floats;
    // SAFETY: only registers are used, with an instruction that every NEON CPU has.
    unsafe {
        core::arch::asm!(
            "fcvtl2 {1:v}.4s, {0:v}.8h",
            in(vreg) halves, lateout(vreg) floats,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    floats
}

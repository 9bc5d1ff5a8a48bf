//! Products of signed bytes, without SDOT in 16 bits and with it in 32.

use crate::quantize::Quad;
use core::arch::aarch64::*;
use zerocopy::transmute;

/// Products of weights and activations.
///
/// # Safety
/// `DOT`: the CPU has SDOT.
#[target_feature(enable = "neon")]
#[inline]
pub(super) unsafe fn products<const DOT: bool>(w: int8x16_t, x: int8x16_t) -> [int8x16_t; 2] {
    if DOT {
        // SAFETY: guaranteed by the caller.
        let sum = unsafe { sdot(vdupq_n_s32(0), w, x) };
        return [vreinterpretq_s8_s32(sum), vdupq_n_s8(0)];
    }
    [
        vreinterpretq_s8_s16(vmull_s8(vget_low_s8(w), vget_low_s8(x))),
        vreinterpretq_s8_s16(vmull_high_s8(w, x)),
    ]
}

/// Adds such products to `sum`.
///
/// # Safety
/// `DOT`: the CPU has SDOT.
#[target_feature(enable = "neon")]
#[inline]
pub(super) unsafe fn more_products<const DOT: bool>(
    sum: [int8x16_t; 2],
    w: int8x16_t,
    x: int8x16_t,
) -> [int8x16_t; 2] {
    if DOT {
        // SAFETY: guaranteed by the caller.
        let sum = unsafe { sdot(vreinterpretq_s32_s8(sum[0]), w, x) };
        return [vreinterpretq_s8_s32(sum), vdupq_n_s8(0)];
    }
    let [low, high] = sum.map(|sum| vreinterpretq_s16_s8(sum));
    [
        vreinterpretq_s8_s16(vmlal_s8(low, vget_low_s8(w), vget_low_s8(x))),
        vreinterpretq_s8_s16(vmlal_high_s8(high, w, x)),
    ]
}

#[target_feature(enable = "neon")]
#[inline]
pub(super) fn widen<const DOT: bool>(
    sum: [int32x4_t; 2],
    partial: [int8x16_t; 2],
) -> [int32x4_t; 2] {
    match DOT {
        true => [vaddq_s32(sum[0], vreinterpretq_s32_s8(partial[0])), sum[1]],
        false => [
            vpadalq_s16(sum[0], vreinterpretq_s16_s8(partial[0])),
            vpadalq_s16(sum[1], vreinterpretq_s16_s8(partial[1])),
        ],
    }
}

#[target_feature(enable = "neon")]
#[inline]
pub(super) fn finish<const DOT: bool>(wide: [int32x4_t; 2]) -> int32x4_t {
    match DOT {
        true => wide[0],
        false => vpaddq_s32(wide[0], wide[1]),
    }
}

#[target_feature(enable = "neon")]
#[inline]
pub(super) fn scaled<const DOT: bool>(
    sum: int32x4_t,
    partial: [int8x16_t; 2],
    scale: int32x4_t,
) -> int32x4_t {
    if DOT {
        return vmlaq_s32(sum, vreinterpretq_s32_s8(partial[0]), scale);
    }
    let low = vpaddlq_s16(vreinterpretq_s16_s8(partial[0]));
    let high = vpaddlq_s16(vreinterpretq_s16_s8(partial[1]));
    vmlaq_s32(sum, vpaddq_s32(low, high), scale)
}

/// Four of sixteen bytes.
#[target_feature(enable = "neon")]
#[inline]
pub(super) fn widened(bytes: &Quad, part: usize) -> int16x4_t {
    let bytes: int8x16_t = transmute!(*bytes);
    let eight = match part / 2 {
        0 => vmovl_s8(vget_low_s8(bytes)),
        _ => vmovl_high_s8(bytes),
    };
    match part % 2 {
        0 => vget_low_s16(eight),
        _ => vget_high_s16(eight),
    }
}

/// The same, but hidden from the compiler as a broadcast: it would extract each half of the factor with a separate
/// instruction.
#[inline(always)]
pub(super) fn opaque(mut x: int8x16_t) -> int8x16_t {
    // SAFETY: the assembly contains no instruction.
    unsafe {
        core::arch::asm!("/* {0:v} */", inout(vreg) x, options(pure, nomem, nostack, preserves_flags));
    }
    x
}

/// Adds four products to each of the four lanes of `sum`. The intrinsic is not stable.
///
/// # Safety
/// The CPU has SDOT.
#[inline(always)]
unsafe fn sdot(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: only registers are used; the caller guarantees that the CPU has the instruction.
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

//! The loss, its gradient, and the update that follows.

use crate::arithmetic::{exp, max, sum_of};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Running state of softmax over logits that arrive a few at a time.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Peak {
    /// The largest so far.
    max: f32,
    /// Σ exp(x − max)
    sum: f32,
}

impl Peak {
    /// The state before any logit.
    pub(crate) const NONE: Self = Self {
        max: f32::MIN,
        sum: 0.0,
    };

    /// −log of a logit's probability.
    pub(crate) fn loss(&self, logit: f32) -> f64 {
        libm::log(f64::from(self.sum)) + (f64::from(self.max) - f64::from(logit))
    }
}

/// Adds more logits.
#[inline(always)]
pub(crate) fn softmax_more(peak: &mut Peak, logits: &[f32]) {
    let here = max(logits);
    let largest = if here > peak.max { here } else { peak.max };
    let more = sum_of(logits, logits, |x, _| exp(x - largest));
    peak.sum = peak.sum * exp(peak.max - largest) + more;
    peak.max = largest;
}

/// How logits were computed, and the weight of their loss.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LossBack {
    /// Softmax state over all logits of the token.
    pub(crate) peak: Peak,
    /// Factor for the token's loss.
    pub(crate) weight: f32,
    /// 1 / cap; 0 without a cap.
    pub(crate) inverse_cap: f32,
    /// Factor that the logits were multiplied by.
    pub(crate) scale: f32,
}

/// Turns logits into the gradients of their values before scale and cap, as if none were the target's.
#[inline(always)]
pub(crate) fn loss_back(logits: &mut [f32], of: &LossBack) {
    let LossBack {
        peak,
        weight,
        inverse_cap,
        scale,
    } = *of;
    for x in logits {
        let u = *x * inverse_cap;
        let slope = (1.0 - u * u) * scale;
        *x = exp(*x - peak.max) / peak.sum * weight * slope;
    }
}

/// The extra term for the target's logit: its gradient is smaller by this.
pub(crate) fn target_back(logit: f32, of: &LossBack) -> f32 {
    let u = logit * of.inverse_cap;
    of.weight * ((1.0 - u * u) * of.scale)
}

/// Parameters of an AdamW update (Loshchilov and Hutter, *Decoupled Weight Decay Regularization*, 2019).
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamW {
    /// Factor for gradients, at most 1.
    pub(crate) clip: f32,
    /// β for the mean and for the square.
    pub(crate) betas: [f32; 2],
    /// 1 / (1 − βⁿ) for both.
    pub(crate) corrections: [f32; 2],
    /// The learning rate.
    pub(crate) rate: f32,
    /// Added to the root.
    pub(crate) epsilon: f32,
    /// 1 − rate · decay.
    pub(crate) kept: f32,
}

/// 1 / √x to about 1 ulp for x from 10⁻³⁰ up; smaller ones count as 10⁻³⁰. It takes a first guess from the bits and
/// three steps of Newton's method, because the library's root would take most of the time of an update.
#[inline(always)]
fn inverse_root(x: f32) -> f32 {
    let x = if x < 1e-30 { 1e-30 } else { x };
    let mut y = f32::from_bits(0x5F37_59DF_u32.wrapping_sub(x.to_bits() >> 1));
    for _ in 0..4 {
        y *= 1.5 - 0.5 * x * y * y;
    }
    y
}

/// One update.
#[inline(always)]
pub(crate) fn adam_w(
    parameters: &mut [f32],
    gradients: &[f32],
    means: &mut [f32],
    squares: &mut [f32],
    by: &AdamW,
) {
    let [mean_kept, square_kept] = by.betas;
    let [mean_scale, square_scale] = by.corrections;
    let moments = means.iter_mut().zip(squares);
    for ((p, g), (mean, square)) in parameters.iter_mut().zip(gradients).zip(moments) {
        let g = *g * by.clip;
        *mean = *mean * mean_kept + g * (1.0 - mean_kept);
        *square = *square * square_kept + g * g * (1.0 - square_kept);
        let corrected = *square * square_scale;
        let root = corrected * inverse_root(corrected);
        *p = *p * by.kept - by.rate * (*mean * mean_scale) / (root + by.epsilon);
    }
}

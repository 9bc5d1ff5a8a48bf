//! Fits scales to groups of values, so that the dequantised integers are as near as possible.
//!
//! These are ggml's searches, with its roundings: see [`super`].

use super::{ZERO_GROUP, extreme, largest, nearest, range};
use crate::quantize::blocks::{BLOCK, GROUP};

/// Parameters of the search in [`fit_affine`].
#[derive(Clone, Copy)]
pub(in crate::quantize) struct Search {
    /// Largest integer.
    pub(in crate::quantize) max: i32,
    /// The trial roundings use `max` plus this first …
    pub(in crate::quantize) first: f32,
    /// … and then this many times more …
    pub(in crate::quantize) steps: u32,
    /// … plus this each time.
    pub(in crate::quantize) step: f32,
    /// Whether errors count by magnitude instead of squared.
    pub(in crate::quantize) absolute: bool,
}

impl Search {
    /// The finer search that ggml uses with an importance matrix.
    pub(in crate::quantize) const fn fine(max: i32) -> Self {
        Self {
            max,
            first: -0.9,
            steps: 36,
            step: 0.05,
            absolute: false,
        }
    }
}

/// Result of [`fit_affine`]: x is about scale · q − minimum.
#[derive(Clone, Copy)]
pub(in crate::quantize) struct Affine {
    pub(in crate::quantize) scale: f32,
    /// At least 0.
    pub(in crate::quantize) minimum: f32,
    /// The integers were (x − from) · inverse, rounded. They come from the best trial, and are not the nearest for its
    /// scale.
    inverse: f32,
    from: f32,
}

impl Affine {
    /// The integers.
    pub(in crate::quantize) fn levels<const N: usize>(&self, x: &[f32; N], max: i32) -> [u8; N] {
        x.map(|x| nearest(self.inverse * (x - self.from), 0, max) as u8)
    }
}

/// Finds the scale s and the minimum m (subtracted, at least 0) for which s · q − m with q in 0…max is nearest to `x`,
/// with weighted errors. ggml's `make_qkx2_quants` and `make_qkx3_quants`.
pub(in crate::quantize) fn fit_affine(x: &[f32], weights: &[f32], search: Search) -> Affine {
    let (min, max) = range(x);
    let mut min = if min > 0.0 { 0.0 } else { min };
    let mut best_trial = (0.0, min);
    if max <= min {
        return Affine {
            scale: 0.0,
            minimum: -min,
            inverse: 0.0,
            from: min,
        };
    }
    let pairs = || x.iter().zip(weights).map(|(&x, &w)| (x, w));
    let (sum_w, sum_x) = pairs().fold((0.0, 0.0), |(sum_w, sum_x), (x, w)| {
        (sum_w + w, sum_x + w * x)
    });
    let quantised =
        |scale: f32, min: f32| move |x: f32| nearest(scale * (x - min), 0, search.max) as f32;
    let error = |scale: f32, min: f32, to: &dyn Fn(f32) -> f32| {
        pairs().fold(0.0, |sum, (x, w)| {
            let difference = scale * to(x) + min - x;
            sum + w * if search.absolute {
                difference.abs()
            } else {
                difference * difference
            }
        })
    };
    let plain = search.max as f32 / (max - min);
    best_trial.0 = plain;
    let mut scale = 1.0 / plain;
    let mut best = error(scale, min, &quantised(plain, min));
    for step in 0..=search.steps {
        // Starting at the best minimum so far.
        let trial = (search.first + search.step * step as f32 + search.max as f32) / (max - min);
        let to = quantised(trial, min);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (0.0f32, 0.0f32, 0.0f32);
        for (x, w) in pairs() {
            let l = to(x);
            sum_l += w * l;
            sum_l2 += w * l * l;
            sum_xl += w * l * x;
        }
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        // Also false for NaN.
        if determinant > 0.0 {
            let mut this_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
            let mut this_min = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
            if this_min > 0.0 {
                this_min = 0.0;
                this_scale = sum_xl / sum_l2;
            }
            let this = error(this_scale, this_min, &to);
            if this < best {
                best_trial = (trial, min);
                (best, scale, min) = (this, this_scale, this_min);
            }
        }
    }
    Affine {
        scale,
        minimum: -min,
        inverse: best_trial.0,
        from: best_trial.1,
    }
}

/// Result of [`fit_symmetric`].
#[derive(Clone, Copy)]
pub(in crate::quantize) struct Symmetric {
    pub(in crate::quantize) scale: f32,
    /// The integers were x · inverse, rounded. They come from the best trial, and are not the nearest for its scale.
    inverse: f32,
}

impl Symmetric {
    /// The integers, plus `max`.
    pub(in crate::quantize) fn levels<const N: usize>(&self, x: &[f32; N], max: i32) -> [u8; N] {
        x.map(|x| (nearest(self.inverse * x, -max, max - 1) + max) as u8)
    }
}

/// Finds the scale for which s · q with q in −max…max − 1 is nearest to `x`, with weighted errors. ggml's
/// `make_qx_quants`, whose default weight is x².
pub(in crate::quantize) fn fit_symmetric(x: &[f32], weights: &[f32], max: i32) -> Symmetric {
    let extreme = extreme(x);
    if extreme.abs() < ZERO_GROUP {
        return Symmetric {
            scale: 0.0,
            inverse: 0.0,
        };
    }
    let sums = |inverse: f32| {
        let pairs = x.iter().zip(weights);
        pairs.fold((0.0f32, 0.0f32), |(sum_lx, sum_l2), (&x, &w)| {
            let l = nearest(inverse * x, -max, max - 1) as f32;
            (sum_lx + w * x * l, sum_l2 + w * l * l)
        })
    };
    let mut inverse = -(max as f32) / extreme;
    let (sum_lx, sum_l2) = sums(inverse);
    let mut scale = if sum_l2 == 0.0 { 0.0 } else { sum_lx / sum_l2 };
    let mut best = scale * sum_lx;
    for step in (-9..=9).filter(|&step| step != 0) {
        let trial = -(max as f32 + 0.1 * step as f32) / extreme;
        let (sum_lx, sum_l2) = sums(trial);
        if sum_l2 > 0.0 && sum_lx * sum_lx > best * sum_l2 {
            inverse = trial;
            scale = sum_lx / sum_l2;
            best = scale * sum_lx;
        }
    }
    Symmetric { scale, inverse }
}

/// Finds the scale and the integers in 0…max for which s · q is nearest to non-negative values, with weighted errors.
/// Used for scales of groups as multiples of one. ggml's `make_qp_quants`.
pub(in crate::quantize) fn fit_positive<const N: usize>(
    x: &[f32; N],
    weights: &[f32; N],
    max: i32,
) -> (f32, [u8; N]) {
    let largest = largest(x);
    if largest < ZERO_GROUP {
        return (0.0, [0; N]);
    }
    let pairs = || x.iter().zip(weights);
    let error = |inverse: f32| {
        let scale = 1.0 / inverse;
        pairs().fold(0.0f32, |sum, (&x, &w)| {
            let difference = x - scale * nearest(inverse * x, 0, max) as f32;
            sum + w * difference * difference
        })
    };
    let mut inverse = max as f32 / largest;
    let mut best = error(inverse);
    for step in (-4..=4).filter(|&step| step != 0) {
        let trial = (0.1 * step as f32 + max as f32) / largest;
        let this = error(trial);
        if this < best {
            (best, inverse) = (this, trial);
        }
    }
    let mut levels = x.map(|x| nearest(inverse * x, 0, max) as f32);
    let (mut sum_lx, mut sum_l2) = (0.0f32, 0.0f32);
    for ((&x, &w), l) in pairs().zip(levels) {
        sum_lx += w * x * l;
        sum_l2 += w * l * l;
    }
    for _ in 0..5 {
        let mut changed = false;
        for ((&x, &w), level) in pairs().zip(&mut levels) {
            let mut without_lx = sum_lx - w * x * *level;
            let mut without_l2 = sum_l2 - w * *level * *level;
            if without_lx > 0.0 && without_l2 > 0.0 {
                let new = nearest(x * without_l2 / without_lx, 0, max) as f32;
                if new != *level {
                    without_lx += w * x * new;
                    without_l2 += w * new * new;
                    if without_lx * without_lx * sum_l2 > sum_lx * sum_lx * without_l2 {
                        (*level, sum_lx, sum_l2) = (new, without_lx, without_l2);
                        changed = true;
                    }
                }
            }
        }
        if !changed {
            break;
        }
    }
    let scale = if sum_l2 > 0.0 { sum_lx / sum_l2 } else { 0.0 };
    (scale, levels.map(|level| level as u8))
}

/// Like [`fit_symmetric`], for so few values that each can be tried in turn where it fits best. ggml's
/// `make_q3_quants`.
pub(in crate::quantize) fn fit_few(x: &[f32; GROUP], max: i32) -> f32 {
    let extreme = extreme(x);
    if extreme.abs() < ZERO_GROUP {
        return 0.0;
    }
    let inverse = -(max as f32) / extreme;
    let mut levels = x.map(|x| nearest(inverse * x, -max, max - 1) as f32);
    let (mut sum_lx, mut sum_l2) = (0.0f32, 0.0f32);
    for (&x, l) in x.iter().zip(levels) {
        let w = x * x;
        sum_lx += w * x * l;
        sum_l2 += w * l * l;
    }
    for _ in 0..5 {
        let mut changed = false;
        for (&x, level) in x.iter().zip(&mut levels) {
            let w = x * x;
            let mut without_lx = sum_lx - w * x * *level;
            if without_lx > 0.0 {
                let mut without_l2 = sum_l2 - w * *level * *level;
                let new = nearest(x * without_l2 / without_lx, -max, max - 1) as f32;
                if new != *level {
                    without_lx += w * x * new;
                    without_l2 += w * new * new;
                    if without_l2 > 0.0
                        && without_lx * without_lx * sum_l2 > sum_lx * sum_lx * without_l2
                    {
                        (*level, sum_lx, sum_l2) = (new, without_lx, without_l2);
                        changed = true;
                    }
                }
            }
        }
        if !changed {
            break;
        }
    }
    if sum_l2 > 0.0 { sum_lx / sum_l2 } else { 0.0 }
}

/// Index of the table entry nearest to `x`; the lower of two equally near.
pub(in crate::quantize) fn nearest_in(table: &[i8; 16], x: f32) -> u8 {
    let above = table.iter().position(|&value| x < f32::from(value));
    match above {
        Some(0) => 0,
        None => 15,
        Some(above) => {
            let [low, high] = [table[above - 1], table[above]].map(f32::from);
            if x - low < high - x {
                above as u8 - 1
            } else {
                above as u8
            }
        }
    }
}

/// Finds the scale for which s · t with t from a table is nearest to `x`, with weighted errors. It tries the scales
/// that map the extreme to the table's first value, or up to seven beside it. ggml's `quantize_row_iq4_nl_impl`.
pub(in crate::quantize) fn fit_table(
    x: &[f32; BLOCK],
    weights: &[f32; BLOCK],
    table: &[i8; 16],
) -> f32 {
    let extreme = extreme(x);
    if extreme.abs() < ZERO_GROUP {
        return 0.0;
    }
    let first = f32::from(table[0]);
    let sums = |inverse: f32| {
        let pairs = x.iter().zip(weights);
        pairs.fold((0.0f32, 0.0f32), |(sum_qx, sum_q2), (&x, &w)| {
            let q = f32::from(table[usize::from(nearest_in(table, inverse * x))]);
            (sum_qx + w * q * x, sum_q2 + w * q * q)
        })
    };
    let (sum_qx, sum_q2) = sums(1.0 / (-extreme / first));
    let mut scale = if sum_q2 > 0.0 { sum_qx / sum_q2 } else { 0.0 };
    let mut best = scale * sum_qx;
    for step in -7..=7 {
        let (sum_qx, sum_q2) = sums((step as f32 + first) / extreme);
        if sum_q2 > 0.0 && sum_qx * sum_qx > best * sum_q2 {
            scale = sum_qx / sum_q2;
            best = scale * sum_qx;
        }
    }
    scale
}

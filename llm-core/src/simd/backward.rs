//! The loops of the backward pass ([`crate::transformer::training`]): from the gradient of a function's result they
//! compute the gradients of its arguments.
//!
//! The rules are those of [`crate::arithmetic`]: no fused multiply-add, one order for every sum, and the same code
//! compiled for each instruction set. [`Spread`], which takes most of the time of training, also has a version with
//! [`Lanes`].

mod optimizer;

pub(crate) use optimizer::{AdamW, LossBack, Peak, adam_w, loss_back, softmax_more, target_back};

use super::lanes::{F32s, Lanes};
use crate::arithmetic::{LANES, dot_f32, exp, soft_cap, softmax_numerators, sum, sum_of};
use core::ops::Range;
use zerocopy::{FromBytes, IntoBytes};

/// out\[o\]\[c\] += Σ_r f(o, r) · w\[r\]\[c\]: covers every matrix product of a backward pass. Each product is added
/// directly to the element, in the order of the rows.
pub(crate) struct Spread<'a> {
    /// \[rows, columns\]
    pub(crate) w: &'a [f32],
    /// Elements of a row of `w` and of `out`.
    pub(crate) columns: usize,
    /// f(o, r) is at o · `next_output` + r · `next_row`.
    pub(crate) factors: &'a [f32],
    /// Distance between the factors of adjacent rows of `out`.
    pub(crate) next_output: usize,
    /// Distance between the factors of adjacent rows of `w`.
    pub(crate) next_row: usize,
    /// Whether to start with the last row of `w`.
    pub(crate) descending: bool,
    /// \[outputs, columns\]
    pub(crate) out: &'a mut [f32],
}

impl Spread<'_> {
    fn rows(&self) -> usize {
        self.w.len() / self.columns
    }

    /// The reference implementation.
    pub(crate) fn run_scalar(self) {
        let rows = self.rows();
        for (o, out) in self.out.chunks_exact_mut(self.columns).enumerate() {
            for n in 0..rows {
                let r = if self.descending { rows - 1 - n } else { n };
                let factor = self.factors[o * self.next_output + r * self.next_row];
                let w = &self.w[r * self.columns..][..self.columns];
                for (out, w) in out.iter_mut().zip(w) {
                    *out += w * factor;
                }
            }
        }
    }

    /// Computes the same bits with vectors: `V` vectors in the same columns of up to four outputs are summed in
    /// registers. If rows are not whole vectors, the reference runs. There are no closures, because they would not be
    /// compiled for the instruction set.
    #[inline(always)]
    pub(crate) fn run<I: Lanes, const V: usize>(self, isa: I) {
        let rows = self.rows();
        let whole = self.columns.is_multiple_of(LANES);
        let w = <[F32s]>::ref_from_bytes(self.w.as_bytes());
        let (true, Ok(w)) = (whole, w) else {
            return self.run_scalar();
        };
        let Ok(out) = <[F32s]>::mut_from_bytes(self.out.as_mut_bytes()) else {
            return;
        };
        let vectors = self.columns / LANES;
        let outputs = out.len() / vectors.max(1);
        let factors = Factors {
            factors: self.factors,
            next_output: self.next_output,
            next_row: self.next_row,
            descending: self.descending,
            rows,
            vectors,
        };
        let mut vector = 0;
        while vector < vectors {
            let wide = vectors - vector >= V;
            let mut output = 0;
            while output < outputs {
                let four = outputs - output >= 4;
                match (wide, four) {
                    (true, true) => factors.block::<I, 4, V>(isa, w, out, output, vector),
                    (true, false) => factors.block::<I, 1, V>(isa, w, out, output, vector),
                    (false, true) => factors.block::<I, 4, 1>(isa, w, out, output, vector),
                    (false, false) => factors.block::<I, 1, 1>(isa, w, out, output, vector),
                }
                output += if four { 4 } else { 1 };
            }
            vector += if wide { V } else { 1 };
        }
    }
}

/// What the blocks of a [`Spread`] have in common.
#[derive(Clone, Copy)]
struct Factors<'a> {
    factors: &'a [f32],
    next_output: usize,
    next_row: usize,
    descending: bool,
    rows: usize,
    vectors: usize,
}

impl Factors<'_> {
    /// `V` vectors of `T` outputs.
    #[inline(always)]
    fn block<I: Lanes, const T: usize, const V: usize>(
        &self,
        isa: I,
        w: &[F32s],
        out: &mut [F32s],
        output: usize,
        vector: usize,
    ) {
        let mut sums = [[isa.splat(0.0); V]; T];
        for (t, sums) in sums.iter_mut().enumerate() {
            let from = &out[(output + t) * self.vectors + vector..][..V];
            for (sum, from) in sums.iter_mut().zip(from) {
                *sum = isa.load(from);
            }
        }
        let mut factors: [&[f32]; T] = [&[]; T];
        for (t, factors) in factors.iter_mut().enumerate() {
            *factors = &self.factors[(output + t) * self.next_output..];
        }
        for n in 0..self.rows {
            let r = if self.descending {
                self.rows - 1 - n
            } else {
                n
            };
            let w = &w[r * self.vectors + vector..][..V];
            let mut row = [isa.splat(0.0); V];
            for (row, w) in row.iter_mut().zip(w) {
                *row = isa.load(w);
            }
            for (factors, sums) in factors.iter().zip(sums.iter_mut()) {
                let factor = isa.splat(factors[r * self.next_row]);
                for (sum, row) in sums.iter_mut().zip(&row) {
                    *sum = isa.add(*sum, isa.mul(*row, factor));
                }
            }
        }
        for (t, sums) in sums.iter().enumerate() {
            let to = &mut out[(output + t) * self.vectors + vector..][..V];
            for (sum, to) in sums.iter().zip(to) {
                isa.store(*sum, to);
            }
        }
    }
}

/// Attention's backward pass for one position: from the gradient of its output it computes those of its query, and of
/// the keys and values it attended to. Softmax is recomputed, from keys and values in f32.
pub(crate) struct AttentionBack<'a> {
    /// Query heads.
    pub(crate) heads: usize,
    /// Key and value heads.
    pub(crate) kv_heads: usize,
    /// Elements of a head.
    pub(crate) size: usize,
    /// Query heads to compute.
    pub(crate) part: Range<usize>,
    /// Number of positions, up to the token's own.
    pub(crate) positions: usize,
    /// The first position to attend to.
    pub(crate) first: usize,
    /// Factor for the products of queries and keys.
    pub(crate) scale: f32,
    /// Soft cap of the scores.
    pub(crate) cap: Option<f32>,
    /// \[heads, size\]
    pub(crate) query: &'a [f32],
    /// The gradient of the result, \[heads, size\].
    pub(crate) attended: &'a [f32],
    /// Receives the gradient of the query, \[heads, size\].
    pub(crate) query_back: &'a mut [f32],
    /// \[`kv_heads`\]\[keys, values\]\[capacity in positions\]\[size\]
    pub(crate) cache: &'a [f32],
    /// Accumulates their gradients.
    pub(crate) cache_back: &'a mut [f32],
    /// Scratch: three numbers per position.
    pub(crate) scratch: &'a mut [f32],
}

impl AttentionBack<'_> {
    /// Heads in ascending order, and in each head the positions.
    #[inline(always)]
    pub(crate) fn run(&mut self) {
        let size = self.size;
        let plane = self.cache.len() / (2 * self.kv_heads);
        let seen = self.first * size..self.positions * size;
        let count = self.positions - self.first;
        let (weights, rest) = self.scratch.split_at_mut(count);
        let (slopes, rest) = rest.split_at_mut(count);
        let products = &mut rest[..count];
        for head in self.part.clone() {
            let keys = 2 * (head * self.kv_heads / self.heads) * plane;
            let (k, v) = self.cache[keys..].split_at(plane);
            let (k, v) = (&k[seen.clone()], &v[seen.clone()]);
            let (k_back, v_back) = self.cache_back[keys..].split_at_mut(plane);
            let (k_back, v_back) = (&mut k_back[seen.clone()], &mut v_back[seen.clone()]);
            let query = &self.query[head * size..][..size];
            let back = &self.attended[head * size..][..size];
            let query_back = &mut self.query_back[head * size..][..size];
            for (weight, key) in weights.iter_mut().zip(k.chunks_exact(size)) {
                *weight = dot_f32(query, key) * self.scale;
            }
            slopes.fill(self.scale);
            if let Some(cap) = self.cap {
                soft_cap(weights, cap);
                let inverse = 1.0 / cap;
                for (slope, score) in slopes.iter_mut().zip(weights.iter()) {
                    let u = *score * inverse;
                    *slope *= 1.0 - u * u;
                }
            }
            let total = softmax_numerators(weights, 0);
            for (weight, (product, value)) in weights
                .iter_mut()
                .zip(products.iter_mut().zip(v.chunks_exact(size)))
            {
                *weight /= total;
                *product = dot_f32(back, value);
            }
            let mean = dot_f32(weights, products);
            query_back.fill(0.0);
            for (s, weight) in weights.iter().enumerate() {
                let slope = *weight * (products[s] - mean) * slopes[s];
                let at = s * size..(s + 1) * size;
                add_times(query_back, &k[at.clone()], slope);
                add_times(&mut k_back[at.clone()], query, slope);
                add_times(&mut v_back[at], back, *weight);
            }
        }
    }
}

/// x\[i\] += y\[i\] · by.
#[inline(always)]
fn add_times(x: &mut [f32], y: &[f32], by: f32) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y * by;
    }
}

/// For [`crate::arithmetic::rms_norm`] of x: `back` becomes the gradient of x.
#[inline(always)]
pub(crate) fn rms_norm_back(x: &[f32], weight: &[f32], epsilon: f32, back: &mut [f32]) {
    let n = x.len() as f32;
    let mean = dot_f32(x, x) / n;
    let scale = 1.0 / libm::sqrtf(mean + epsilon);
    for (back, weight) in back.iter_mut().zip(weight) {
        *back *= weight;
    }
    let along = dot_f32(back, x) * (scale * scale) / n;
    for (back, x) in back.iter_mut().zip(x) {
        *back = (*back - x * along) * scale;
    }
}

/// For [`crate::arithmetic::layer_norm`] of x: `back` becomes the gradient of x.
#[inline(always)]
pub(crate) fn layer_norm_back(x: &[f32], weight: &[f32], epsilon: f32, back: &mut [f32]) {
    let n = x.len() as f32;
    let mean = sum(x) / n;
    let variance = sum_of(x, x, |v, _| (v - mean) * (v - mean)) / n;
    let scale = 1.0 / libm::sqrtf(variance + epsilon);
    for (back, weight) in back.iter_mut().zip(weight) {
        *back *= weight;
    }
    let constant = sum(back) / n;
    let along = sum_of(back, x, |back, x| back * (x - mean)) * (scale * scale) / n;
    for (back, x) in back.iter_mut().zip(x) {
        *back = (*back - constant - (x - mean) * along) * scale;
    }
}

/// silu(x) and its slope.
#[inline(always)]
fn silu_and_slope(x: f32) -> [f32; 2] {
    let sigmoid = 1.0 / (1.0 + exp(-x));
    [x * sigmoid, sigmoid * (1.0 + x * (1.0 - sigmoid))]
}

/// gelu(x) and its slope.
#[inline(always)]
fn gelu_and_slope(x: f32) -> [f32; 2] {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    let square = x * x;
    let u = SQRT_2_OVER_PI * x * (1.0 + 0.044_715 * square);
    let slope = SQRT_2_OVER_PI * (1.0 + 3.0 * 0.044_715 * square);
    let sigmoid = 1.0 / (1.0 + exp(-2.0 * u));
    let rest = sigmoid * (1.0 - sigmoid);
    [x * sigmoid, sigmoid + x * rest * (2.0 * slope)]
}

/// For [`crate::arithmetic::silu`]: x becomes its gradient.
#[inline(always)]
pub(crate) fn silu_back(x: &mut [f32], back: &[f32]) {
    for (x, back) in x.iter_mut().zip(back) {
        let [_, slope] = silu_and_slope(*x);
        *x = back * slope;
    }
}

/// For [`crate::arithmetic::gelu`]: x becomes its gradient.
#[inline(always)]
pub(crate) fn gelu_back(x: &mut [f32], back: &[f32]) {
    for (x, back) in x.iter_mut().zip(back) {
        let [_, slope] = gelu_and_slope(*x);
        *x = back * slope;
    }
}

/// For [`crate::arithmetic::swiglu`]: gate and up become their gradients.
#[inline(always)]
pub(crate) fn swiglu_back(gate: &mut [f32], up: &mut [f32], back: &[f32]) {
    for ((gate, up), back) in gate.iter_mut().zip(up).zip(back) {
        let [value, slope] = silu_and_slope(*gate);
        *gate = back * *up * slope;
        *up = back * value;
    }
}

/// For [`crate::arithmetic::geglu`]: gate and up become their gradients.
#[inline(always)]
pub(crate) fn geglu_back(gate: &mut [f32], up: &mut [f32], back: &[f32]) {
    for ((gate, up), back) in gate.iter_mut().zip(up).zip(back) {
        let [value, slope] = gelu_and_slope(*gate);
        *gate = back * *up * slope;
        *up = back * value;
    }
}

/// For [`crate::arithmetic::rotate`]: rotates pairs back, by the same factor.
#[inline(always)]
pub(crate) fn rotate_back(heads: &mut [f32], size: usize, angles: &[[f32; 2]], halves: bool) {
    let turned = |a: f32, b: f32, [cos, sin]: [f32; 2]| [a * cos + b * sin, b * cos - a * sin];
    for head in heads.chunks_exact_mut(size) {
        if halves {
            let (low, high) = head.split_at_mut(angles.len());
            for ((a, b), angle) in low.iter_mut().zip(high).zip(angles) {
                [*a, *b] = turned(*a, *b, *angle);
            }
        } else {
            for (pair, angle) in head.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
                *pair = turned(pair[0], pair[1], *angle);
            }
        }
    }
}

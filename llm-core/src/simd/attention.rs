//! Attention of one position over a session's cached positions, from a first position on.
//!
//! For each head: scores of the positions, softmax in two passes, then every output element adds p · v over ascending
//! positions; the division by their sum comes last. Cache blocks before the first position are not read; earlier
//! positions in its own block have weight 0.
//!
//! - Keys in floats: score = (q · k) · scale, with the product in the canonical order of a reduction.
//! - In 8 bits: the query is quantised like the keys, with a scale per 64 elements. A score adds f32(exact product) ·
//!   ((d_q · d_k) · scale) for each 64, ascending. For 64 elements of the values, the weights w = p · d_v of sixteen
//!   positions, a block of the cache, are quantised to 0…127 with the scale max w / 127. An output element adds scale ·
//!   f32(exact Σ q_w q_v), block by block. So the products over the positions are exact as well, and as fast as those
//!   of a matrix.
//!
//! [`Attention::run_scalar`] is the reference, and accepts heads of any size. [`Attention::run`] is for CPUs with
//! vectors ([`Lanes`]): in 8 bits a register has four elements of sixteen keys, or four positions of sixteen elements
//! of the values. The query heads of a group share what they read from the cache: two heads in 8 bits, and for values
//! in floats up to four.

use super::key_bias::KeyBias;
use super::lanes::{ALIGNED, F16s, F32s, Lanes};
use crate::arithmetic::finite;
use crate::arithmetic::{LANES, fold};
use crate::kv_cache::{BLOCK_POSITIONS, CachedLayer, KvType, SCALED, scales, value_place};
use core::ops::Range;
use half::f16;
use q8::quantize_weights;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Maximum number of query heads computed together.
pub(crate) const GROUP: usize = 4;

/// Scale and sum of [`SCALED`] elements of a query head.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct QueryScale {
    d: f32,
    sum: i32,
}

/// The inputs and outputs; see the module.
pub(crate) struct Attention<'a> {
    /// Number of query heads.
    pub(crate) heads: usize,
    /// The heads to compute.
    pub(crate) part: Range<usize>,
    /// Number of positions, up to the token's own.
    pub(crate) positions: usize,
    /// The first position to attend to.
    pub(crate) first: usize,
    /// Factor for the products of queries and keys.
    pub(crate) scale: f32,
    /// Soft cap of the scores.
    pub(crate) cap: Option<f32>,
    /// \[heads, head_size\]
    pub(crate) query: &'a [f32],
    /// The result, \[heads of `part`, head_size\].
    pub(crate) attended: &'a mut [f32],
    /// \[[`GROUP`], positions rounded up to a block or more\]
    pub(crate) scores: &'a mut [f32],
    /// Buffer for the queries in 8 bits: \[heads, head_size rounded up to four\].
    pub(crate) quantized: &'a mut [i8],
    /// \[heads, head_size / [`SCALED`], rounded up\]
    pub(crate) query_scales: &'a mut [QueryScale],
    /// Buffer for the products of queries with `key_bias`: \[[`GROUP`], its pairs\].
    pub(crate) turned: &'a mut [[f32; 2]],
    /// The bias missing from the cached keys.
    pub(crate) key_bias: Option<KeyBias<'a>>,
    /// Keys and values.
    pub(crate) cache: CachedLayer<'a>,
}

impl Attention<'_> {
    fn head_size(&self) -> usize {
        self.cache.shape.head_size
    }

    /// The key head of a query head.
    fn kv_head(&self, head: usize) -> usize {
        head * self.cache.shape.kv_heads / self.heads
    }

    /// The first cache block that is read.
    fn first_block(&self) -> usize {
        self.first / BLOCK_POSITIONS
    }

    /// The reference implementation.
    pub(crate) fn run_scalar(mut self) {
        let (size, scale) = (self.head_size(), self.scale);
        for head in self.part.clone() {
            let kv_head = self.kv_head(head);
            let cached = self.cache.head(kv_head);
            let scores = &mut self.scores[..self.positions];
            let query = &self.query[head * size..(head + 1) * size];
            if let Some(bias) = self.key_bias {
                bias.turn(kv_head, query, self.turned);
            }
            for (position, score) in scores.iter_mut().enumerate().skip(self.first) {
                let keys = cached.keys(position / BLOCK_POSITIONS);
                let slot = position % BLOCK_POSITIONS;
                *score = match self.cache.shape.ty {
                    KvType::F32 => dot(query, row::<f32>(keys, slot, size), |k| k) * scale,
                    KvType::F16 => dot(query, row::<f16>(keys, slot, size), finite) * scale,
                    KvType::Q8 => {
                        let padded = size.next_multiple_of(4);
                        let q = &self.quantized[head * padded..(head + 1) * padded];
                        let (scales, keys) = scales(keys, size);
                        let groups = scales.len();
                        let query_scales = &self.query_scales[head * groups..];
                        let mut score = 0.0;
                        for (group, q) in q.chunks(SCALED).enumerate() {
                            let first = group * SCALED;
                            let product = q.iter().zip(first..).fold(0, |sum, (q, i)| {
                                let k = keys[(i / 4 * BLOCK_POSITIONS + slot) * 4 + i % 4] as i8;
                                sum + i32::from(*q) * i32::from(k)
                            });
                            let factor = (query_scales[group].d * scales[group][slot]) * scale;
                            let more = product as f32 * factor;
                            score = if group == 0 { more } else { score + more };
                        }
                        match &self.key_bias {
                            Some(bias) => score + bias.at(self.turned, position) * scale,
                            None => score,
                        }
                    }
                };
            }
            let sum = self.weigh(0);
            let out = &mut self.attended[(head - self.part.start) * size..][..size];
            out.fill(0.0);
            let scores = self.scores[..self.positions].chunks(BLOCK_POSITIONS);
            for (index, scores) in scores.enumerate().skip(self.first / BLOCK_POSITIONS) {
                let values = cached.values(index);
                match self.cache.shape.ty {
                    KvType::F32 => {
                        for (slot, &p) in scores.iter().enumerate() {
                            add(out, p, row::<f32>(values, slot, size), |v| v);
                        }
                    }
                    KvType::F16 => {
                        for (slot, &p) in scores.iter().enumerate() {
                            add(out, p, row::<f16>(values, slot, size), finite);
                        }
                    }
                    KvType::Q8 => {
                        let mut p = [0.0; BLOCK_POSITIONS];
                        p[..scores.len()].copy_from_slice(scores);
                        let (scales, values) = scales(values, size);
                        let groups = scales.iter().zip(out.chunks_mut(SCALED));
                        for (group, (d, out)) in groups.enumerate() {
                            let (weights, scale) = quantize_weights(&p, d);
                            for (out, i) in out.iter_mut().zip(group * SCALED..) {
                                let weights = weights.iter().enumerate();
                                let product = weights.fold(0, |sum, (slot, w)| {
                                    let v = values[value_place(slot, i)] as i8;
                                    sum + i32::from(*w) * i32::from(v)
                                });
                                *out += scale * product as f32;
                            }
                        }
                    }
                }
            }
            out.iter_mut().for_each(|out| *out /= sum);
        }
    }

    /// Computes the same bits with vectors; heads are whole groups of lanes. There are no closures, because they would
    /// not be compiled for the instruction set.
    #[inline(always)]
    pub(crate) fn run<I: Lanes>(mut self, isa: I) {
        let group = self.heads / self.cache.shape.kv_heads;
        let Range { start, end } = self.part;
        let mut head = start;
        while self.cache.shape.ty == KvType::Q8 && head < end {
            head += match (group - head % group).min(end - head) {
                2.. => self.heads_q8::<I, 2>(isa, head),
                _ => self.heads_q8::<I, 1>(isa, head),
            };
        }
        while head < end {
            // Remaining heads that share a key head.
            let left = (group - head % group).min(end - head);
            head += match left {
                GROUP.. => self.heads_at::<I, GROUP>(isa, head),
                2.. => self.heads_at::<I, 2>(isa, head),
                _ => self.heads_at::<I, 1>(isa, head),
            };
        }
    }

    /// `H` heads of a group, starting at `head`.
    #[inline(always)]
    fn heads_at<I: Lanes, const H: usize>(&mut self, isa: I, head: usize) -> usize {
        let stride = self.scores.len() / GROUP;
        let mut sums = [0.0; H];
        for (h, sum) in sums.iter_mut().enumerate() {
            self.score(isa, head + h, h * stride);
            *sum = self.weigh(h * stride);
        }
        let lanes = self.head_size() / LANES;
        let mut lane = 0;
        while lane < lanes {
            let left = lanes - lane;
            lane += match I::ACCUMULATORS / H {
                4.. if left >= 4 => self.values::<I, H, 4>(isa, head, lane, &sums),
                2.. if left >= 2 => self.values::<I, H, 2>(isa, head, lane, &sums),
                _ => self.values::<I, H, 1>(isa, head, lane, &sums),
            };
        }
        H
    }

    /// Scores of one head, from `at` in their buffer.
    #[inline(always)]
    fn score<I: Lanes>(&mut self, isa: I, head: usize, at: usize) {
        let (size, scale) = (self.head_size(), self.scale);
        let cached = self.cache.head(self.kv_head(head));
        let first = self.first_block();
        let blocks = self.positions.div_ceil(BLOCK_POSITIONS);
        let scores = &mut self.scores[at..][..blocks * BLOCK_POSITIONS];
        let scores = <[F32s]>::mut_from_bytes(scores.as_mut_bytes()).expect(ALIGNED);
        let query = &self.query[head * size..(head + 1) * size];
        let query = <[F32s]>::ref_from_bytes(query.as_bytes()).expect(ALIGNED);
        for (index, scores) in scores.iter_mut().enumerate().skip(first) {
            let keys = cached.keys(index);
            match self.cache.shape.ty {
                KvType::F32 => {
                    let keys = <[F32s]>::ref_from_bytes(&keys[..64 * size]).expect(ALIGNED);
                    let scores = scores.iter_mut().flat_map(|scores| &mut scores.0);
                    for (score, key) in scores.zip(keys.chunks_exact(size / LANES)) {
                        let mut lanes = isa.splat(0.0);
                        for (q, k) in query.iter().zip(key) {
                            lanes = isa.add(lanes, isa.mul(isa.load(q), isa.load(k)));
                        }
                        *score = isa.fold(lanes) * scale;
                    }
                }
                KvType::F16 => {
                    let keys = <[F16s]>::ref_from_bytes(&keys[..32 * size]).expect(ALIGNED);
                    let scores = scores.iter_mut().flat_map(|scores| &mut scores.0);
                    for (score, key) in scores.zip(keys.chunks_exact(size / LANES)) {
                        let mut lanes = isa.splat(0.0);
                        for (q, k) in query.iter().zip(key) {
                            lanes = isa.add(lanes, isa.mul(isa.load(q), isa.halves(k)));
                        }
                        *score = isa.fold(lanes) * scale;
                    }
                }
                // It has its own function.
                KvType::Q8 => {}
            }
        }
    }

    /// `C` groups of lanes of `H` heads.
    #[inline(always)]
    fn values<I: Lanes, const H: usize, const C: usize>(
        &mut self,
        isa: I,
        head: usize,
        lane: usize,
        sums: &[f32; H],
    ) -> usize {
        let size = self.head_size();
        let cached = self.cache.head(self.kv_head(head));
        let stride = self.scores.len() / GROUP;
        let lanes = size / LANES;
        let mut totals = [[isa.splat(0.0); C]; H];
        let first = self.first_block();
        let mut left = self.positions - first * BLOCK_POSITIONS;
        let blocks = self.positions.div_ceil(BLOCK_POSITIONS);
        for index in first..blocks {
            let values = cached.values(index);
            let count = left.min(BLOCK_POSITIONS);
            left -= count;
            let mut scores = [&self.scores[..0]; H];
            for (h, scores) in scores.iter_mut().enumerate() {
                *scores = &self.scores[h * stride + index * BLOCK_POSITIONS..][..count];
            }
            let mut row = [isa.splat(0.0); C];
            match self.cache.shape.ty {
                KvType::F32 => {
                    let rows = <[F32s]>::ref_from_bytes(&values[..64 * size]).expect(ALIGNED);
                    for (slot, from) in rows.chunks_exact(lanes).take(count).enumerate() {
                        for (to, from) in row.iter_mut().zip(&from[lane..]) {
                            *to = isa.load(from);
                        }
                        accumulate(isa, &mut totals, &scores, slot, row);
                    }
                }
                KvType::F16 => {
                    let rows = <[F16s]>::ref_from_bytes(&values[..32 * size]).expect(ALIGNED);
                    for (slot, from) in rows.chunks_exact(lanes).take(count).enumerate() {
                        for (to, from) in row.iter_mut().zip(&from[lane..]) {
                            *to = isa.halves(from);
                        }
                        accumulate(isa, &mut totals, &scores, slot, row);
                    }
                }
                // It has a function of its own.
                KvType::Q8 => {}
            }
        }
        for (h, (totals, sum)) in totals.into_iter().zip(sums).enumerate() {
            let out = &mut self.attended[(head + h - self.part.start) * size..][..size];
            let out = <[F32s]>::mut_from_bytes(out.as_mut_bytes()).expect(ALIGNED);
            for (out, total) in out[lane..].iter_mut().zip(totals) {
                isa.store(isa.div(total, isa.splat(*sum)), out);
            }
        }
        C
    }
}

/// The scores of block `index`.
#[inline(always)]
fn block_of(scores: &mut [f32], index: usize) -> &mut F32s {
    let scores = &mut scores[index * BLOCK_POSITIONS..][..BLOCK_POSITIONS];
    F32s::mut_from_bytes(scores.as_mut_bytes()).expect(ALIGNED)
}

/// totals[h][c] += p[h][slot] · row[c]
#[inline(always)]
fn accumulate<I: Lanes, const H: usize, const C: usize>(
    isa: I,
    totals: &mut [[I::Floats; C]; H],
    p: &[&[f32]; H],
    slot: usize,
    row: [I::Floats; C],
) {
    for (totals, p) in totals.iter_mut().zip(p) {
        let p = isa.splat(p[slot]);
        for (total, value) in totals.iter_mut().zip(row) {
            *total = isa.add(*total, isa.mul(p, value));
        }
    }
}

/// q · k in the canonical order.
fn dot<T: Copy>(query: &[f32], key: &[T], widen: impl Fn(T) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    for (i, (q, k)) in query.iter().zip(key).enumerate() {
        lanes[i % LANES] += q * widen(*k);
    }
    fold(lanes)
}

/// out += p · v
fn add<T: Copy>(out: &mut [f32], p: f32, value: &[T], widen: impl Fn(T) -> f32) {
    for (out, v) in out.iter_mut().zip(value) {
        *out += p * widen(*v);
    }
}

/// Row `slot` of keys or values in floats.
fn row<T: crate::arena::Plain>(part: &[u8], slot: usize, size: usize) -> &[T] {
    let bytes = size * size_of::<T>();
    <[T]>::ref_from_bytes(&part[slot * bytes..(slot + 1) * bytes]).expect(ALIGNED)
}

mod q8;
#[cfg(test)]
mod tests;

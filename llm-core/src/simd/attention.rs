//! Attention of one position over what the cache has of its session.
//!
//! For each head: scores of all positions, softmax in two passes, then every output element adds p · v over
//! ascending positions; the division by their sum comes last.
//!
//! - Keys in floats: score = (q · k) · s^(−½), the product in the canonical order of a reduction.
//! - In 8 bits: the query is quantised as the keys are; score = f32(exact product) · ((d_q · d_k) · s^(−½)). The
//!   weights w = p · d_v of sixteen positions, a block of the cache, are quantised to 0…127 with the scale
//!   max w / 127; an output element adds scale · f32(exact Σ q_w q_v), block after block. So the products over the
//!   positions are exact as well, and as fast as those of a matrix.
//!
//! [`Attention::run_scalar`] is the reference, and takes heads of any size. [`Attention::run`] is for CPUs with
//! vectors ([`Isa`]): in 8 bits one register has four elements of sixteen keys, or four positions of sixteen
//! elements of the values. The query heads of a group share what they read of the cache: two in 8 bits, of the values up
//! to four in floats.

use super::scalar::{LANES, finite, fold, softmax_numerators};
use crate::kv_cache::{BLOCK_POSITIONS, CachedLayer, KvType, scales, value_place};
use crate::quantize::{NonFinite, ZERO_BLOCK, max_magnitude, round_to_i8};
use half::f16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most query heads that are computed together.
pub(crate) const GROUP: usize = 4;

/// Four floats on a boundary of a register: targets without an operating system are built for strict
/// alignment, where a load that may be misaligned becomes loads of bytes.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
pub(crate) struct Four(pub(crate) [f32; 4]);

/// Eight f16, likewise.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
pub(crate) struct Eight(pub(crate) [f16; 8]);

/// Sixteen bytes, likewise.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
pub(crate) struct I8s(pub(crate) [i8; 16]);

/// Sixteen floats.
pub(crate) type F32s = [Four; 4];
/// Sixteen f16.
pub(crate) type F16s = [Eight; 2];

/// Vectors of sixteen lanes. A value says that the CPU has the instructions.
pub(crate) trait Isa: Copy {
    /// Sixteen floats.
    type Floats: Copy;
    /// How many of them the registers hold beside what else is needed.
    const ACCUMULATORS: usize;

    fn splat(self, x: f32) -> Self::Floats;
    fn load(self, x: &F32s) -> Self::Floats;
    fn store(self, x: Self::Floats, to: &mut F32s);
    /// f16, which are finite.
    fn halves(self, x: &F16s) -> Self::Floats;
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// The lanes of a sum, folded 8, 4, 2, 1.
    fn fold(self, x: Self::Floats) -> f32;
    /// The largest lane.
    fn max(self, x: Self::Floats) -> f32;
    /// The lanes, from 0 to 127, as the nearest integers, ties to even.
    fn round(self, x: Self::Floats) -> [u8; 16];
    /// The exact products of `H` vectors with sixteen others, −127…127 all of them, in whole groups of sixteen
    /// elements. A chunk has four elements of each of the others.
    fn dots<const H: usize>(
        self,
        chunks: &[[I8s; 4]],
        vectors: &[Vector<'_>; H],
    ) -> [Self::Floats; H];
    /// As `dots` of vectors of sixteen elements from 0 to 127.
    fn weigh<const H: usize>(
        self,
        chunks: &[[I8s; 4]; 4],
        weights: &[[u8; 16]; H],
    ) -> [Self::Floats; H];
}

/// A vector in 8 bits.
#[derive(Clone, Copy)]
pub(crate) struct Vector<'a> {
    pub(crate) q: &'a [[i8; 4]],
    /// Σ q
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "VNNI takes it")
    )]
    pub(crate) sum: i32,
}

/// Scale and sum of a query head.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct QueryScale {
    d: f32,
    sum: i32,
}

/// See the module.
pub(crate) struct Attention<'a> {
    /// Query heads.
    pub(crate) heads: usize,
    /// Positions that are attended to: all up to the token's own.
    pub(crate) positions: usize,
    /// \[heads, head_size\]
    pub(crate) query: &'a [f32],
    /// The result, \[heads, head_size\].
    pub(crate) attended: &'a mut [f32],
    /// \[[`GROUP`], positions rounded up to a block or more\]
    pub(crate) scores: &'a mut [f32],
    /// Room for the queries in 8 bits: \[heads, head_size rounded up to four\].
    pub(crate) quantized: &'a mut [i8],
    /// \[heads\]
    pub(crate) query_scales: &'a mut [QueryScale],
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

    /// 1 / √s
    fn scale(&self) -> f32 {
        1.0 / libm::sqrtf(self.head_size() as f32)
    }

    /// Quantises the queries where keys are in 8 bits.
    ///
    /// # Errors
    /// A query is not finite.
    #[inline(always)]
    pub(crate) fn quantize(&mut self) -> Result<(), NonFinite> {
        if self.cache.shape.ty != KvType::Q8 {
            return Ok(());
        }
        let padded = self.head_size().next_multiple_of(4);
        let heads = self.query.chunks_exact(self.head_size());
        let outputs = self.quantized.chunks_exact_mut(padded);
        for ((x, q), scale) in heads.zip(outputs).zip(self.query_scales.iter_mut()) {
            let max = max_magnitude(x)?;
            let inverse = if max < ZERO_BLOCK { 0.0 } else { 127.0 / max };
            let mut sum = 0;
            q[x.len()..].fill(0);
            for (q, x) in q.iter_mut().zip(x) {
                *q = round_to_i8(x * inverse);
                sum += i32::from(*q);
            }
            let d = if max < ZERO_BLOCK { 0.0 } else { max / 127.0 };
            *scale = QueryScale { d, sum };
        }
        Ok(())
    }

    /// The reference.
    pub(crate) fn run_scalar(self) {
        let size = self.head_size();
        let scale = self.scale();
        for head in 0..self.heads {
            let cached = self.cache.head(self.kv_head(head));
            let scores = &mut self.scores[..self.positions];
            let query = &self.query[head * size..(head + 1) * size];
            for (position, score) in scores.iter_mut().enumerate() {
                let keys = cached.keys(position / BLOCK_POSITIONS);
                let slot = position % BLOCK_POSITIONS;
                *score = match self.cache.shape.ty {
                    KvType::F32 => dot(query, row::<f32>(keys, slot, size), |k| k) * scale,
                    KvType::F16 => dot(query, row::<f16>(keys, slot, size), finite) * scale,
                    KvType::Q8 => {
                        let padded = size.next_multiple_of(4);
                        let q = &self.quantized[head * padded..(head + 1) * padded];
                        let (scales, keys) = scales(keys);
                        let product = q.iter().enumerate().fold(0, |sum, (i, q)| {
                            let k = keys[(i / 4 * BLOCK_POSITIONS + slot) * 4 + i % 4] as i8;
                            sum + i32::from(*q) * i32::from(k)
                        });
                        product as f32 * ((self.query_scales[head].d * scales[slot]) * scale)
                    }
                };
            }
            let sum = softmax_numerators(scores);
            let out = &mut self.attended[head * size..(head + 1) * size];
            out.fill(0.0);
            for (index, scores) in scores.chunks(BLOCK_POSITIONS).enumerate() {
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
                        let (d, values) = scales(values);
                        let mut p = [0.0; BLOCK_POSITIONS];
                        p[..scores.len()].copy_from_slice(scores);
                        let (weights, scale) = quantize_weights(&p, d);
                        for (i, out) in out.iter_mut().enumerate() {
                            let product = weights.iter().enumerate().fold(0, |sum, (slot, w)| {
                                let v = values[value_place(slot, i)] as i8;
                                sum + i32::from(*w) * i32::from(v)
                            });
                            *out += scale * product as f32;
                        }
                    }
                }
            }
            out.iter_mut().for_each(|out| *out /= sum);
        }
    }

    /// With vectors, the same bits; heads are whole groups of lanes. No closures: they would not be compiled for the
    /// instruction set.
    #[inline(always)]
    pub(crate) fn run<I: Isa>(mut self, isa: I) {
        let group = self.heads / self.cache.shape.kv_heads;
        let mut head = 0;
        while self.cache.shape.ty == KvType::Q8 && head < self.heads {
            head += match group - head % group {
                2.. => self.heads_q8::<I, 2>(isa, head),
                _ => self.heads_q8::<I, 1>(isa, head),
            };
        }
        while head < self.heads {
            // Heads that are left of those that share a key head.
            let left = group - head % group;
            head += match left {
                GROUP.. => self.heads_at::<I, GROUP>(isa, head),
                2.. => self.heads_at::<I, 2>(isa, head),
                _ => self.heads_at::<I, 1>(isa, head),
            };
        }
    }

    /// `H` heads of a group, from `head` on.
    #[inline(always)]
    fn heads_at<I: Isa, const H: usize>(&mut self, isa: I, head: usize) -> usize {
        let stride = self.scores.len() / GROUP;
        let mut sums = [0.0; H];
        for (h, sum) in sums.iter_mut().enumerate() {
            self.score(isa, head + h, h * stride);
            *sum = softmax_numerators(&mut self.scores[h * stride..][..self.positions]);
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

    /// `H` heads of a group in 8 bits, from `head` on: what they read of keys and values is read once.
    #[inline(always)]
    fn heads_q8<I: Isa, const H: usize>(&mut self, isa: I, head: usize) -> usize {
        self.scores_q8::<I, H>(isa, head);
        let stride = self.scores.len() / GROUP;
        let padded = self.positions.next_multiple_of(BLOCK_POSITIONS);
        let mut sums = [0.0; H];
        for (h, sum) in sums.iter_mut().enumerate() {
            let scores = &mut self.scores[h * stride..][..padded];
            let (scores, beyond) = scores.split_at_mut(self.positions);
            *sum = softmax_numerators(scores);
            // What lies beyond in the block has no weight.
            beyond.fill(0.0);
        }
        let lanes = self.head_size() / LANES;
        let mut lane = 0;
        while lane < lanes {
            lane += match lanes - lane {
                4.. => self.values_q8::<I, H, 4>(isa, head, lane, &sums),
                2.. => self.values_q8::<I, H, 2>(isa, head, lane, &sums),
                _ => self.values_q8::<I, H, 1>(isa, head, lane, &sums),
            };
        }
        H
    }

    /// Scores of `H` heads of a group.
    #[inline(always)]
    fn scores_q8<I: Isa, const H: usize>(&mut self, isa: I, head: usize) {
        let (size, scale) = (self.head_size(), self.scale());
        let cached = self.cache.head(self.kv_head(head));
        let stride = self.scores.len() / GROUP;
        let mut queries = [Vector { q: &[], sum: 0 }; H];
        let mut factors = [0.0; H];
        for h in 0..H {
            let QueryScale { d, sum } = self.query_scales[head + h];
            let q = &self.quantized[(head + h) * size..][..size];
            queries[h] = Vector {
                q: q.as_chunks().0,
                sum,
            };
            factors[h] = d;
        }
        for index in 0..self.positions.div_ceil(BLOCK_POSITIONS) {
            let (scales, keys) = scales(cached.keys(index));
            let scales = F32s::ref_from_bytes(scales.as_bytes()).expect(ALIGNED);
            let keys = <[[I8s; 4]]>::ref_from_bytes(&keys[..16 * size]).expect(ALIGNED);
            let dots = isa.dots(keys, &queries);
            for h in 0..H {
                let factor = isa.mul(isa.splat(factors[h]), isa.load(scales));
                let factor = isa.mul(factor, isa.splat(scale));
                let scores = &mut self.scores[h * stride + index * BLOCK_POSITIONS..];
                let scores = scores[..BLOCK_POSITIONS].as_mut_bytes();
                let scores = F32s::mut_from_bytes(scores).expect(ALIGNED);
                isa.store(isa.mul(dots[h], factor), scores);
            }
        }
    }

    /// `C` groups of lanes of `H` heads.
    #[inline(always)]
    fn values_q8<I: Isa, const H: usize, const C: usize>(
        &mut self,
        isa: I,
        head: usize,
        lane: usize,
        sums: &[f32; H],
    ) -> usize {
        let size = self.head_size();
        let cached = self.cache.head(self.kv_head(head));
        let stride = self.scores.len() / GROUP;
        let mut totals = [[isa.splat(0.0); C]; H];
        for index in 0..self.positions.div_ceil(BLOCK_POSITIONS) {
            let values = cached.values(index);
            let (d, values) = scales(values);
            let d = F32s::ref_from_bytes(d.as_bytes()).expect(ALIGNED);
            let d = isa.load(d);
            let values = <[[[I8s; 4]; 4]]>::ref_from_bytes(&values[..16 * size]).expect(ALIGNED);
            let mut weights = [[0; BLOCK_POSITIONS]; H];
            let mut scales = [isa.splat(0.0); H];
            for h in 0..H {
                let p = &self.scores[h * stride + index * BLOCK_POSITIONS..][..BLOCK_POSITIONS];
                let p = F32s::ref_from_bytes(p.as_bytes()).expect(ALIGNED);
                // As `quantize_weights`.
                let w = isa.mul(isa.load(p), d);
                let (scale, inverse) = scale_of(isa.max(w));
                weights[h] = isa.round(isa.mul(w, isa.splat(inverse)));
                scales[h] = isa.splat(scale);
            }
            for (c, values) in values[lane..][..C].iter().enumerate() {
                let products = isa.weigh(values, &weights);
                for h in 0..H {
                    let more = isa.mul(scales[h], products[h]);
                    totals[h][c] = isa.add(totals[h][c], more);
                }
            }
        }
        for (h, (totals, sum)) in totals.into_iter().zip(sums).enumerate() {
            let out = &mut self.attended[(head + h) * size..][..size];
            let out = <[F32s]>::mut_from_bytes(out.as_mut_bytes()).expect(ALIGNED);
            for (out, total) in out[lane..].iter_mut().zip(totals) {
                isa.store(isa.div(total, isa.splat(*sum)), out);
            }
        }
        C
    }

    /// Scores of one head, from `at` on in their buffer.
    #[inline(always)]
    fn score<I: Isa>(&mut self, isa: I, head: usize, at: usize) {
        let (size, scale) = (self.head_size(), self.scale());
        let cached = self.cache.head(self.kv_head(head));
        let blocks = self.positions.div_ceil(BLOCK_POSITIONS);
        let scores = &mut self.scores[at..][..blocks * BLOCK_POSITIONS];
        let scores = <[F32s]>::mut_from_bytes(scores.as_mut_bytes()).expect(ALIGNED);
        let query = &self.query[head * size..(head + 1) * size];
        let query = <[F32s]>::ref_from_bytes(query.as_bytes()).expect(ALIGNED);
        for (index, scores) in scores.iter_mut().enumerate() {
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
                // It has a function of its own.
                KvType::Q8 => {}
            }
        }
    }

    /// `C` groups of lanes of `H` heads.
    #[inline(always)]
    fn values<I: Isa, const H: usize, const C: usize>(
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
        let mut left = self.positions;
        let blocks = self.positions.div_ceil(BLOCK_POSITIONS);
        for index in 0..blocks {
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
            let out = &mut self.attended[(head + h) * size..][..size];
            let out = <[F32s]>::mut_from_bytes(out.as_mut_bytes()).expect(ALIGNED);
            for (out, total) in out[lane..].iter_mut().zip(totals) {
                isa.store(isa.div(total, isa.splat(*sum)), out);
            }
        }
        C
    }
}

const ALIGNED: &str = "spans and blocks are whole cache lines";

/// The scale of weights in 8 bits, and what makes them fit.
#[inline(always)]
fn scale_of(most: f32) -> (f32, f32) {
    match most < ZERO_BLOCK {
        true => (0.0, 0.0),
        false => (most / 127.0, 127.0 / most),
    }
}

/// The weights p · d of sixteen positions in 8 bits, 0…127, and their scale.
fn quantize_weights(
    p: &[f32; BLOCK_POSITIONS],
    d: &[f32; BLOCK_POSITIONS],
) -> ([i8; BLOCK_POSITIONS], f32) {
    let w: [f32; BLOCK_POSITIONS] = core::array::from_fn(|slot| p[slot] * d[slot]);
    let most = w
        .iter()
        .fold(0.0, |most, &w| if w > most { w } else { most });
    let (scale, inverse) = scale_of(most);
    (w.map(|w| round_to_i8(w * inverse)), scale)
}

/// totals[h][c] += p[h][slot] · row[c]
#[inline(always)]
fn accumulate<I: Isa, const H: usize, const C: usize>(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv_cache::KvShape;
    use crate::simd::Cpu;
    use crate::testing::kernels;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Bits of what a token attends to.
    fn attended(cpu: Cpu, shape: KvShape, heads: usize, positions: usize, x: &[f32]) -> Vec<u32> {
        let exact = |x: &f32| {
            assert!(x.is_finite());
            x.to_bits()
        };
        let attended = kernels::attended(cpu, shape, heads, positions, x);
        attended.iter().map(exact).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Every path of this CPU, heads in groups of any size, sizes that are whole groups of lanes and that are not.
        #[test]
        fn all_paths_give_the_bits_of_the_scalar_one(
            x in prop::collection::vec(prop_oneof![-8.0f32..8.0, Just(8.0), Just(-8.0)], 701),
            positions in 1usize..40,
            kv_heads in 1usize..3,
            group in 1usize..8,
            size in prop::sample::select(&[6usize, 16, 32, 48, 64, 80, 128]),
        ) {
            let heads = kv_heads * group;
            for ty in [KvType::F32, KvType::F16, KvType::Q8] {
                let shape = KvShape {
                    ty,
                    layers: 2,
                    kv_heads,
                    head_size: size,
                    context: 40,
                    sessions: 2,
                    positions: 80,
                };
                let expected = attended(Cpu::SCALAR, shape, heads, positions, &x);
                for cpu in Cpu::all() {
                    let got = attended(cpu, shape, heads, positions, &x);
                    prop_assert!(got == expected, "{} {ty:?}", cpu.name());
                }
            }
        }

        /// What attention is, in f64.
        #[test]
        fn attention_is_what_it_says(
            x in prop::collection::vec(-2.0f32..2.0, 401),
            positions in 1usize..40,
        ) {
            let (heads, kv_heads, size) = (4, 2, 8);
            let reference = |skip: usize, len: usize| -> Vec<f64> {
                x.iter().cycle().skip(skip).take(len).map(|x| f64::from(*x)).collect()
            };
            let row = kv_heads * size;
            // The second layer, behind the first.
            let base = 2 * positions * row;
            let query = reference(2 * base, heads * size);
            for (ty, tolerance) in [(KvType::F32, 1e-5), (KvType::F16, 4e-3), (KvType::Q8, 6e-2)] {
                let shape = KvShape {
                    ty,
                    layers: 2,
                    kv_heads,
                    head_size: size,
                    context: 40,
                    sessions: 2,
                    positions: 80,
                };
                let got = attended(Cpu::detect(), shape, heads, positions, &x);
                for head in 0..heads {
                    let part = |p: usize, which: usize| {
                        reference(base + (2 * p + which) * row + head / 2 * size, size)
                    };
                    let q = &query[head * size..][..size];
                    let weights: Vec<f64> = (0..positions)
                        .map(|p| part(p, 0).iter().zip(q).map(|(k, q)| k * q).sum::<f64>())
                        .map(|dot| (dot / (size as f64).sqrt()).exp())
                        .collect();
                    for i in 0..size {
                        let value = weights.iter().enumerate().map(|(p, w)| w * part(p, 1)[i]);
                        let exact = value.sum::<f64>() / weights.iter().sum::<f64>();
                        let got = f64::from(f32::from_bits(got[head * size + i]));
                        prop_assert!((got - exact).abs() < tolerance, "{ty:?} {got} {exact}");
                    }
                }
            }
        }
    }
}

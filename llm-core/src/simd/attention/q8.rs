//! Attention over keys and values of eight bits.

use super::{Attention, GROUP, QueryScale, block_of};
use crate::arithmetic::{LANES, soft_cap, softmax_numerators};
use crate::kv_cache::{BLOCK_POSITIONS, KvType, SCALED, scales};
use crate::quantize::{NonFinite, ZERO_BLOCK, max_magnitude, round_to_i8};
use crate::simd::lanes::{ALIGNED, F32s, I8s, Lanes, Vector};
use zerocopy::{FromBytes, IntoBytes};

impl Attention<'_> {
    /// Softmax, without its division, of the scores from `at` in their buffer: returns the sum of the weights.
    #[inline(always)]
    pub(super) fn weigh(&mut self, at: usize) -> f32 {
        let start = self.first_block() * BLOCK_POSITIONS;
        let scores = &mut self.scores[at..][start..self.positions];
        if let Some(cap) = self.cap {
            soft_cap(scores, cap);
        }
        softmax_numerators(scores, self.first - start)
    }

    /// Quantises the queries if keys are in 8 bits.
    ///
    /// # Errors
    /// A query is not finite.
    #[inline(always)]
    pub(crate) fn quantize(&mut self) -> Result<(), NonFinite> {
        if self.cache.shape.ty != KvType::Q8 {
            return Ok(());
        }
        let padded = self.head_size().next_multiple_of(4);
        let groups = self.head_size().div_ceil(SCALED);
        let heads = self.query.chunks_exact(self.head_size());
        let outputs = self.quantized.chunks_exact_mut(padded);
        let heads = heads.zip(outputs);
        let heads = heads.zip(self.query_scales.chunks_exact_mut(groups));
        for ((x, q), scales) in heads.take(self.part.end).skip(self.part.start) {
            let parts = x.chunks(SCALED).zip(q.chunks_mut(SCALED));
            for ((x, q), scale) in parts.zip(scales) {
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
        }
        Ok(())
    }

    /// `H` heads of a group in 8 bits, starting at `head`: their shared keys and values are read once.
    #[inline(always)]
    pub(super) fn heads_q8<I: Lanes, const H: usize>(&mut self, isa: I, head: usize) -> usize {
        self.scores_q8::<I, H>(isa, head);
        let stride = self.scores.len() / GROUP;
        let padded = self.positions.next_multiple_of(BLOCK_POSITIONS);
        let mut sums = [0.0; H];
        for (h, sum) in sums.iter_mut().enumerate() {
            *sum = self.weigh(h * stride);
            // The rest of the block has no weight.
            self.scores[h * stride..][self.positions..padded].fill(0.0);
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
    fn scores_q8<I: Lanes, const H: usize>(&mut self, isa: I, head: usize) {
        let (size, scale) = (self.head_size(), self.scale);
        let kv_head = self.kv_head(head);
        let cached = self.cache.head(kv_head);
        let stride = self.scores.len() / GROUP;
        let groups = size.div_ceil(SCALED);
        if let Some(bias) = self.key_bias {
            for h in 0..H {
                let query = &self.query[(head + h) * size..][..size];
                bias.turn(kv_head, query, &mut self.turned[h * bias.pairs..]);
            }
        }
        let blocks = self.first_block()..self.positions.div_ceil(BLOCK_POSITIONS);
        for group in 0..groups {
            let elements = SCALED.min(size - group * SCALED);
            let mut queries = [Vector { q: &[], sum: 0 }; H];
            let mut factors = [0.0; H];
            for h in 0..H {
                let QueryScale { d, sum } = self.query_scales[(head + h) * groups + group];
                let q = &self.quantized[(head + h) * size + group * SCALED..][..elements];
                let q = q.as_chunks().0;
                queries[h] = Vector { q, sum };
                factors[h] = d;
            }
            for index in blocks.clone() {
                let (scales, keys) = scales(cached.keys(index), size);
                let scales = F32s::ref_from_bytes(scales[group].as_bytes()).expect(ALIGNED);
                let keys = &keys[16 * group * SCALED..][..16 * elements];
                let keys = <[[I8s; 4]]>::ref_from_bytes(keys).expect(ALIGNED);
                let dots = isa.dots(keys, &queries);
                for h in 0..H {
                    let factor = isa.mul(isa.splat(factors[h]), isa.load(scales));
                    let factor = isa.mul(factor, isa.splat(scale));
                    let more = isa.mul(dots[h], factor);
                    let scores = block_of(&mut self.scores[h * stride..], index);
                    let sum = match group {
                        0 => more,
                        _ => isa.add(isa.load(scores), more),
                    };
                    isa.store(sum, scores);
                }
            }
        }
        let Some(bias) = &self.key_bias else {
            return;
        };
        for h in 0..H {
            let turned = &self.turned[h * bias.pairs..];
            for index in blocks.clone() {
                let more = isa.mul(bias.block(isa, turned, index), isa.splat(scale));
                let scores = block_of(&mut self.scores[h * stride..], index);
                isa.store(isa.add(isa.load(scores), more), scores);
            }
        }
    }

    /// `C` groups of lanes of `H` heads.
    #[inline(always)]
    fn values_q8<I: Lanes, const H: usize, const C: usize>(
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
        for index in self.first_block()..self.positions.div_ceil(BLOCK_POSITIONS) {
            let values = cached.values(index);
            let (d, values) = scales(values, size);
            // One call covers at most `SCALED` elements, and they share a scale.
            let d = &d[lane * LANES / SCALED];
            let d = isa.load(F32s::ref_from_bytes(d.as_bytes()).expect(ALIGNED));
            let values = <[[[I8s; 4]; 4]]>::ref_from_bytes(&values[..16 * size]).expect(ALIGNED);
            let mut weights = [[0; BLOCK_POSITIONS]; H];
            let mut scales = [isa.splat(0.0); H];
            for h in 0..H {
                let p = &self.scores[h * stride + index * BLOCK_POSITIONS..][..BLOCK_POSITIONS];
                let p = F32s::ref_from_bytes(p.as_bytes()).expect(ALIGNED);
                // See `quantize_weights`.
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
            let out = &mut self.attended[(head + h - self.part.start) * size..][..size];
            let out = <[F32s]>::mut_from_bytes(out.as_mut_bytes()).expect(ALIGNED);
            for (out, total) in out[lane..].iter_mut().zip(totals) {
                isa.store(isa.div(total, isa.splat(*sum)), out);
            }
        }
        C
    }
}

/// The weights p · d of sixteen positions in 8 bits, 0…127, and their scale.
pub(super) fn quantize_weights(
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

/// The scale of weights in 8 bits, and what makes them fit.
#[inline(always)]
fn scale_of(most: f32) -> (f32, f32) {
    match most < ZERO_BLOCK {
        true => (0.0, 0.0),
        false => (most / 127.0, 127.0 / most),
    }
}

//! Key biases that an 8-bit cache leaves out.
//!
//! In 8 bits, 64 elements of a key head share a scale. If one element has a bias in the hundreds, as in models of the
//! qwen2 family, the steps of that scale swamp all others. So the cache stores such keys without those biases, and
//! their contribution is added to the scores. With R_p the rotation of position p, q the rotated query and (b_a, b_b)
//! the biases of the elements a and b of pair i, it is
//!
//! ```text
//!   q · R_p b = Σ_i cos_{p,i} u_i + sin_{p,i} v_i     u_i = q_a b_a + q_b b_b,  v_i = q_b b_a − q_a b_b
//! ```
//!
//! in ascending order of i, in f32. A bias of unrotated elements adds the same to each score of a query, which softmax
//! ignores, so it is dropped.

use super::lanes::{ALIGNED, F32s, Lanes};
use crate::kv_cache::BLOCK_POSITIONS;
use zerocopy::{FromBytes, IntoBytes};

/// Elements a and b of pair `i` of `pairs`: either neighbours, or one from each half of the rotated elements.
#[inline(always)]
pub(crate) const fn pair(i: usize, pairs: usize, halves: bool) -> [usize; 2] {
    if halves {
        [i, pairs + i]
    } else {
        [2 * i, 2 * i + 1]
    }
}

/// The biases left out of the cache, and the angles that rotate them.
#[derive(Clone, Copy)]
pub(crate) struct KeyBias<'a> {
    /// \[kv_heads, head_size\]; zero where the cache includes the bias.
    pub(crate) values: &'a [f32],
    /// Cosine and sine of each pair at all positions, \[pairs, 2, positions in whole blocks\].
    pub(crate) angles: &'a [f32],
    /// Rotated pairs of a head.
    pub(crate) pairs: usize,
    /// Whether a pair has one element from each half.
    pub(crate) halves: bool,
}

impl KeyBias<'_> {
    const fn positions(&self) -> usize {
        self.angles.len() / (2 * self.pairs)
    }

    /// u and v of each pair, for a rotated query.
    #[inline(always)]
    pub(crate) fn turn(&self, kv_head: usize, query: &[f32], turned: &mut [[f32; 2]]) {
        let bias = &self.values[kv_head * query.len()..][..query.len()];
        for (i, turned) in turned[..self.pairs].iter_mut().enumerate() {
            let [a, b] = pair(i, self.pairs, self.halves);
            let u = query[a] * bias[a] + query[b] * bias[b];
            let v = query[b] * bias[a] - query[a] * bias[b];
            *turned = [u, v];
        }
    }

    /// Contribution of the biases to q · k at `position`.
    pub(crate) fn at(&self, turned: &[[f32; 2]], position: usize) -> f32 {
        let mut sum = 0.0;
        for (i, [u, v]) in turned[..self.pairs].iter().enumerate() {
            let angles = &self.angles[2 * i * self.positions()..];
            let (cos, sin) = (angles[position], angles[self.positions() + position]);
            sum += cos * u + sin * v;
        }
        sum
    }

    /// [`Self::at`] for the positions of block `index`.
    #[inline(always)]
    pub(crate) fn block<I: Lanes>(&self, isa: I, turned: &[[f32; 2]], index: usize) -> I::Floats {
        let blocks = self.positions() / BLOCK_POSITIONS;
        let angles = <[F32s]>::ref_from_bytes(self.angles.as_bytes()).expect(ALIGNED);
        let mut sum = isa.splat(0.0);
        for (i, [u, v]) in turned[..self.pairs].iter().enumerate() {
            // Adding these zeros changes nothing, and most pairs have no large bias.
            if *u == 0.0 && *v == 0.0 {
                continue;
            }
            let cos = isa.load(&angles[2 * i * blocks + index]);
            let sin = isa.load(&angles[(2 * i + 1) * blocks + index]);
            let more = isa.add(isa.mul(cos, isa.splat(*u)), isa.mul(sin, isa.splat(*v)));
            sum = isa.add(sum, more);
        }
        sum
    }
}

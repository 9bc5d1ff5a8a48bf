//! Chooses a token from logits.
//!
//! The steps follow llama.cpp's default order: repetition penalty (Keskar et al., *CTRL*, 2019), top-k, top-p (Holtzman
//! et al., 2020), min-p (Nguyen et al., 2024), temperature, and a draw from the remaining distribution. Temperature 0
//! takes the largest logit after the penalty.
//!
//! Candidates are ordered by falling logits, ties by rising ids, and sums run in that order. So the same logits and the
//! same generator give the same token everywhere.

use crate::arithmetic;
use core::cmp::Ordering;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Unit of fractions.
const MILLION: f64 = 1e6;

/// Sampling parameters. Fractions are in millionths, because requests come from domains without floating point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplerParams {
    /// Seed of the generator.
    pub seed: u64,
    /// 0 is greedy.
    pub temperature: u32,
    /// Number of candidates kept; 0 keeps all.
    pub top_k: u32,
    /// The likeliest candidates are kept until their probabilities reach this; 1 keeps all.
    pub top_p: u32,
    /// Candidates less likely than this times the likeliest are dropped; 0 keeps all.
    pub min_p: u32,
    /// Positive logits of recent tokens are divided by this, others multiplied; 1 does nothing.
    pub repeat_penalty: u32,
    /// Number of recent tokens considered, including the prompt.
    pub repeat_last_n: u32,
}

impl SamplerParams {
    /// Always takes the largest logit.
    #[must_use]
    pub const fn greedy() -> Self {
        Self {
            seed: 0,
            temperature: 0,
            top_k: 0,
            top_p: 1_000_000,
            min_p: 0,
            repeat_penalty: 1_000_000,
            repeat_last_n: 0,
        }
    }
}

/// The f32 nearest to a number of millionths.
fn fraction(millionths: u32) -> f32 {
    (f64::from(millionths) / MILLION) as f32
}

/// The set of tokens that may be chosen.
pub trait Allowed {
    /// Whether this token may be chosen.
    fn allows(&self, id: u32) -> bool;

    /// Calls `each` for all allowed tokens, each at least once, if looking at `most` tokens or fewer finds them all.
    /// Otherwise does not call it, and returns `false`.
    fn list(&self, most: usize, each: impl FnMut(u32)) -> bool;
}

/// Allowed tokens are listed if that examines at most this fraction of the vocabulary.
const LISTED: usize = 16;

/// In [`Candidate::id`]: the token is allowed. No vocabulary is large enough to use this bit.
const MARK: u32 = 1 << 31;

/// A token and its logit.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Candidate {
    logit: f32,
    id: u32,
}

/// Falling logits, then rising ids: a total order on finite logits, with −0 below +0.
fn by_rank(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id))
}

/// Sampling parameters and the state of the generator: Xoshiro256++ (Blackman and Vigna, 2019), seeded through
/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Sampler {
    params: SamplerParams,
    generator: Xoshiro256PlusPlus,
}

impl Sampler {
    /// A sampler in its initial state.
    #[must_use]
    pub fn new(params: SamplerParams) -> Self {
        Self {
            params,
            generator: Xoshiro256PlusPlus::seed_from_u64(params.seed),
        }
    }

    /// Chooses a token. There must be at least one logit, and all must be finite. `candidates` is scratch of the same
    /// length; `history` is what the session has seen, including the prompt.
    pub fn sample(&mut self, logits: &[f32], history: &[u32], candidates: &mut [Candidate]) -> u32 {
        self.sample_except(logits, history, [], candidates)
    }

    /// Like [`Self::sample`], excluding the tokens `suppressed`, which must be in descending order and leave at least
    /// one.
    pub fn sample_except(
        &mut self,
        logits: &[f32],
        history: &[u32],
        suppressed: impl IntoIterator<Item = u32>,
        candidates: &mut [Candidate],
    ) -> u32 {
        for ((id, &logit), candidate) in (0..).zip(logits).zip(candidates.iter_mut()) {
            *candidate = Candidate { logit, id };
        }
        self.penalise(history, logits, candidates);
        let candidates = without(suppressed, candidates);
        if self.params.temperature == 0 {
            return candidates
                .iter()
                .copied()
                .min_by(by_rank)
                .map_or(0, |best| best.id);
        }
        let kept = self.filter(candidates);
        self.draw(kept)
    }

    /// Like [`Self::sample`], but only among allowed tokens: the choice is the same as with the logits of the others
    /// masked. `None` if no token is allowed.
    ///
    /// It asks about as few tokens as possible: the likeliest if the choice is among few, otherwise those that can be
    /// listed if they are few.
    pub fn sample_allowed(
        &mut self,
        logits: &[f32],
        history: &[u32],
        allowed: &impl Allowed,
        candidates: &mut [Candidate],
    ) -> Option<u32> {
        for ((id, &logit), candidate) in (0..).zip(logits).zip(candidates.iter_mut()) {
            *candidate = Candidate { logit, id };
        }
        self.penalise(history, logits, candidates);
        let most_listed = candidates.len() / LISTED;
        if self.params.temperature == 0 {
            let best = candidates.iter().copied().min_by(by_rank)?;
            if allowed.allows(best.id) {
                return Some(best.id);
            }
            let mut best: Option<Candidate> = None;
            let listed = allowed.list(most_listed, |id| {
                let candidate = candidates.get(id as usize).copied();
                best = best.into_iter().chain(candidate).min_by(by_rank);
            });
            if !listed {
                let kept = likeliest(candidates, 1, allowed);
                best = kept.iter().copied().min_by(by_rank);
            }
            return best.map(|best| best.id);
        }
        let listed = allowed.list(most_listed, |id| {
            if let Some(candidate) = candidates.get_mut(id as usize) {
                candidate.id |= MARK;
            }
        });
        let kept = match (listed, self.params.top_k) {
            (true, _) => marked(candidates),
            (false, 0) => likeliest(candidates, usize::MAX, allowed),
            (false, top_k) => likeliest(candidates, top_k as usize, allowed),
        };
        if kept.is_empty() {
            return None;
        }
        let kept = self.filter(kept);
        Some(self.draw(kept))
    }

    /// Each token is penalised once, however often it occurs.
    fn penalise(&self, history: &[u32], logits: &[f32], candidates: &mut [Candidate]) {
        let penalty = fraction(self.params.repeat_penalty);
        if penalty == 1.0 {
            return;
        }
        let last = history
            .len()
            .saturating_sub(self.params.repeat_last_n as usize);
        for &id in &history[last..] {
            let index = id as usize;
            if let (Some(candidate), Some(&logit)) = (candidates.get_mut(index), logits.get(index))
            {
                candidate.logit = if logit > 0.0 {
                    logit / penalty
                } else {
                    logit * penalty
                };
            }
        }
    }

    /// Applies top-k, top-p and min-p; returns the remaining candidates, sorted.
    fn filter<'c>(&self, mut candidates: &'c mut [Candidate]) -> &'c mut [Candidate] {
        let top_k = self.params.top_k as usize;
        if top_k > 0 && top_k < candidates.len() {
            candidates.select_nth_unstable_by(top_k - 1, by_rank);
            candidates = &mut candidates[..top_k];
        }
        candidates.sort_unstable_by(by_rank);
        let best = candidates.first().map_or(0.0, |candidate| candidate.logit);
        let likelihood = |candidate: &Candidate| arithmetic::exp(candidate.logit - best);
        let top_p = fraction(self.params.top_p);
        let mut kept = candidates.len();
        if top_p < 1.0 {
            let total = candidates.iter().fold(0.0, |sum, c| sum + likelihood(c));
            let mut sum = 0.0;
            kept = 0;
            for candidate in &*candidates {
                kept += 1;
                sum += likelihood(candidate);
                if sum >= top_p * total {
                    break;
                }
            }
        }
        let min_p = fraction(self.params.min_p);
        // The likeliest has relative likelihood 1 and min_p is at most 1, so at least one remains.
        let likely = candidates
            .iter()
            .take(kept)
            .take_while(|c| likelihood(c) >= min_p)
            .count();
        &mut candidates[..likely.max(1)]
    }

    /// Draws one of the sorted candidates at the temperature.
    fn draw(&mut self, candidates: &[Candidate]) -> u32 {
        let temperature = fraction(self.params.temperature);
        let best = candidates[0].logit;
        let weight = |c: &Candidate| arithmetic::exp((c.logit - best) / temperature);
        let total = candidates.iter().fold(0.0, |sum, c| sum + weight(c));
        // 24 bits: every value is exact in f32 and below 1.
        let uniform = (self.generator.next_u64() >> 40) as f32 / (1 << 24) as f32;
        let target = uniform * total;
        let mut sum = 0.0;
        for candidate in candidates {
            sum += weight(candidate);
            if sum > target {
                return candidate.id;
            }
        }
        // Reached only if the product above was rounded up to the total.
        candidates[candidates.len() - 1].id
    }
}

/// The marked candidates, with their marks removed.
fn marked(candidates: &mut [Candidate]) -> &mut [Candidate] {
    let mut kept = 0;
    for at in 0..candidates.len() {
        let Candidate { logit, id } = candidates[at];
        if id & MARK != 0 {
            let id = id & !MARK;
            candidates[kept] = Candidate { logit, id };
            kept += 1;
        }
    }
    &mut candidates[..kept]
}

/// The likeliest allowed candidates: at least `needed` if there are that many, and all that are likelier than the last
/// of them. The search covers more and more of the likeliest.
fn likeliest<'c>(
    candidates: &'c mut [Candidate],
    needed: usize,
    allowed: &impl Allowed,
) -> &'c mut [Candidate] {
    let (mut kept, mut seen) = (0, 0);
    let mut more = needed.saturating_mul(2).max(64);
    while kept < needed && seen < candidates.len() {
        let rest = &mut candidates[seen..];
        let next = seen + more.min(rest.len());
        if more < rest.len() {
            rest.select_nth_unstable_by(more - 1, by_rank);
        }
        for at in seen..next {
            if allowed.allows(candidates[at].id) {
                candidates.swap(kept, at);
                kept += 1;
            }
        }
        seen = next;
        more = more.saturating_mul(8);
    }
    &mut candidates[..kept]
}

/// The candidates without some ids, given in descending order. The choice does not depend on the order of candidates.
fn without(ids: impl IntoIterator<Item = u32>, candidates: &mut [Candidate]) -> &mut [Candidate] {
    let mut left = candidates.len();
    for id in ids {
        // Its candidate is still in place: only those of higher ids were removed.
        if left > 1 && (id as usize) < left {
            left -= 1;
            candidates.swap(id as usize, left);
        }
    }
    &mut candidates[..left]
}

#[cfg(test)]
mod tests;

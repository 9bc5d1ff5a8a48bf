//! How much information an adversary can pass on if it may only say texts of a format.

use formats::{Automaton, Dfa};

/// Steps along transitions that are counted exactly (about a second); the rest is bounded.
const MOST_STEPS: usize = 1 << 26;

/// Rounds of the search for the growth rate of what is not counted. More rounds tighten the bound a little.
const GROWTH_ROUNDS: usize = 200;

/// How much can be said in a number of bytes, in bits: binary logarithms of the numbers of texts. Negative infinity if
/// there are none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sayable {
    /// Words.
    pub words: f64,
    /// Words, and prefixes of words that are cut off. A reader can tell a cut-off answer from a complete one, so a text
    /// that is both counts twice.
    pub broken_off: f64,
    /// Whether everything was counted. If not, the language is infinite or very large, and both numbers are upper
    /// bounds.
    pub exact: bool,
}

/// Counts what can be said in at most `bytes` bytes.
#[must_use]
pub fn sayable(dfa: &Dfa<'_>, bytes: usize) -> Sayable {
    let graph = Graph::new(dfa);
    // Short rows cost more than their edges.
    let most = (MOST_STEPS / (graph.len() + 32)).max(64);
    graph.sayable(bytes, bytes.min(most))
}

impl Sayable {
    /// Sums the numbers, which are divided by two to the `exponent`, and a bound (as a logarithm) of the texts that
    /// were not counted.
    fn new(words: f64, prefixes: f64, exponent: f64, rest: Option<f64>) -> Self {
        let log2 = |count: f64| match rest {
            None => count.log2() + exponent,
            Some(rest) => log2_sum(count.log2() + exponent, rest),
        };
        let words = log2(words);
        Self {
            words,
            broken_off: log2_sum(words, log2(prefixes)),
            exact: rest.is_none(),
        }
    }
}

/// The logarithm of a sum, given the logarithms of the terms.
fn log2_sum(a: f64, b: f64) -> f64 {
    let (less, more) = (a.min(b), a.max(b));
    match less.is_finite() {
        true => more + (less - more).exp2().ln_1p() / std::f64::consts::LN_2,
        false => more,
    }
}

/// An automaton as a list of edges.
struct Graph {
    /// For each state, the states it leads to and the number of bytes that do.
    edges: Vec<Vec<(usize, f64)>>,
    accepts: Vec<bool>,
}

impl Graph {
    fn new(dfa: &Dfa<'_>) -> Self {
        let edges = dfa.all().map(|state| {
            let mut nexts: Vec<usize> = (0..=u8::MAX)
                .filter_map(|byte| dfa.next(state, byte).map(|next| next.index()))
                .collect();
            nexts.sort_unstable();
            let groups = nexts.chunk_by(|a, b| a == b);
            groups.map(|group| (group[0], group.len() as f64)).collect()
        });
        Self {
            edges: edges.collect(),
            accepts: dfa.all().map(|state| dfa.accepts(state)).collect(),
        }
    }

    /// Counts what can be said in at most `bytes` bytes, and bounds it from the length `counted` on.
    fn sayable(&self, bytes: usize, counted: usize) -> Sayable {
        // The texts that lead to each state after some bytes; all texts up to now; and the number of them that are
        // words. All are divided by two to the `exponent`.
        let mut texts = vec![0.0; self.edges.len()];
        texts[0] = 1.0;
        let mut next = texts.clone();
        let (mut prefixes, mut words) = (1.0, f64::from(u8::from(self.accepts[0])));
        let mut exponent = 0.0;
        for _ in 0..counted {
            self.forward(&texts, &mut next);
            std::mem::swap(&mut texts, &mut next);
            let all: f64 = texts.iter().sum();
            if all == 0.0 {
                // The longest word has been counted.
                return Sayable::new(words, prefixes, exponent, None);
            }
            let accepted = texts.iter().zip(&self.accepts);
            words += accepted
                .filter_map(|(count, accepts)| accepts.then_some(count))
                .sum::<f64>();
            prefixes += all;
            if prefixes > 1e200 {
                let scale = 2f64.powi(-500);
                texts.iter_mut().for_each(|count| *count *= scale);
                (words, prefixes) = (words * scale, prefixes * scale);
                exponent += 500.0;
            }
        }
        let tail = match bytes - counted {
            0 => None,
            rest => Some(self.rest(&texts, rest as f64) + exponent),
        };
        Sayable::new(words, prefixes, exponent, tail)
    }

    /// Number of states and edges.
    fn len(&self) -> usize {
        self.edges.len() + self.edges.iter().map(Vec::len).sum::<usize>()
    }

    /// Texts that lead to each state after one more byte.
    fn forward(&self, texts: &[f64], next: &mut [f64]) {
        next.fill(0.0);
        for (count, edges) in texts.iter().zip(&self.edges).filter(|(n, _)| **n > 0.0) {
            for &(to, bytes) in edges {
                next[to] += count * bytes;
            }
        }
    }

    /// The total weight of each state's successors.
    fn behind(&self, weights: &[f64]) -> Vec<f64> {
        let sum = |edges: &Vec<(usize, f64)>| edges.iter().map(|&(to, n)| n * weights[to]).sum();
        self.edges.iter().map(sum).collect()
    }

    /// The logarithm of a bound of the texts that extend `texts` by 1 to `rest` bytes.
    ///
    /// If weights w ≥ 1 and a factor g satisfy A w ≤ g w, where A is the matrix of the edges, then `texts` have at most
    /// g^m (texts · w) extensions by m bytes. Any weights have such a factor; those found by iteration have a small
    /// one.
    fn rest(&self, texts: &[f64], rest: f64) -> f64 {
        let mut weights = vec![1.0; texts.len()];
        let mut best = f64::INFINITY;
        for _ in 0..GROWTH_ROUNDS {
            let behind = self.behind(&weights);
            let ratios = behind.iter().zip(&weights);
            let growth = ratios.fold(0.0, |most: f64, (b, w)| most.max(b / w));
            // At least 1, so that a longer rest never counts less.
            let growth = growth.max(1.0);
            let reached: f64 = texts.iter().zip(&weights).map(|(t, w)| t * w).sum();
            // The sum of g^m for m from 1 to `rest`.
            let terms = rest.min(growth / (growth - 1.0));
            best = best.min(reached.log2() + rest * growth.log2() + terms.log2());
            // Adding the weights themselves keeps the iteration from oscillating.
            let shifted = behind.iter().zip(&weights).map(|(b, w)| b + w);
            let shifted: Vec<f64> = shifted.collect();
            let least = shifted.iter().copied().fold(f64::INFINITY, f64::min);
            weights = shifted.iter().map(|weight| weight / least).collect();
            if weights.iter().any(|weight| *weight > 1e80) {
                // Beyond this, the product with `texts` would overflow.
                break;
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, compile};

    #[test]
    fn what_is_bounded_is_never_below_what_is_counted_and_near_it() {
        for pattern in [
            "[ab]*",
            "(ab)*c|d{3}",
            r"\w+@\w+",
            "[a-z]*[0-9]{1,20}",
            ".*",
            "(a|b)*abb[c-z]*",
            "(aaa|b{5})*",
        ] {
            let format = compile(Source::Regex(pattern)).unwrap();
            let graph = Graph::new(&format.dfa().unwrap());
            let exact = graph.sayable(300, 300);
            assert!(exact.exact, "{pattern}");
            let mut last = f64::INFINITY;
            for counted in [0, 10, 100, 299] {
                let bound = graph.sayable(300, counted);
                assert!(!bound.exact);
                for (bound, exact) in [
                    (bound.words, exact.words),
                    (bound.broken_off, exact.broken_off),
                ] {
                    assert!(
                        (exact - 1e-6..exact + 30.0).contains(&bound),
                        "{pattern} {counted}: {bound} {exact}"
                    );
                }
                assert!(bound.words <= last + 1.0, "{pattern} {counted}");
                last = bound.words;
            }
        }
    }
}

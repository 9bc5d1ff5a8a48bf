//! How many words there are, and so how much somebody can say who may say nothing else.

use formats::{Automaton, Dfa};

/// Steps along transitions that are counted one by one; what lies beyond is extrapolated.
const MOST_STEPS: usize = 1 << 26;

/// The binary logarithm of the number of words of at most `bytes` bytes; negative infinity if there are none.
///
/// Of a language with words without end, more than about 2²⁶ steps are not counted: the rest is taken to grow as fast as
/// the last part that was. The result is then near, and neither above nor below for certain.
#[must_use]
pub fn log2_words(dfa: &Dfa<'_>, bytes: usize) -> f64 {
    // To which states each leads, by how many bytes.
    let edges: Vec<Vec<(usize, f64)>> = dfa
        .all()
        .map(|state| {
            let mut nexts: Vec<usize> = (0..=u8::MAX)
                .filter_map(|byte| dfa.next(state, byte).map(|next| next.index()))
                .collect();
            nexts.sort_unstable();
            let groups = nexts.chunk_by(|a, b| a == b);
            groups.map(|group| (group[0], group.len() as f64)).collect()
        })
        .collect();
    let accepts: Vec<bool> = dfa.all().map(|state| dfa.accepts(state)).collect();
    let all_edges = edges.iter().map(Vec::len).sum::<usize>() + accepts.len();
    // Short rows cost more than their edges.
    let most = (MOST_STEPS / (all_edges + 32)).max(64);
    // Texts that lead to each state, and words, both divided by two to the `exponent`.
    let mut texts = vec![0.0; edges.len()];
    texts[0] = 1.0;
    let mut next = texts.clone();
    let (mut words, mut exponent) = (f64::from(u8::from(accepts[0])), 0.0);
    let log2 = |words: f64, exponent: f64| words.log2() + exponent;
    let mut halfway = f64::NEG_INFINITY;
    let counted = bytes.min(most);
    for length in 1..=counted {
        next.fill(0.0);
        for (count, edges) in texts.iter().zip(&edges).filter(|(count, _)| **count > 0.0) {
            for &(to, bytes) in edges {
                next[to] += count * bytes;
            }
        }
        std::mem::swap(&mut texts, &mut next);
        let largest = texts.iter().copied().fold(0.0, f64::max);
        if largest == 0.0 {
            // The longest word has been counted.
            return log2(words, exponent);
        }
        let accepted = texts.iter().zip(&accepts).filter(|(_, accepts)| **accepts);
        words += accepted.map(|(count, _)| count).sum::<f64>();
        if largest.max(words) > 1e200 {
            let scale = 2f64.powi(-500);
            texts.iter_mut().for_each(|count| *count *= scale);
            words *= scale;
            exponent += 500.0;
        }
        if length == counted / 2 {
            halfway = log2(words, exponent);
        }
    }
    let all = log2(words, exponent);
    let rest = (bytes - counted) as f64;
    let span = (counted - counted / 2) as f64;
    match rest > 0.0 && halfway.is_finite() {
        true => all + rest * (all - halfway) / span,
        false => all,
    }
}

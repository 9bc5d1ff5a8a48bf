//! How well a model predicts a text.

use crate::engine::Runner;
use crate::error::ToolError;

/// Perplexity as `llama-perplexity` of llama.cpp defines it: the tokens are cut into chunks of the context's length.
/// Each is read from its beginning, whose token is replaced by the begin token, and the tokens of its second half
/// count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perplexity {
    /// exp of the mean negative log-likelihood of a token.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
    /// Chunks of the context's length.
    pub chunks: usize,
    /// Tokens that count.
    pub tokens: usize,
}

/// Bits per byte of a text: the negative log-likelihood of all its tokens. Windows of the context's length overlap by
/// half, so every token outside the first window has at least half a context before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BitsPerByte {
    /// Σ −log₂ p over the bytes.
    pub value: f64,
    /// Tokens that count.
    pub tokens: usize,
}

/// How far a model's predictions are from those of a reference, over the tokens that [`Perplexity`] counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Divergence {
    /// Mean over the tokens of the Kullback-Leibler divergence Σ p ln(p / q) in nats, p the reference's, q the model's.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
    /// Fraction of the tokens for which both have the same likeliest token.
    pub same_choice: f64,
    /// Perplexity of the model, and of the reference.
    pub perplexity: [f64; 2],
    /// Chunks of the context's length.
    pub chunks: usize,
    /// Tokens that count.
    pub tokens: usize,
}

/// The largest logit, and ln Σ exp(logit − largest), summed in f64.
fn log_normaliser(logits: &[f32]) -> (f32, f64) {
    let max = logits.iter().fold(f32::NEG_INFINITY, |max, &x| max.max(x));
    let sum: f64 = logits.iter().map(|&x| f64::from(x - max).exp()).sum();
    (max, sum.ln())
}

/// −ln p(token).
fn surprise(logits: &[f32], token: u32) -> f64 {
    let (max, normaliser) = log_normaliser(logits);
    normaliser - f64::from(logits[token as usize] - max)
}

/// Σ p ln(p / q) in nats, p and q the softmax of `reference` and `logits`.
fn kl_divergence(reference: &[f32], logits: &[f32]) -> f64 {
    let ((max_p, normaliser_p), (max_q, normaliser_q)) =
        (log_normaliser(reference), log_normaliser(logits));
    reference
        .iter()
        .zip(logits)
        .map(|(&p, &q)| {
            let ln_p = f64::from(p - max_p) - normaliser_p;
            let ln_q = f64::from(q - max_q) - normaliser_q;
            // A token that the reference excludes adds nothing, whatever the model says about it.
            if ln_p > -700.0 {
                ln_p.exp() * (ln_p - ln_q)
            } else {
                0.0
            }
        })
        .sum()
}

/// The first of the likeliest tokens.
fn choice(logits: &[f32]) -> usize {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best
}

/// The chunks of a text, each of the context's length, with its first token replaced by the begin token if the
/// vocabulary adds one.
#[derive(Clone, Debug)]
pub struct Chunks {
    context: usize,
    chunks: Vec<Vec<u32>>,
}

impl Chunks {
    /// Cuts `tokens` into at most `limit` chunks.
    ///
    /// # Errors
    /// There are fewer than two, or none of their tokens would count.
    pub fn cut(
        tokens: &[u32],
        bos: Option<u32>,
        context: usize,
        limit: usize,
    ) -> Result<Self, ToolError> {
        // The second half of a chunk counts, except its first token.
        if context < 3 || limit == 0 {
            return Err(ToolError::NothingCounts { context, limit });
        }
        if tokens.len() < 2 * context {
            return Err(ToolError::TextTooShort {
                tokens: tokens.len(),
                needed: 2 * context,
            });
        }
        let chunks = tokens.chunks_exact(context).take(limit);
        let chunks = chunks.map(|chunk| {
            let mut chunk = chunk.to_vec();
            if let (Some(bos), Some(first)) = (bos, chunk.first_mut()) {
                *first = bos;
            }
            chunk
        });
        Ok(Self {
            context,
            chunks: chunks.collect(),
        })
    }

    /// Number of chunks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether there are no chunks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Tokens per chunk.
    #[must_use]
    pub const fn context(&self) -> usize {
        self.context
    }

    /// All chunks.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.chunks.iter().map(Vec::as_slice)
    }
}

/// Runs a sequence from its beginning: the tokens before `first` without logits, then the rest, as many at a time as
/// the models accept. After each, `seen` gets the models and the positions of their logits. The last token predicts
/// nothing and is left out.
fn read<const N: usize>(
    runners: &mut [&mut Runner<'_>; N],
    tokens: &[u32],
    first: usize,
    seen: &mut dyn FnMut(&[&mut Runner<'_>; N], usize, usize),
) -> Result<(), ToolError> {
    for runner in runners.iter() {
        runner.check(tokens)?;
    }
    let tokens = &tokens[..tokens.len() - 1];
    let (before, after) = tokens.split_at(first.min(tokens.len()));
    for runner in runners.iter_mut() {
        let batch = runner.model().batch();
        for (n, part) in before.chunks(batch).enumerate() {
            runner.feed_unseen(part, n * batch)?;
        }
    }
    let at_once = runners.iter().map(|runner| runner.most_logits()).min();
    let at_once = at_once.unwrap_or(1);
    for (n, part) in after.chunks(at_once).enumerate() {
        let start = before.len() + n * at_once;
        for runner in runners.iter_mut() {
            runner.feed_each(part, start)?;
        }
        seen(runners, start, part.len());
    }
    Ok(())
}

/// Perplexity of the chunks; `progress` gets the number done.
///
/// # Errors
/// The model cannot process a token or value.
pub fn perplexity(
    runner: &mut Runner<'_>,
    chunks: &Chunks,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Perplexity, ToolError> {
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0usize);
    for (index, chunk) in chunks.iter().enumerate() {
        let runners = &mut [&mut *runner];
        read(
            runners,
            chunk,
            chunks.context / 2,
            &mut |[runner], start, len| {
                for n in 0..len {
                    let nll = surprise(runner.logits(n), chunk[start + n + 1]);
                    sum += nll;
                    squares += nll * nll;
                    count += 1;
                }
            },
        )?;
        progress(index + 1, chunks.len());
    }
    let (mean, error) = mean_and_error(sum, squares, count);
    let value = mean.exp();
    Ok(Perplexity {
        value,
        error: value * error,
        chunks: chunks.len(),
        tokens: count,
    })
}

/// The mean of `count` values, and its standard error.
fn mean_and_error(sum: f64, squares: f64, count: usize) -> (f64, f64) {
    let mean = sum / count as f64;
    let variance = (squares / count as f64 - mean * mean).max(0.0);
    (mean, (variance / (count as f64 - 1.0)).sqrt())
}

/// How far `runner` is from `reference` on a text, over the tokens that [`perplexity`] counts. Both must have the same
/// vocabulary, and the chunks must not exceed either context.
///
/// # Errors
/// One of the models cannot process a token or value.
pub fn divergence<'m>(
    runner: &mut Runner<'m>,
    reference: &mut Runner<'m>,
    chunks: &Chunks,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Divergence, ToolError> {
    let (mut sum, mut squares, mut same, mut count) = (0.0, 0.0, 0usize, 0usize);
    let mut nll = [0.0; 2];
    for (index, chunk) in chunks.iter().enumerate() {
        let runners = &mut [&mut *runner, &mut *reference];
        read(
            runners,
            chunk,
            chunks.context / 2,
            &mut |[ours, theirs], start, len| {
                for n in 0..len {
                    let (ours, theirs) = (ours.logits(n), theirs.logits(n));
                    let next = chunk[start + n + 1];
                    let kl = kl_divergence(theirs, ours);
                    sum += kl;
                    squares += kl * kl;
                    same += usize::from(choice(ours) == choice(theirs));
                    nll[0] += surprise(ours, next);
                    nll[1] += surprise(theirs, next);
                    count += 1;
                }
            },
        )?;
        progress(index + 1, chunks.len());
    }
    let (mean, error) = mean_and_error(sum, squares, count);
    Ok(Divergence {
        mean,
        error,
        same_choice: same as f64 / count as f64,
        perplexity: nll.map(|nll| (nll / count as f64).exp()),
        chunks: chunks.len(),
        tokens: count,
    })
}

/// Bits per byte of a text of `bytes` bytes; `progress` gets the number of tokens done.
///
/// # Errors
/// There are fewer than two tokens, or the model cannot process one or a value.
pub fn bits_per_byte(
    runner: &mut Runner<'_>,
    tokens: &[u32],
    bos: Option<u32>,
    context: usize,
    bytes: usize,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<BitsPerByte, ToolError> {
    if tokens.len() < 2 {
        return Err(ToolError::TextTooShort {
            tokens: tokens.len(),
            needed: 2,
        });
    }
    let reserved = usize::from(bos.is_some());
    let stride = (context / 2).max(1);
    // Without a begin token, nothing predicts the first token.
    let mut scored = 1 - reserved;
    let first = scored;
    let (mut sum, mut start) = (0.0, 0);
    while scored < tokens.len() {
        let end = (start + context - reserved).min(tokens.len());
        let window: Vec<u32> = bos
            .into_iter()
            .chain(tokens[start..end].iter().copied())
            .collect();
        // The position whose logits predict the first token not counted yet.
        let from = (scored + reserved).saturating_sub(start + 1);
        read(
            &mut [&mut *runner],
            &window,
            from,
            &mut |[runner], at, len| {
                for n in 0..len {
                    sum += surprise(runner.logits(n), window[at + n + 1]);
                }
            },
        )?;
        scored = end;
        start += stride;
        progress(scored, tokens.len());
    }
    Ok(BitsPerByte {
        value: sum / std::f64::consts::LN_2 / bytes.max(1) as f64,
        tokens: tokens.len() - first,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_is_zero_for_the_same_and_what_the_definition_says_else() {
        let (p, q) = ([0.5f32, 1.5, -2.0, 0.0], [0.0f32, 2.0, -1.0, 0.5]);
        assert!(kl_divergence(&p, &p).abs() < 1e-12);
        // Softmax ignores a constant added to all logits.
        assert!(kl_divergence(&p, &p.map(|x| x + 3.0)).abs() < 1e-6);
        let softmax = |x: &[f32]| -> Vec<f64> {
            let exps: Vec<f64> = x.iter().map(|&x| f64::from(x).exp()).collect();
            let sum: f64 = exps.iter().sum();
            exps.into_iter().map(|e| e / sum).collect()
        };
        let expected: f64 = softmax(&p)
            .into_iter()
            .zip(softmax(&q))
            .map(|(p, q)| p * (p / q).ln())
            .sum();
        assert!((kl_divergence(&p, &q) - expected).abs() < 1e-12);
        assert!(kl_divergence(&[-3e38, 0.0], &[5.0, 0.0]).is_finite());
    }

    #[test]
    fn surprise_is_the_negative_logarithm_of_softmax() {
        let logits = [1.0f32, 2.0, 3.0];
        let sum: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        for (token, &logit) in logits.iter().enumerate() {
            let expected = -(f64::from(logit).exp() / sum).ln();
            assert!((surprise(&logits, token as u32) - expected).abs() < 1e-12);
        }
        assert!(surprise(&[-3e38, 3e38], 0).is_infinite() || surprise(&[-3e38, 3e38], 0) > 1e38);
    }
}

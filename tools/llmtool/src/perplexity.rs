//! How well a model foresees a text.

use crate::engine::Runner;
use crate::error::ToolError;

/// Perplexity as `llama-perplexity` of llama.cpp defines it: the tokens are cut into chunks of the
/// context; each is read from its beginning, whose token becomes the one for the beginning of text,
/// and the tokens of its second half count.
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

/// Bits that a model needs for each byte of a text: the negative log-likelihood of all its tokens.
/// Windows of the context follow at half their length, so that every token but those of the first has
/// half a context before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BitsPerByte {
    /// Σ −log₂ p over the bytes.
    pub value: f64,
    /// Tokens that count.
    pub tokens: usize,
}

/// −ln p(token), with the sum of exponentials in f64.
fn surprise(logits: &[f32], token: u32) -> f64 {
    let max = logits.iter().fold(f32::NEG_INFINITY, |max, &x| max.max(x));
    let sum: f64 = logits.iter().map(|&x| f64::from(x - max).exp()).sum();
    sum.ln() - f64::from(logits[token as usize] - max)
}

/// Perplexity of `tokens` in at most `limit` chunks of `context`; `progress` is told how many are done.
///
/// # Errors
/// Fewer than two chunks, or a token or value that the model cannot work with.
pub fn perplexity(
    runner: &mut Runner<'_>,
    tokens: &[u32],
    bos: Option<u32>,
    context: usize,
    limit: usize,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Perplexity, ToolError> {
    if tokens.len() < 2 * context {
        return Err(ToolError::TextTooShort {
            tokens: tokens.len(),
            needed: 2 * context,
        });
    }
    let chunks = (tokens.len() / context).min(limit);
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0usize);
    for (index, chunk) in tokens.chunks_exact(context).take(chunks).enumerate() {
        let mut chunk = chunk.to_vec();
        if let (Some(bos), Some(first)) = (bos, chunk.first_mut()) {
            *first = bos;
        }
        runner.check(&chunk)?;
        for (position, pair) in chunk.windows(2).enumerate() {
            let logits = runner.feed(pair[0], position)?;
            if position >= context / 2 {
                let nll = surprise(logits, pair[1]);
                sum += nll;
                squares += nll * nll;
                count += 1;
            }
        }
        progress(index + 1, chunks);
    }
    let mean = sum / count as f64;
    let variance = (squares / count as f64 - mean * mean).max(0.0);
    let value = mean.exp();
    Ok(Perplexity {
        value,
        error: value * (variance / (count as f64 - 1.0)).sqrt(),
        chunks,
        tokens: count,
    })
}

/// Bits per byte of a text of `bytes` bytes; `progress` is told how many tokens are done.
///
/// # Errors
/// Fewer than two tokens, or one or a value that the model cannot work with.
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
    // Without a token for the beginning of text nothing foresees the first.
    let mut scored = 1 - reserved;
    let first = scored;
    let (mut sum, mut start) = (0.0, 0);
    while scored < tokens.len() {
        let end = (start + context - reserved).min(tokens.len());
        let window: Vec<u32> = bos
            .into_iter()
            .chain(tokens[start..end].iter().copied())
            .collect();
        runner.check(&window)?;
        for (position, pair) in window.windows(2).enumerate() {
            let logits = runner.feed(pair[0], position)?;
            // Which of `tokens` it foresees.
            if start + position + 1 - reserved >= scored {
                sum += surprise(logits, pair[1]);
            }
        }
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

//! A forward pass in f64, written only from the description of a model. It is slow, and uses nothing of the engine
//! except the values of tensors and the rotation angles. Gradients are compared with differences of its loss.

use crate::gguf::Gguf;
use crate::quantize::dequantize_row;
use crate::transformer::{Activation, Config, Gate, HeadNorm, NormKind, NormPlaces, Residual};
use std::format;
use std::vec;
use std::vec::Vec;

/// An adapter of a matrix: A \[rank, columns\], B \[rank, rows\], as in the engine.
pub struct Low {
    pub a: Vec<f64>,
    pub b: Vec<f64>,
}

/// Finds the adapter of a matrix by block and name.
pub type Adapters<'a> = dyn Fn(usize, &str) -> Option<Low> + 'a;

pub struct Reference<'f> {
    pub gguf: Gguf<'f>,
    pub config: Config,
    /// α / rank
    pub scale: f64,
}

type Rows = Vec<Vec<f64>>;

impl Reference<'_> {
    fn values(&self, name: &str) -> Option<Vec<f64>> {
        let tensor = self.gguf.tensor(name)?;
        let mut values = vec![0.0f32; tensor.elements() as usize];
        dequantize_row(tensor.ty, tensor.data, &mut values).expect("values");
        Some(values.into_iter().map(f64::from).collect())
    }

    /// Rows `from..from + rows` of W · x + b, with an adapter.
    fn product(
        &self,
        layer: usize,
        tensor: &str,
        part: (&str, usize, usize),
        x: &Rows,
        adapters: &Adapters<'_>,
    ) -> Rows {
        let (name, from, rows) = part;
        let weights = self
            .values(&format!("blk.{layer}.{tensor}.weight"))
            .expect("a matrix");
        let bias = self.values(&format!("blk.{layer}.{tensor}.bias"));
        let low = adapters(layer, name);
        x.iter()
            .map(|x| {
                let columns = x.len();
                let dot = |w: &[f64]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
                let low: Option<(Vec<f64>, &Low)> = low.as_ref().map(|low| {
                    (
                        low.a.chunks(columns).map(|a| dot(a) * self.scale).collect(),
                        low,
                    )
                });
                (0..rows)
                    .map(|row| {
                        let w = &weights[(from + row) * columns..][..columns];
                        let bias = bias.as_ref().map_or(0.0, |bias| bias[from + row]);
                        let more = low.as_ref().map_or(0.0, |(t, low)| {
                            t.iter()
                                .enumerate()
                                .map(|(j, t)| low.b[j * rows + row] * t)
                                .sum()
                        });
                        dot(w) + bias + more
                    })
                    .collect()
            })
            .collect()
    }

    fn normed(&self, x: &[f64], weight: &[f64], bias: Option<&[f64]>) -> Vec<f64> {
        let n = x.len() as f64;
        let epsilon = f64::from(self.config.epsilon);
        let mean = match self.config.block.norm {
            NormKind::Rms => 0.0,
            NormKind::Layer => x.iter().sum::<f64>() / n,
        };
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let root = (variance + epsilon).sqrt();
        x.iter()
            .enumerate()
            .map(|(i, x)| (x - mean) / root * weight[i] + bias.map_or(0.0, |bias| bias[i]))
            .collect()
    }

    fn norm(&self, name: &str, x: &Rows) -> Rows {
        let Some(weight) = self.values(&format!("{name}.weight")) else {
            return x.clone();
        };
        let bias = self.values(&format!("{name}.bias"));
        x.iter()
            .map(|x| self.normed(x, &weight, bias.as_deref()))
            .collect()
    }

    fn head_norm(&self, name: &str, heads: usize, x: &mut Rows) {
        let size = self.config.head_size;
        let part = match self.config.block.heads {
            HeadNorm::None => return,
            HeadNorm::Whole => heads * size,
            HeadNorm::PerHead | HeadNorm::EachHead => size,
        };
        let weight = self.values(&format!("{name}.weight")).expect("a norm");
        for x in x {
            for (n, head) in x.chunks_mut(part).enumerate() {
                let weight = weight.chunks(part).cycle().nth(n).expect("a weight");
                let normed = self.normed(head, weight, None);
                head.copy_from_slice(&normed);
            }
        }
    }

    fn rotate(&self, layer: usize, x: &mut Rows) {
        let Some(rope) = self
            .config
            .rope
            .filter(|rope| !rope.without.contains(layer))
        else {
            return;
        };
        let windowed = rope.windowed.filter(|_| self.config.has_window(layer));
        let angles = windowed.unwrap_or(rope.angles);
        let pairs = rope.size / 2;
        for (position, x) in x.iter_mut().enumerate() {
            let mut table = vec![[0.0f32; 2]; pairs];
            angles.fill(position as u32, &[], &mut table);
            for head in x.chunks_mut(self.config.head_size) {
                for (i, [cos, sin]) in table.iter().enumerate() {
                    let (a, b) = match rope.halves {
                        true => (i, i + pairs),
                        false => (2 * i, 2 * i + 1),
                    };
                    let (cos, sin) = (f64::from(*cos), f64::from(*sin));
                    let (x, y) = (head[a], head[b]);
                    (head[a], head[b]) = (x * cos - y * sin, x * sin + y * cos);
                }
            }
        }
    }

    fn attention(&self, layer: usize, q: &Rows, k: &Rows, v: &Rows) -> Rows {
        let config = &self.config;
        let size = config.head_size;
        let scale = f64::from(config.scales.scores);
        (0..q.len())
            .map(|t| {
                let first = config.first_attended(layer, t);
                let mut out = Vec::new();
                for head in 0..config.heads {
                    let of = head * config.kv_heads / config.heads * size;
                    let query = &q[t][head * size..][..size];
                    let scores: Vec<f64> = (first..=t)
                        .map(|s| {
                            let key = &k[s][of..][..size];
                            let score =
                                scale * query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>();
                            match config.caps.scores.map(f64::from) {
                                Some(cap) => cap * (score / cap).tanh(),
                                None => score,
                            }
                        })
                        .collect();
                    let max = scores.iter().copied().fold(f64::MIN, f64::max);
                    let sum: f64 = scores.iter().map(|score| (score - max).exp()).sum();
                    for i in 0..size {
                        let weighed = scores
                            .iter()
                            .enumerate()
                            .map(|(s, score)| (score - max).exp() / sum * v[first + s][of + i]);
                        out.push(weighed.sum());
                    }
                }
                out
            })
            .collect()
    }

    fn activation(&self, x: f64) -> f64 {
        match self.config.block.activation {
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::Gelu => {
                let u = (2.0 / core::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                0.5 * x * (1.0 + u.tanh())
            }
        }
    }

    /// The mean loss of the tokens from `first`, and the logits of all positions.
    pub fn loss(&self, tokens: &[u32], first: usize, adapters: &Adapters<'_>) -> (f64, Rows) {
        let config = &self.config;
        let block = config.block;
        let width = config.width;
        let embedding = self.values("token_embd.weight").expect("an embedding");
        let learned = self.values("position_embd.weight");
        let by = config.scales.embedding.map_or(1.0, f64::from);
        let mut x: Rows = tokens[..tokens.len() - 1]
            .iter()
            .enumerate()
            .map(|(position, &id)| {
                (0..width)
                    .map(|i| {
                        let learned = learned.as_ref().map_or(0.0, |p| p[position * width + i]);
                        embedding[id as usize * width + i] * by + learned
                    })
                    .collect()
            })
            .collect();
        let residual = config.scales.residual.map_or(1.0, f64::from);
        let add = |x: &Rows, y: &Rows| -> Rows {
            let rows = x.iter().zip(y);
            rows.map(|(x, y)| x.iter().zip(y).map(|(x, y)| x + y * residual).collect())
                .collect()
        };
        let (queries, keys, inner) = (config.query_width(), config.kv_width(), config.feed_forward);
        for layer in 0..config.layers {
            let name = |tensor: &str| format!("blk.{layer}.{tensor}");
            let h = match block.places {
                NormPlaces::After => x.clone(),
                _ => self.norm(&name("attn_norm"), &x),
            };
            let fused = self.gguf.tensor(&name("attn_qkv.weight")).is_some();
            let [mut q, mut k, v] = match fused {
                true => [
                    ("q", 0, queries),
                    ("k", queries, keys),
                    ("v", queries + keys, keys),
                ]
                .map(|part| self.product(layer, "attn_qkv", part, &h, adapters)),
                false => [
                    ("attn_q", ("q", 0, queries)),
                    ("attn_k", ("k", 0, keys)),
                    ("attn_v", ("v", 0, keys)),
                ]
                .map(|(tensor, part)| self.product(layer, tensor, part, &h, adapters)),
            };
            self.head_norm(&name("attn_q_norm"), config.heads, &mut q);
            self.head_norm(&name("attn_k_norm"), config.kv_heads, &mut k);
            self.rotate(layer, &mut q);
            self.rotate(layer, &mut k);
            let attended = self.attention(layer, &q, &k, &v);
            let out = self.product(
                layer,
                "attn_output",
                ("output", 0, width),
                &attended,
                adapters,
            );
            let middle = add(
                &x,
                &self.norm_if(
                    block.places != NormPlaces::Before,
                    &name("post_attention_norm"),
                    &out,
                ),
            );
            let entered = match (block.residual, block.places) {
                (Residual::Sequential, NormPlaces::After) => middle.clone(),
                (Residual::Sequential, _) => self.norm(&name("ffn_norm"), &middle),
                (Residual::Parallel, _) => self.norm(&name("ffn_norm"), &x),
                (Residual::Shared, _) => h.clone(),
            };
            let up_first = if block.gate == Gate::InUp { inner } else { 0 };
            let up = self.product(layer, "ffn_up", ("up", up_first, inner), &entered, adapters);
            let gate = match block.gate {
                Gate::None => None,
                Gate::Own => {
                    Some(self.product(layer, "ffn_gate", ("gate", 0, inner), &entered, adapters))
                }
                Gate::InUp => {
                    Some(self.product(layer, "ffn_up", ("gate", 0, inner), &entered, adapters))
                }
            };
            let activated: Rows = up
                .iter()
                .enumerate()
                .map(|(t, up)| {
                    up.iter()
                        .enumerate()
                        .map(|(i, up)| match &gate {
                            Some(gate) => self.activation(gate[t][i]) * up,
                            None => self.activation(*up),
                        })
                        .collect()
                })
                .collect();
            let down = self.product(layer, "ffn_down", ("down", 0, width), &activated, adapters);
            x = add(
                &middle,
                &self.norm_if(
                    block.places != NormPlaces::Before,
                    &name("post_ffw_norm"),
                    &down,
                ),
            );
        }
        let x = self.norm("output_norm", &x);
        let output = self.values("output.weight").unwrap_or(embedding);
        let bias = self.values("output.bias");
        let by = config.scales.logits.map_or(1.0, f64::from);
        let logits: Rows = x
            .iter()
            .map(|x| {
                output
                    .chunks(width)
                    .enumerate()
                    .map(|(row, w)| {
                        let bias = bias.as_ref().map_or(0.0, |bias| bias[row]);
                        let logit = (w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias) * by;
                        match config.caps.logits.map(f64::from) {
                            Some(cap) => cap * (logit / cap).tanh(),
                            None => logit,
                        }
                    })
                    .collect()
            })
            .collect();
        let losses = (first..tokens.len()).map(|n| {
            let logits: &Vec<f64> = &logits[n - 1];
            let max = logits.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = logits.iter().map(|logit| (logit - max).exp()).sum();
            sum.ln() + max - logits[tokens[n] as usize]
        });
        (losses.sum::<f64>() / (tokens.len() - first) as f64, logits)
    }

    fn norm_if(&self, has: bool, name: &str, x: &Rows) -> Rows {
        match has {
            true => self.norm(name, x),
            false => x.clone(),
        }
    }
}

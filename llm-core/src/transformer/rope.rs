//! Rotary position embedding: the angles by which queries and keys are rotated.
//!
//! At position p, pair i is rotated by p · scale · base^(−2i/n) / f_i, with f_i from the file or 1. YaRN interpolates
//! between that and the unscaled angle: wavelengths that the model has seen in full are not scaled (Peng et al.,
//! *YaRN*, 2023). Other sources: Su et al., *RoFormer* (2021), for the rotation itself; Ding et al., *LongRoPE* (2024),
//! for factors that depend on the context.

use super::LoadError;
use super::families::{Factors, PositionKind, WindowRule};
use super::reading::{Blocks, Keys};
use crate::gguf;

/// Rotations over the original context at which YaRN stops and starts to scale a pair.
const YARN_BETAS: [f32; 2] = [32.0, 1.0];

/// Rotary position embedding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// Number of rotated elements in a head.
    pub size: usize,
    /// Whether element i is paired with i + size/2 (NEOX) instead of 2i with 2i + 1.
    pub halves: bool,
    /// Blocks that do not rotate.
    pub without: Blocks,
    /// The angles of blocks that attend to all positions.
    pub angles: Angles,
    /// The angles of blocks with a window, if different.
    pub windowed: Option<Angles>,
    /// Divisors of `angles`.
    pub divisors: Divisors,
}

/// How angles are computed from positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Angles {
    /// Base of the wavelengths.
    pub base: f32,
    /// Factor for positions; 1 for none.
    pub scale: f32,
    /// Factor for cosine and sine, and so for queries and keys.
    pub magnitude: f32,
    /// The pairs between which YaRN changes from unscaled to scaled.
    pub yarn: Option<[f32; 2]>,
}

/// Divisors of angles, from tensors of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divisors {
    /// No divisors.
    None,
    /// `rope_freqs`, if present.
    Frequencies,
    /// `rope_factors_short` if the model is loaded with a context up to `original`, otherwise `rope_factors_long`.
    ByContext {
        /// Context of the original training.
        original: usize,
    },
}

impl Rope {
    /// Tables of angles that a token needs: [`Self::angles`], and [`Self::windowed`] if different.
    #[must_use]
    pub const fn tables(&self) -> usize {
        1 + self.windowed.is_some() as usize
    }

    pub(super) fn read(
        keys: &Keys<'_, '_>,
        head_size: u32,
        context_length: u32,
    ) -> Result<Option<Self>, LoadError> {
        let PositionKind::Rotated {
            halves,
            except_each,
            methods,
            factors,
        } = keys.family.positions
        else {
            return Ok(None);
        };
        let size = keys.positive("rope.dimension_count", Some(head_size), head_size)?;
        if size % 2 != 0 {
            return keys.refuse("rope.dimension_count", size);
        }
        let key = keys.full("rope.scaling.type");
        // A file that names no method means this one.
        let method = keys.gguf.str_opt(&key)?.unwrap_or("linear");
        if !methods.contains(&method) {
            return Err(LoadError::Method {
                key: gguf::name(&key),
                value: gguf::name(method),
            });
        }
        let key = "rope.scaling.original_context_length";
        let original = keys.positive(key, Some(context_length), u32::MAX)?;
        let angles = Angles::read(keys, method, size, original)?;
        let window = keys.family.window.as_ref();
        let windowed = window.map(|rule| angles.in_window(keys, rule));
        let rotates = keys.truth("rope.scaling.finetuned")?.unwrap_or(true);
        Ok(Some(Self {
            size: size as usize,
            halves,
            without: match (rotates, except_each) {
                (false, _) => Blocks::ALL,
                (true, Some(n)) => Blocks::of(|block| (block + 1) % n == 0),
                (true, None) => Blocks::NONE,
            },
            angles,
            windowed: windowed.transpose()?.filter(|windowed| *windowed != angles),
            divisors: divisors(keys, factors, method, original as usize),
        }))
    }
}

/// Which divisors a file has. Those by context may be missing only if no method requires them.
fn divisors(keys: &Keys<'_, '_>, factors: Factors, method: &str, original: usize) -> Divisors {
    let is_long = method == "longrope";
    let has = || keys.gguf.tensor("rope_factors_long.weight").is_some();
    match factors {
        Factors::None => Divisors::None,
        Factors::ByMethod if is_long => Divisors::ByContext { original },
        Factors::ByMethod => Divisors::Frequencies,
        Factors::ShortAndLong if is_long || has() => Divisors::ByContext { original },
        Factors::ShortAndLong => Divisors::None,
    }
}

impl Angles {
    fn read(
        keys: &Keys<'_, '_>,
        method: &str,
        size: u32,
        original: u32,
    ) -> Result<Self, LoadError> {
        let base = keys.fraction("rope.freq_base", Some(10_000.0))?;
        let scale = match method {
            "none" => 1.0,
            _ => linear_scale(keys)?,
        };
        let mut magnitude = keys.factor("rope.scaling.attn_factor")?.unwrap_or(1.0);
        let yarn = (method == "yarn").then(|| yarn(size, original, base));
        if yarn.is_some() && scale < 1.0 {
            magnitude *= 1.0 + 0.1 * libm::logf(1.0 / scale);
        }
        Ok(Self {
            base,
            scale,
            magnitude,
            yarn,
        })
    }

    /// The angles of blocks with a window.
    fn in_window(self, keys: &Keys<'_, '_>, rule: &WindowRule) -> Result<Self, LoadError> {
        let base = keys.divisor("rope.freq_base_swa")?.or(rule.base);
        let base = base.unwrap_or(self.base);
        Ok(match rule.scaled {
            true => Self { base, ..self },
            false => Self {
                base,
                scale: 1.0,
                magnitude: 1.0,
                yarn: None,
            },
        })
    }

    /// Fills `pairs` with [`Self::each`].
    pub(super) fn fill(&self, position: u32, divisors: &[f32], pairs: &mut [[f32; 2]]) {
        self.each(position, divisors, pairs.len(), |i, pair| pairs[i] = pair);
    }

    /// (cos, sin) · magnitude for each of `pairs` pairs at `position`. Powers are computed by repeated multiplication,
    /// like ggml's `ggml_rope_cache_init`, so that the angles match.
    pub(super) fn each(
        &self,
        position: u32,
        divisors: &[f32],
        pairs: usize,
        mut take: impl FnMut(usize, [f32; 2]),
    ) {
        let step = libm::powf(self.base, -2.0 / (2 * pairs) as f32);
        let mut theta = position as f32;
        for i in 0..pairs {
            let plain = divisors.get(i).map_or(theta, |divisor| theta / divisor);
            let angle = self.angle(i, plain);
            take(
                i,
                [libm::cosf(angle), libm::sinf(angle)].map(|x| x * self.magnitude),
            );
            theta *= step;
        }
    }

    /// The angle of pair i, given its unscaled angle `plain`.
    fn angle(&self, i: usize, plain: f32) -> f32 {
        let scaled = self.scale * plain;
        let Some([low, high]) = self.yarn else {
            return scaled;
        };
        let ramp = (i as f32 - low) / f32::max(0.001, high - low);
        let mix = 1.0 - ramp.clamp(0.0, 1.0);
        scaled * (1.0 - mix) + plain * mix
    }
}

/// The pairs where YaRN begins and ends scaling: those that rotate [`YARN_BETAS`] times over the original context.
fn yarn(size: u32, original: u32, base: f32) -> [f32; 2] {
    let pair = |turns: f32| {
        let turned = original as f32 / (turns * 2.0 * core::f32::consts::PI);
        size as f32 * libm::logf(turned) / (2.0 * libm::logf(base))
    };
    let [fast, slow] = YARN_BETAS.map(pair);
    let low = f32::max(0.0, libm::floorf(fast));
    let high = f32::min((size - 1) as f32, libm::ceilf(slow));
    [low, high]
}

/// Factor for scaled positions: the inverse of the file's factor.
fn linear_scale(keys: &Keys<'_, '_>) -> Result<f32, LoadError> {
    let newer = keys.full("rope.scaling.factor");
    let factor = match keys.gguf.get(&newer) {
        Some(_) => keys.factor("rope.scaling.factor")?,
        None => keys.factor("rope.scale_linear")?,
    };
    Ok(factor.map_or(1.0, |factor| 1.0 / factor))
}

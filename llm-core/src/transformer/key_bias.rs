//! Selects the key biases that an 8-bit cache leaves out (see [`crate::simd::key_bias`]), and removes them from the
//! loaded weights.

use super::MAX_LAYERS;
use super::config::Config;
use super::families::HeadNorm;
use super::rope::Rope;
use super::weights::Weights;
use crate::arena::{Arena, ArenaError, Purpose, Span, bytes_of};
use crate::kv_cache::{BLOCK_POSITIONS, KvShape, KvType};
use crate::simd::key_bias::pair;
use crate::team::LeftOut;

/// A pair of elements is left out if one of its biases is at least this large. The largest key of a head without biases
/// is about 10; smaller biases widen the steps of the 8 bits by less than half of that. A lower limit costs time,
/// because each pair left out costs as much as sixteen 8-bit elements.
pub(super) const LARGE: f32 = 4.0;

/// The biases left out, and the angles of all positions.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyBias {
    /// \[layers, kv_heads, head_size\]
    values: Span<f32>,
    /// See [`crate::simd::key_bias::KeyBias`].
    angles: Span<f32>,
    /// A bit for each layer that leaves something out.
    layers: u64,
}

const _: () = assert!(MAX_LAYERS <= u64::BITS as usize);

/// Number of floats for values and for angles; `None` if the model or the cache does not need them.
fn lengths(config: &Config, biased: bool, kv: &KvShape) -> Option<[usize; 2]> {
    let any = || (0..config.layers).any(|layer| can_leave_out(config, layer));
    let rope = config
        .rope
        .filter(|_| biased && kv.ty == KvType::Q8 && any())?;
    let positions = kv.context.next_multiple_of(BLOCK_POSITIONS);
    Some([config.layers * config.kv_width(), rope.size * positions])
}

/// Size in the arena in bytes. `biased`: whether keys have biases.
pub(super) fn bytes(config: &Config, biased: bool, kv: &KvShape) -> u64 {
    let lengths = lengths(config, biased, kv).unwrap_or_default();
    lengths.iter().fold(0, |sum: u64, &len| {
        sum.saturating_add(bytes_of::<f32>(len).unwrap_or(usize::MAX) as u64)
    })
}

impl KeyBias {
    /// Moves the large biases out of `weights`.
    pub(super) fn take(
        config: &Config,
        weights: &Weights,
        kv: &KvShape,
        arena: &mut Arena<'_>,
    ) -> Result<Option<Self>, ArenaError> {
        let lengths = lengths(config, weights.has_key_biases(), kv);
        let (Some([values, angles]), Some(rope)) = (lengths, config.rope) else {
            return Ok(None);
        };
        let weights_end = arena.mark();
        let mut taken = Self {
            values: arena.alloc(values, Purpose::KvCache)?,
            angles: arena.alloc(angles, Purpose::KvCache)?,
            layers: 0,
        };
        arena.get_mut(taken.values).fill(0.0);
        for (index, layer) in weights.layers.iter().enumerate() {
            let Some(bias) = layer.key.bias.filter(|_| can_leave_out(config, index)) else {
                continue;
            };
            let values = taken.values.part(index * bias.len(), bias.len());
            for head in 0..config.kv_heads {
                let head = |span: Span<f32>| span.part(head * config.head_size, config.head_size);
                let any = take_from_head(&rope, head(bias), head(values), arena);
                taken.layers |= u64::from(any) << index;
            }
        }
        let (frozen, mut working) = arena.split(weights_end);
        let divisors = weights.divisors(&rope, kv.context);
        let divisors = divisors.map_or(&[][..], |span| frozen.get(span));
        let angles = working.get_mut(taken.angles);
        let positions = angles.len() / rope.size;
        for position in 0..positions {
            let take = |i: usize, [cos, sin]: [f32; 2]| {
                angles[2 * i * positions + position] = cos;
                angles[(2 * i + 1) * positions + position] = sin;
            };
            let position = position as u32;
            rope.angles.each(position, divisors, rope.size / 2, take);
        }
        Ok(Some(taken))
    }

    /// What layer `index` leaves out; `None` if nothing.
    pub(super) fn of_layer(&self, index: usize, config: &Config) -> Option<LeftOut> {
        let rope = config.rope?;
        let width = config.kv_width();
        (self.layers >> index & 1 == 1).then(|| LeftOut {
            values: self.values.part(index * width, width),
            angles: self.angles,
            pairs: rope.size / 2,
            halves: rope.halves,
        })
    }
}

/// Whether this layer's biases can be added to the scores later: keys have no norm and are rotated according to the
/// table of angles, and scores have no cap.
fn can_leave_out(config: &Config, layer: usize) -> bool {
    let rotated = |rope: Rope| {
        let others = config.has_window(layer) && rope.windowed.is_some();
        !others && !rope.without.contains(layer)
    };
    config.rope.is_some_and(rotated)
        && config.block.heads == HeadNorm::None
        && config.caps.scores.is_none()
}

/// Moves the large biases of a head from `bias` to `values`; true if any of them belongs to a rotated pair.
fn take_from_head(rope: &Rope, bias: Span<f32>, values: Span<f32>, arena: &mut Arena<'_>) -> bool {
    let mut any = false;
    let pairs = rope.size / 2;
    for i in 0..pairs {
        let elements = pair(i, pairs, rope.halves);
        let biases = elements.map(|element| arena.get(bias)[element]);
        if biases.iter().any(|bias| bias.abs() >= LARGE) {
            any = true;
            for (element, value) in elements.into_iter().zip(biases) {
                arena.get_mut(values)[element] = value;
                arena.get_mut(bias)[element] = 0.0;
            }
        }
    }
    // Equal for every position, so softmax ignores it.
    for bias in &mut arena.get_mut(bias)[rope.size..] {
        if bias.abs() >= LARGE {
            *bias = 0.0;
        }
    }
    any
}

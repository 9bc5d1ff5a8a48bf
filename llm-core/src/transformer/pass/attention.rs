//! Attention: rotation, the cache, and the heads.

use super::Pass;
use crate::arena::Span;
use crate::quantize::NonFinite;
use crate::team::{Attend, Job, MAX_PLACES, Place, Places, Rotate, Store, Team};
use crate::transformer::buffers::Buffers;
use crate::transformer::steps::{Stepwise, Stop};
use core::ops::Range;

impl<T: Team> Pass<'_, T> {
    /// Rotates the pairs of every head by the angles of its token's position, in blocks that use rotation.
    pub(super) fn rotate(
        &mut self,
        index: usize,
        heads: Span<f32>,
        width: usize,
    ) -> Result<(), NonFinite> {
        let config = &self.model.config;
        let Some(rope) = config.rope.filter(|rope| !rope.without.contains(index)) else {
            return Ok(());
        };
        let pairs = rope.size / 2;
        let windowed = config.has_window(index) && rope.windowed.is_some();
        let tokens = self.tokens.len();
        let tables = rope.tables() * pairs;
        let job = Rotate {
            tokens,
            heads: heads.part(0, tokens * width),
            head_size: config.head_size,
            rotation: self.model.buffers.rotation.part(0, tokens * tables),
            start: if windowed { pairs } else { 0 },
            pairs,
            halves: rope.halves,
        };
        self.run_by_token(&Job::Rotate(job), width)
    }

    /// The places of some tokens of the batch.
    fn places(&self, tokens: Range<usize>, layer: usize) -> Places {
        let place = |t: usize| {
            let token = self.tokens[t];
            let position = token.position as usize;
            Place {
                session: token.session.into(),
                position: token.position,
                first: self.model.config.first_attended(layer, position) as u32,
                removed: self.removed >> t & 1 == 1,
            }
        };
        tokens.map(place).collect()
    }

    /// Stores the keys and values of the batch in the cache.
    pub(super) fn store(&mut self, layer: usize) -> Result<(), NonFinite> {
        let Buffers { key, value, .. } = self.model.buffers;
        let width = self.model.config.kv_width();
        let cache = &self.model.cache;
        let (pool, tables) = cache.spans();
        for first in (0..self.tokens.len()).step_by(MAX_PLACES) {
            let end = self.tokens.len().min(first + MAX_PLACES);
            let rows = |span: Span<f32>| span.part(first * width, (end - first) * width);
            let job = Store {
                shape: *cache.shape(),
                layer,
                pool,
                tables,
                places: self.places(first..end, layer),
                key: rows(key),
                value: rows(value),
            };
            let work = (end - first) * width * STORE_WORK;
            self.run(&Job::Store(job), work as u64)?;
        }
        Ok(())
    }

    /// attended = softmax(cap(q Kᵀ · scale)) V for each token and head, over the cache as stored, up to the token
    /// itself; in blocks with a window, from its beginning.
    pub(super) fn attend(&mut self, layer: usize) -> Result<(), Stop> {
        let config = &self.model.config;
        for first in (0..self.tokens.len()).step_by(MAX_PLACES) {
            let end = self.tokens.len().min(first + MAX_PLACES);
            let places = self.places(first..end, layer);
            // A part is one query head; keys and values are read once each.
            let work = |part: usize| {
                let place = &places[part / config.heads];
                let positions = match place.removed {
                    false => place.position + 1 - place.first,
                    true => 0,
                };
                (2 * positions as usize * config.head_size) as u64
            };
            self.in_unequal_parts((end - first) * config.heads, work, |pass, parts, work| {
                let job = pass.attend_heads(layer, first, &places, parts);
                pass.run(&Job::Attend(job), work)
            })?;
        }
        Ok(())
    }

    /// Attention of some query heads of the tokens from `first`.
    fn attend_heads(
        &self,
        layer: usize,
        first: usize,
        places: &Places,
        parts: Range<usize>,
    ) -> Attend {
        let buffers = self.model.buffers;
        let config = &self.model.config;
        let width = config.query_width();
        let rows = |span: Span<f32>| span.part(first * width, places.len() * width);
        let bias = self.model.key_bias;
        let (pool, tables) = self.model.cache.spans();
        Attend {
            shape: *self.model.cache.shape(),
            layer,
            pool,
            tables,
            places: places.clone(),
            heads: config.heads,
            parts,
            scale: config.scales.scores,
            cap: config.caps.scores,
            query: rows(buffers.query),
            attended: rows(buffers.attended),
            workers: self.model.options.scratch_pieces(),
            scores: buffers.scores,
            quantized: buffers.query_bytes,
            query_scales: buffers.query_scales,
            turned: buffers.turned,
            key_bias: bias.and_then(|bias| bias.of_layer(layer, config)),
        }
    }
}

/// The same for an element of a key and of a value that are stored.
const STORE_WORK: usize = 64;

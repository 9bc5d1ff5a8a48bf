//! Attention, and the cache that it reads.

use crate::arena::Span;
use crate::kv_cache::{CachedLayer, KvShape};
use crate::quantize::NonFinite;
use crate::simd::Cpu;
use crate::simd::attention::{Attention, QueryScale};
use crate::simd::key_bias::KeyBias;
use crate::team::memory::Access;
use crate::team::words::{Reader, Word, Writer, record};
use core::ops::Range;

/// Tokens per job of attention, whose positions it carries with it.
pub(crate) const MAX_PLACES: usize = 16;

/// A token's place in the cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) session: u32,
    pub(crate) position: u32,
    /// The first position that it attends to.
    pub(crate) first: u32,
    /// Its request has ended, and its cache may belong to another session by now.
    pub(crate) removed: bool,
}

/// Two words: a job has many of them.
impl Word for Place {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            session,
            position,
            first,
            removed,
        } = *self;
        to.0(u64::from(session) << 1 | u64::from(removed));
        to.0(u64::from(position) << 32 | u64::from(first));
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let (session, positions) = (u64::get(from)?, u64::get(from)?);
        Some(Self {
            session: u32::try_from(session >> 1).ok()?,
            position: (positions >> 32) as u32,
            first: positions as u32,
            removed: session & 1 == 1,
        })
    }
}

/// The places of a job's tokens.
pub(crate) type Places = heapless::Vec<Place, MAX_PLACES>;

record! {
    /// Stores the keys and values of tokens in the cache.
    Store {
        shape: KvShape,
        layer: usize,
        pool: Span<u8>,
        tables: Span<u16>,
        places: Places,
        /// \[tokens, heads, head size\]
        key: Span<f32>,
        value: Span<f32>,
    }
}

impl Store {
    pub(super) fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
        let KvShape {
            kv_heads,
            head_size,
            ..
        } = self.shape;
        let [key, value] = [self.key, self.value].map(|span| access.read(span));
        let tables = access.read(self.tables);
        let planes = self.shape.planes(self.layer);
        let pool = self.pool.part(planes.start, planes.len());
        // Positions of several tokens share the bytes of a head, so the heads are divided, not the tokens.
        let (heads, planes) = access.write(pool, pool.len() / kv_heads, kv_heads);
        let elements = heads.start * head_size..heads.end * head_size;
        if elements.is_empty() {
            return Ok(());
        }
        let rows = key.chunks_exact(kv_heads * head_size);
        let rows = rows.zip(value.chunks_exact(kv_heads * head_size));
        for (place, (key, value)) in self.places.iter().zip(rows) {
            if place.removed {
                continue;
            }
            let table = self.shape.table_of(tables, place.session as usize);
            let rows = [&key[elements.clone()], &value[elements.clone()]];
            cpu.store(&self.shape, planes, table, place.position as usize, rows)?;
        }
        Ok(())
    }
}

record! {
    /// Key biases that are left out of the cache: see [`KeyBias`].
    LeftOut {
        values: Span<f32>,
        angles: Span<f32>,
        pairs: usize,
        halves: bool,
    }
}

record! {
    /// attended = softmax(cap(q Kᵀ · scale)) V for some query heads of tokens.
    Attend {
        shape: KvShape,
        layer: usize,
        pool: Span<u8>,
        tables: Span<u16>,
        places: Places,
        heads: usize,
        /// The heads wanted, counted through all tokens.
        parts: Range<usize>,
        scale: f32,
        cap: Option<f32>,
        /// \[tokens, heads, head size\]
        query: Span<f32>,
        attended: Span<f32>,
        /// Workers that there is scratch for.
        workers: usize,
        scores: Span<f32>,
        quantized: Span<i8>,
        query_scales: Span<QueryScale>,
        turned: Span<[f32; 2]>,
        key_bias: Option<LeftOut>,
    }
}

impl Attend {
    pub(super) fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
        let size = self.shape.head_size;
        let (heads, width) = (self.heads, self.heads * size);
        let query = access.read(self.query);
        let pool = access.read(self.pool);
        let tables = access.read(self.tables);
        let wanted = self
            .attended
            .part(self.parts.start * size, self.parts.len() * size);
        let (share, mut attended) = access.write(wanted, size, self.parts.len());
        let scores = access.own(self.scores, self.workers);
        let quantized = access.own(self.quantized, self.workers);
        let query_scales = access.own(self.query_scales, self.workers);
        let turned = access.own(self.turned, self.workers);
        let key_bias = self.key_bias.as_ref().map(|bias| KeyBias {
            values: access.read(bias.values),
            angles: access.read(bias.angles),
            pairs: bias.pairs,
            halves: bias.halves,
        });
        let (mut next, end) = (self.parts.start + share.start, self.parts.start + share.end);
        while next < end {
            let t = next / heads;
            let part = next - t * heads..heads.min(end - t * heads);
            next = t * heads + part.end;
            let (out, later) = core::mem::take(&mut attended).split_at_mut(part.len() * size);
            attended = later;
            let Some(place) = self.places.get(t).filter(|place| !place.removed) else {
                out.fill(0.0);
                continue;
            };
            cpu.attend(Attention {
                heads,
                part,
                positions: place.position as usize + 1,
                first: place.first as usize,
                scale: self.scale,
                cap: self.cap,
                query: &query[t * width..][..width],
                attended: out,
                scores: &mut *scores,
                quantized: &mut *quantized,
                query_scales: &mut *query_scales,
                turned: &mut *turned,
                key_bias,
                cache: CachedLayer {
                    shape: &self.shape,
                    pool,
                    table: self.shape.table_of(tables, place.session as usize),
                    layer: self.layer,
                },
            })?;
        }
        Ok(())
    }
}

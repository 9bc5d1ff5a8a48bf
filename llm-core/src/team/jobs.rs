//! The operations that are cut into parts.
//!
//! A job names its spans first, all of them, whatever its share is (see [`super::memory`]); then it computes what falls
//! into its share, as [`crate::transformer`] describes it.

use super::memory::Access;
use super::words::{Reader, Word, Writer, record};
use crate::arena::{Plain, Span};
use crate::kv_cache::{CachedLayer, KvShape};
use crate::quantize::{
    ActivationQ8, ActivationQ8K, ActivationType, BLOCK, NonFinite, SUPER_BLOCK, TensorType,
    max_magnitude,
};
use crate::simd::attention::{Attention, QueryScale};
use crate::simd::key_bias::KeyBias;
use crate::simd::tiles::TILE;
use crate::simd::{Activations, Cpu, Matrix};
use core::ops::Range;
use zerocopy::FromBytes;

/// Tokens per job of attention, whose positions it carries with it.
pub(crate) const MAX_PLACES: usize = 16;

/// Matrices per job: queries, keys and values.
pub(crate) const MAX_PRODUCTS: usize = 3;

/// Elements of a piece where any division would do: a cache line, so that no two workers write the same one.
const PIECE: usize = 16;

/// Defines [`Job`] and its words: a number for the kind, then the fields.
macro_rules! jobs {
    ($($(#[$doc:meta])* $number:literal $kind:ident,)*) => {
        /// What a team can do.
        #[derive(Clone, Debug)]
        pub(crate) enum Job {
            $($(#[$doc])* $kind($kind),)*
        }

        impl Word for Job {
            fn put(&self, to: &mut Writer<'_>) {
                match self {
                    $(Self::$kind(job) => {
                        to.0($number);
                        job.put(to);
                    })*
                }
            }

            fn get(from: &mut Reader<'_>) -> Option<Self> {
                Some(match u64::get(from)? {
                    $($number => Self::$kind($kind::get(from)?),)*
                    _ => return None,
                })
            }
        }

        impl Job {
            /// Runs one worker's part.
            #[inline]
            pub(super) fn run(&self, cpu: Cpu, access: Access<'_>) -> Result<(), NonFinite> {
                match self {
                    $(Self::$kind(job) => job.run(cpu, access),)*
                }
            }
        }
    };
}

jobs! {
    /// Copies, norms, factors and sums of vectors.
    1 Vectors,
    /// Converts activations to the form that matrices require.
    2 Prepare,
    /// Matrix products with the same activations.
    3 Multiply,
    /// Rotates queries and keys.
    4 Rotate,
    /// Stores keys and values in the cache.
    5 Store,
    /// Attention.
    6 Attend,
    /// The activation function of the feed-forward layer.
    7 Activate,
    /// Factor and cap of logits.
    8 Cap,
}

record! {
    /// A norm.
    NormOf {
        /// LayerNorm; otherwise RMSNorm.
        centred: bool,
        epsilon: f32,
        /// Weights of one or more parts, used in turn.
        weight: Span<f32>,
        /// For LayerNorm; empty without one.
        bias: Span<f32>,
        /// Elements that a norm is taken over.
        part: usize,
    }
}

impl NormOf {
    /// x = norm(x), for each part.
    fn run(&self, cpu: Cpu, access: &mut Access<'_>, x: &mut [f32]) -> Result<(), NonFinite> {
        cpu.max_magnitude(x)?;
        let weights = access.read(self.weight).chunks_exact(self.part).cycle();
        let bias = access.read(self.bias);
        for (x, weight) in x.chunks_exact_mut(self.part).zip(weights) {
            match self.centred {
                false => cpu.rms_norm(x, weight, self.epsilon),
                true => cpu.layer_norm(x, weight, self.epsilon),
            }
            if !bias.is_empty() {
                cpu.add(x, bias);
            }
        }
        Ok(())
    }
}

record! {
    /// to = norm(from) · scale, then sum += to, for each token; everything but `to` is optional.
    Vectors {
        tokens: usize,
        /// Elements of a token.
        width: usize,
        /// Empty: `to` itself.
        from: Span<f32>,
        to: Span<f32>,
        norm: Option<NormOf>,
        scale: Option<f32>,
        /// Empty: nothing is added to.
        sum: Span<f32>,
    }
}

impl Vectors {
    fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
        let width = self.width;
        let from = access.read(self.from);
        let (share, to) = access.write(self.to, width, self.tokens);
        let (_, sum) = access.write(self.sum, width, self.tokens);
        if !from.is_empty() {
            to.copy_from_slice(&from[share.start * width..share.end * width]);
        }
        if let Some(norm) = &self.norm {
            norm.run(cpu, &mut access, to)?;
        }
        if let Some(scale) = self.scale {
            cpu.scale(to, scale);
        }
        if !sum.is_empty() {
            cpu.add(sum, to);
        }
        Ok(())
    }
}

record! {
    /// quantised = the form that a type requires of `from`.
    Prepare {
        /// The type of the matrix.
        ty: TensorType,
        from: Span<f32>,
        quantised: Span<ActivationQ8>,
    }
}

impl Prepare {
    fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
        let from = access.read(self.from);
        match self.ty.activations() {
            ActivationType::Float => {
                let share = access.share(0..from.len().div_ceil(PIECE));
                let end = from.len().min(share.end * PIECE);
                let start = end.min(share.start * PIECE);
                max_magnitude(&from[start..end]).map(|_| ())
            }
            ActivationType::Q8 => {
                let blocks = from.len() / BLOCK;
                let quantised = self.quantised.part(0, blocks);
                let (share, to) = access.write(quantised, 1, blocks);
                cpu.quantize_activations(&from[share.start * BLOCK..share.end * BLOCK], to)
            }
            ActivationType::Q8K => {
                let blocks = from.len() / SUPER_BLOCK;
                let bytes = large(self.quantised, blocks);
                let (share, to) = access.write(bytes, size_of::<ActivationQ8K>(), blocks);
                let from = &from[share.start * SUPER_BLOCK..share.end * SUPER_BLOCK];
                let to = <[ActivationQ8K]>::mut_from_bytes(to).map_err(|_| NonFinite)?;
                cpu.quantize_activations_k(from, to)
            }
        }
    }
}

/// The first blocks of 256 in the buffer of activations.
fn large(quantised: Span<ActivationQ8>, blocks: usize) -> Span<u8> {
    quantised
        .bytes()
        .part(0, blocks * size_of::<ActivationQ8K>())
}

record! {
    /// to = W · x + b.
    Product {
        ty: TensorType,
        rows: usize,
        /// Whether W is in tiles.
        tiled: bool,
        /// W.
        data: Span<u8>,
        /// b; empty without one.
        bias: Span<f32>,
        /// \[tokens, rows\]
        to: Span<f32>,
    }
}

impl Product {
    /// Tiles of its rows, the last maybe not full.
    pub(crate) const fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE)
    }
}

record! {
    /// Products of several matrices with the same prepared activations.
    Multiply {
        tokens: usize,
        columns: usize,
        from: Span<f32>,
        quantised: Span<ActivationQ8>,
        /// Types with the same [`TensorType::activations`].
        products: Products,
        /// The tiles wanted, counted through all products.
        tiles: Range<usize>,
    }
}

/// The matrices of a job.
pub(crate) type Products = heapless::Vec<Product, MAX_PRODUCTS>;

impl Multiply {
    fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
        let Some(first) = self.products.first() else {
            return Ok(());
        };
        let elements = self.tokens * self.columns;
        let x = match first.ty.activations() {
            ActivationType::Float => Activations::Float(access.read(self.from)),
            ActivationType::Q8 => {
                Activations::Q8(access.read(self.quantised.part(0, elements / BLOCK)))
            }
            ActivationType::Q8K => {
                let bytes = access.read(large(self.quantised, elements / SUPER_BLOCK));
                Activations::Q8K(<[ActivationQ8K]>::ref_from_bytes(bytes).map_err(|_| NonFinite)?)
            }
        };
        let mut tile = 0;
        for product in &self.products {
            let (rows, mut to) = access.rows(product.to, product.rows, TILE, tile, &self.tiles);
            tile += product.tiles();
            if rows.is_empty() {
                continue;
            }
            let row = product.data.len() / product.rows;
            let w = Matrix {
                ty: product.ty,
                rows: rows.len(),
                columns: self.columns,
                tiled: product.tiled,
                bytes: access.read(product.data.part(rows.start * row, rows.len() * row)),
            };
            cpu.multiply(&w, x, &mut to);
            if !product.bias.is_empty() {
                let bias = access.read(product.bias.part(rows.start, rows.len()));
                for t in 0..to.tokens() {
                    cpu.add(to.token(t), bias);
                }
            }
        }
        Ok(())
    }
}

record! {
    /// Rotates the pairs of every head by the angles of its token's position.
    Rotate {
        tokens: usize,
        heads: Span<f32>,
        head_size: usize,
        /// \[tokens, tables, pairs\]
        rotation: Span<[f32; 2]>,
        /// The table's first pair in those of a token.
        start: usize,
        pairs: usize,
        halves: bool,
    }
}

impl Rotate {
    fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
        let width = self.heads.len() / self.tokens.max(1);
        let angles = access.read(self.rotation);
        let tables = angles.len() / self.tokens.max(1);
        let (share, heads) = access.write(self.heads, width, self.tokens);
        for (t, heads) in share.zip(heads.chunks_exact_mut(width.max(1))) {
            let angles = &angles[t * tables + self.start..][..self.pairs];
            cpu.rotate(heads, self.head_size, angles, self.halves);
        }
        Ok(())
    }
}

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
    fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
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
    fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
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

record! {
    /// gate = f(gate) ⊙ up, or up = f(up) without a gate.
    Activate {
        /// GELU; otherwise SiLU.
        gelu: bool,
        /// Empty without a gate.
        gate: Span<f32>,
        up: Span<f32>,
    }
}

impl Activate {
    fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
        if self.gate.is_empty() {
            let (_, up) = flat(&mut access, self.up);
            match self.gelu {
                true => cpu.gelu(up),
                false => cpu.silu(up),
            }
            return Ok(());
        }
        let up = access.read(self.up);
        let (first, gate) = flat(&mut access, self.gate);
        let up = &up[first..][..gate.len()];
        match self.gelu {
            true => cpu.geglu(gate, up),
            false => cpu.swiglu(gate, up),
        }
        Ok(())
    }
}

record! {
    /// logits = cap(logits · scale); refuses those that are not finite before the cap.
    Cap {
        logits: Span<f32>,
        scale: Option<f32>,
        cap: Option<f32>,
    }
}

impl Cap {
    fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
        let (_, logits) = flat(&mut access, self.logits);
        if let Some(scale) = self.scale {
            cpu.scale(logits, scale);
        }
        cpu.max_magnitude(logits)?;
        if let Some(cap) = self.cap {
            cpu.soft_cap(logits, cap);
        }
        Ok(())
    }
}

/// This worker's elements of a span that can be divided anywhere, and which is the first.
fn flat<'a, T: Plain>(access: &mut Access<'a>, span: Span<T>) -> (usize, &'a mut [T]) {
    let (share, own) = access.write(span, PIECE, span.len().div_ceil(PIECE));
    (span.len().min(share.start * PIECE), own)
}

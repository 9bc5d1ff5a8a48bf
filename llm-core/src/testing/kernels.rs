//! The kernels one by one, as the forward pass calls them, for golden vectors and for comparing paths of the CPU. The
//! engine's own interface does not expose single kernels.

use super::Memory;
use crate::arena::{Arena, Mark, Purpose, as_mut};
use crate::kv_cache::{BLOCK_POSITIONS, CachedLayer, KvCache, KvShape, SCALED};
use crate::outputs::Outputs;
use crate::quantize::{ActivationQ8, ActivationQ8K, ActivationType, BLOCK, NonFinite, SUPER_BLOCK};
use crate::simd::attention::{Attention, GROUP, QueryScale};
use crate::simd::key_bias::KeyBias;
use crate::simd::{Activations, Cpu, Matrix};
use alloc::vec;
use alloc::vec::Vec;

/// The functions used for RoPE angles.
pub use libm::{cosf, powf, sinf};

/// RMSNorm, as [`crate::arithmetic::rms_norm`].
pub fn rms_norm(cpu: Cpu, x: &mut [f32], weight: &[f32], epsilon: f32) {
    cpu.rms_norm(x, weight, epsilon);
}

/// LayerNorm without its bias, as [`crate::arithmetic::layer_norm`].
pub fn layer_norm(cpu: Cpu, x: &mut [f32], weight: &[f32], epsilon: f32) {
    cpu.layer_norm(x, weight, epsilon);
}

/// SwiGLU, as [`crate::arithmetic::swiglu`].
pub fn swiglu(cpu: Cpu, gate: &mut [f32], up: &[f32]) {
    cpu.swiglu(gate, up);
}

/// SiLU, as [`crate::arithmetic::silu`].
pub fn silu(cpu: Cpu, x: &mut [f32]) {
    cpu.silu(x);
}

/// GELU, as [`crate::arithmetic::gelu`].
pub fn gelu(cpu: Cpu, x: &mut [f32]) {
    cpu.gelu(x);
}

/// GeGLU, as [`crate::arithmetic::geglu`].
pub fn geglu(cpu: Cpu, gate: &mut [f32], up: &[f32]) {
    cpu.geglu(gate, up);
}

/// Soft-capping, as [`crate::arithmetic::soft_cap`].
pub fn soft_cap(cpu: Cpu, x: &mut [f32], cap: f32) {
    cpu.soft_cap(x, cap);
}

/// x\[i\] becomes x\[i\] · s.
pub fn scale(cpu: Cpu, x: &mut [f32], s: f32) {
    cpu.scale(x, s);
}

/// RoPE, as [`crate::arithmetic::rotate`].
pub fn rotate(cpu: Cpu, heads: &mut [f32], size: usize, angles: &[[f32; 2]], halves: bool) {
    cpu.rotate(heads, size, angles, halves);
}

/// x\[i\] += y\[i\].
pub fn add(cpu: Cpu, x: &mut [f32], y: &[f32]) {
    cpu.add(x, y);
}

/// Quantises activations for weights in blocks of 32.
///
/// # Errors
/// A value or a scale is not finite.
pub fn quantize_activations(
    cpu: Cpu,
    x: &[f32],
    out: &mut [ActivationQ8],
) -> Result<(), NonFinite> {
    cpu.quantize_activations(x, out)
}

/// Quantises activations for k-quants.
///
/// # Errors
/// A value is not finite.
pub fn quantize_activations_k(
    cpu: Cpu,
    x: &[f32],
    out: &mut [ActivationQ8K],
) -> Result<(), NonFinite> {
    cpu.quantize_activations_k(x, out)
}

/// out\[t\]\[r\] = Σ_c w\[r\]\[c\] · x\[t\]\[c\], with x given as floats.
///
/// # Errors
/// A value of `x` is not finite.
pub fn multiply(cpu: Cpu, w: &Matrix<'_>, x: &[f32], out: &mut [f32]) -> Result<(), NonFinite> {
    let out = &mut Outputs::new(out, w.rows, w.rows);
    match w.ty.activations() {
        ActivationType::Float => cpu.multiply(w, Activations::Float(x), out),
        ActivationType::Q8 => {
            let mut q = vec![ActivationQ8::ZERO; x.len() / BLOCK];
            cpu.quantize_activations(x, &mut q)?;
            cpu.multiply(w, Activations::Q8(&q), out);
        }
        ActivationType::Q8K => {
            let mut q = vec![ActivationQ8K::ZERO; x.len() / SUPER_BLOCK];
            cpu.quantize_activations_k(x, &mut q)?;
            cpu.multiply(w, Activations::Q8K(&q), out);
        }
    }
    Ok(())
}

/// Parameters of a token's attention, besides the cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attending {
    /// Query heads.
    pub heads: usize,
    /// Number of positions, up to the token's own.
    pub positions: usize,
    /// The first position to attend to.
    pub first: usize,
    /// Soft cap of the scores.
    pub cap: Option<f32>,
}

/// Attention output of a token at the last of `positions` positions, \[heads, head_size\], in the second of the layers
/// of `shape`. Keys, values and the query are taken from `x`, repeatedly. `shape` has two sessions; the other one holds
/// blocks too, so that the session's blocks are not in order.
///
/// # Panics
/// `x` is empty or has a non-finite value, or the shape has fewer than two layers, two sessions, or 20 positions more
/// than `positions`.
#[must_use]
pub fn attended(cpu: Cpu, shape: KvShape, attending: Attending, x: &[f32]) -> Vec<f32> {
    attended_beside(cpu, shape, attending, x, None)
}

/// Key biases that are left out of the cache.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// \[kv_heads, head_size\]
    pub values: Vec<f32>,
    /// Cosine and sine of each pair at all positions, \[pairs, 2, positions in whole blocks\].
    pub angles: Vec<f32>,
    /// Rotated pairs of a head.
    pub pairs: usize,
    /// Whether a pair has one element from each half.
    pub halves: bool,
}

/// Like [`attended`], with biases that are left out of the cache.
///
/// # Panics
/// Like [`attended`], or the angles are not whole cache lines.
#[must_use]
pub fn attended_beside(
    cpu: Cpu,
    shape: KvShape,
    attending: Attending,
    x: &[f32],
    left_out: Option<&LeftOut>,
) -> Vec<f32> {
    let Attending {
        heads,
        positions,
        first,
        cap,
    } = attending;
    let mut memory = Memory::new(1 << 20);
    let mut arena = Arena::new(memory.bytes()).expect("aligned");
    let cache = KvCache::new(&mut arena, shape).expect("room for the cache");
    cache.reserve(&mut arena, 1, 20).expect("positions");
    cache.reserve(&mut arena, 0, positions).expect("positions");
    let size = shape.head_size;
    let mut floats = |len| {
        let span = arena.alloc::<f32>(len, Purpose::Other);
        span.expect("room for floats")
    };
    let query = floats(heads * size);
    let out = floats(heads * size);
    let scores = floats(GROUP * positions.next_multiple_of(BLOCK_POSITIONS));
    let pairs = left_out.map_or(0, |bias| bias.pairs);
    let turned = floats(2 * GROUP * pairs);
    let angles = floats(left_out.map_or(0, |bias| bias.angles.len()));
    let values = left_out.map_or(&[][..], |bias| &bias.values);
    let quantized = arena.alloc::<i8>(heads * size.next_multiple_of(4), Purpose::Other);
    let quantized = quantized.expect("room for queries");
    let scales = arena.alloc::<QueryScale>(heads * size.div_ceil(SCALED), Purpose::Other);
    let scales = scales.expect("room for scales");
    let (pool, tables) = cache.spans();
    let table = tables.part(0, tables.len() / shape.sessions);
    let mut x = x.iter().copied().cycle();
    for layer in 0..shape.layers {
        for position in 0..positions {
            let mut row = || -> Vec<f32> { x.by_ref().take(shape.kv_heads * size).collect() };
            let (key, value) = (row(), row());
            let table = arena.get(table).to_vec();
            let pool = arena.get_mut(pool);
            let planes = &mut pool[shape.planes(layer)];
            cpu.store(&shape, planes, &table, position, [&key, &value])
                .expect("finite rows");
        }
    }
    for (to, x) in arena.get_mut(query).iter_mut().zip(x) {
        *to = x;
    }
    if let Some(bias) = left_out {
        arena.get_mut(angles).copy_from_slice(&bias.angles);
    }
    let (_, mut working) = arena.split(Mark::default());
    let [
        query,
        out,
        scores,
        quantized,
        query_scales,
        turned,
        angles,
        pool,
        table,
    ] = working.disjoint([
        query.range(),
        out.range(),
        scores.range(),
        quantized.range(),
        scales.range(),
        turned.range(),
        angles.range(),
        pool.range(),
        table.range(),
    ]);
    let attended: &mut [f32] = as_mut(out);
    cpu.attend(Attention {
        heads,
        part: 0..heads,
        positions,
        first,
        scale: 1.0 / libm::sqrtf(size as f32),
        cap,
        query: as_mut(query),
        attended,
        scores: as_mut(scores),
        quantized: as_mut(quantized),
        query_scales: as_mut(query_scales),
        turned: as_mut(turned),
        key_bias: left_out.map(|bias| KeyBias {
            values,
            angles: as_mut(angles),
            pairs,
            halves: bias.halves,
        }),
        cache: CachedLayer {
            shape: &shape,
            pool,
            table: as_mut(table),
            layer: 1,
        },
    })
    .expect("a finite query");
    attended.to_vec()
}

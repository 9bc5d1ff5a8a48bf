//! Jobs whose elements or vectors do not depend on each other.

use super::PIECE;
use crate::arena::{Plain, Span};
use crate::quantize::{
    ActivationQ8, ActivationQ8K, ActivationType, BLOCK, NonFinite, SUPER_BLOCK, TensorType,
    max_magnitude,
};
use crate::simd::Cpu;
use crate::team::memory::Access;
use crate::team::words::record;
use zerocopy::FromBytes;

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
    pub(super) fn run(
        &self,
        cpu: Cpu,
        access: &mut Access<'_>,
        x: &mut [f32],
    ) -> Result<(), NonFinite> {
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
    pub(super) fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
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
    pub(super) fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
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
    pub(super) fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
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
    pub(super) fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
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
    pub(super) fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
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

/// The first blocks of 256 in the buffer of activations.
pub(super) fn large(quantised: Span<ActivationQ8>, blocks: usize) -> Span<u8> {
    quantised
        .bytes()
        .part(0, blocks * size_of::<ActivationQ8K>())
}

/// This worker's elements of a span that can be divided anywhere, and which is the first.
fn flat<'a, T: Plain>(access: &mut Access<'a>, span: Span<T>) -> (usize, &'a mut [T]) {
    let (share, own) = access.write(span, PIECE, span.len().div_ceil(PIECE));
    (span.len().min(share.start * PIECE), own)
}

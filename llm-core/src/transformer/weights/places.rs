//! Destinations of a file's tensors: they are checked, or copied into the arena.

use super::reader::{Place, Rows};
use crate::arena::{Arena, Purpose, Span, bytes_of};
use crate::gguf::{self, Gguf, MAX_TENSORS, TensorInfo};
use crate::quantize;
use crate::simd::{Cpu, tiles};
use crate::transformer::LoadError;

/// Checks values and counts.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// A bit for each tensor of the file that the model uses.
    found: [u64; MAX_TENSORS.div_ceil(64)],
    pub(crate) bytes: u64,
    pub(crate) parameters: u64,
}

impl Checker {
    /// Refuses tensors that the architecture does not have: the forward pass would silently ignore them.
    pub(crate) fn refuse_unknown(&self, gguf: &Gguf<'_>) -> Result<(), LoadError> {
        for (index, tensor) in gguf.tensors().enumerate() {
            let word = self.found.get(index / 64).copied().unwrap_or(0);
            if word & (1 << (index % 64)) == 0 {
                return Err(LoadError::UnknownTensor(gguf::name(tensor.name)));
            }
        }
        Ok(())
    }

    fn count(
        &mut self,
        tensor: &TensorInfo<'_>,
        data: &[u8],
        elements: u64,
        bytes: usize,
    ) -> Result<(), LoadError> {
        if !quantize::is_finite(tensor.ty, data) {
            return Err(LoadError::NonFinite(gguf::name(tensor.name)));
        }
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.parameters = self.parameters.saturating_add(elements);
        Ok(())
    }
}

impl Place for Checker {
    fn found(&mut self, index: usize) {
        if let Some(word) = self.found.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    fn matrix(&mut self, part: &Rows<'_, '_>) -> Result<Span<u8>, LoadError> {
        let elements = part.tensor.columns().saturating_mul(part.count as u64);
        let bytes = bytes_of::<u8>(part.data.len()).unwrap_or(usize::MAX);
        self.count(part.tensor, part.data, elements, bytes)?;
        Ok(Span::EMPTY)
    }

    fn vector(&mut self, tensor: &TensorInfo<'_>) -> Result<Span<f32>, LoadError> {
        let bytes = bytes_of::<f32>(tensor.elements() as usize).unwrap_or(usize::MAX);
        self.count(tensor, tensor.data, tensor.elements(), bytes)?;
        Ok(Span::EMPTY)
    }
}

/// Copies into the arena, in tiles if the CPU has kernels for them.
pub(crate) struct Loader<'l, 'm> {
    pub(crate) arena: &'l mut Arena<'m>,
    pub(crate) cpu: Cpu,
}

impl Place for Loader<'_, '_> {
    fn found(&mut self, _: usize) {}

    fn tiles(&self) -> bool {
        self.cpu.wants_tiles()
    }

    fn matrix(&mut self, part: &Rows<'_, '_>) -> Result<Span<u8>, LoadError> {
        let span = self.arena.alloc::<u8>(part.data.len(), Purpose::Weights)?;
        let to = self.arena.get_mut(span);
        match self.cpu.wants_tiles() {
            true => {
                let columns = part.tensor.columns() as usize;
                tiles::repack(part.tensor.ty, columns, part.data, to);
            }
            false => to.copy_from_slice(part.data),
        }
        Ok(span)
    }

    fn vector(&mut self, tensor: &TensorInfo<'_>) -> Result<Span<f32>, LoadError> {
        let span = self
            .arena
            .alloc::<f32>(tensor.elements() as usize, Purpose::Weights)?;
        // Shape and type were checked.
        let _ = quantize::dequantize_row(tensor.ty, tensor.data, self.arena.get_mut(span));
        Ok(span)
    }
}

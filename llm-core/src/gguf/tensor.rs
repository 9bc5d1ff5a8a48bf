//! Entries of the tensor list, and their checks.

use super::reader::Reader;
use super::{GgufError, MAX_RANK, MAX_TENSOR_NAME_BYTES, TensorInfo, name};
use crate::quantize::TensorType;

/// An entry of the tensor list whose numbers have not been checked against each other.
pub(super) struct RawTensor<'a> {
    name: &'a str,
    rank: u32,
    dims: [u64; MAX_RANK],
    ggml_type: u32,
    offset: u64,
}

impl<'a> RawTensor<'a> {
    pub(super) fn read(reader: &mut Reader<'a>, index: usize) -> Result<Self, GgufError> {
        let tensor = reader.name("tensor", index, MAX_TENSOR_NAME_BYTES)?;
        let rank = reader.u32("the rank of a tensor")?;
        if rank == 0 || rank > MAX_RANK as u32 {
            return Err(GgufError::BadShape {
                tensor: name(tensor),
                rank,
            });
        }
        let mut dims = [1; MAX_RANK];
        for size in dims.iter_mut().take(rank as usize) {
            *size = reader.u64("a dimension of a tensor")?;
        }
        Ok(Self {
            name: tensor,
            rank,
            dims,
            ggml_type: reader.u32("the type of a tensor")?,
            offset: reader.u64("the offset of a tensor")?,
        })
    }

    /// The tensor, and its position in `data`.
    pub(super) fn check(
        &self,
        alignment: u32,
        data: &'a [u8],
    ) -> Result<(TensorInfo<'a>, core::ops::Range<usize>), GgufError> {
        let tensor = || name(self.name);
        if self.dims.contains(&0) {
            return Err(GgufError::BadShape {
                tensor: tensor(),
                rank: self.rank,
            });
        }
        let ty = TensorType::from_ggml(self.ggml_type).ok_or_else(|| {
            GgufError::UnsupportedTensorType {
                tensor: tensor(),
                name: ggml_type_name(self.ggml_type),
                ggml_type: self.ggml_type,
            }
        })?;
        let [columns, ..] = self.dims;
        if !columns.is_multiple_of(ty.block_len() as u64) {
            return Err(GgufError::RowNotWholeBlocks {
                tensor: tensor(),
                columns,
                block: ty.block_len(),
            });
        }
        let bytes = self
            .dims
            .iter()
            .try_fold(1_u64, |product, &size| product.checked_mul(size))
            .and_then(|elements| elements.checked_div(ty.block_len() as u64))
            .and_then(|blocks| blocks.checked_mul(ty.block_bytes() as u64))
            .ok_or_else(|| GgufError::TensorTooLarge { tensor: tensor() })?;
        if !self.offset.is_multiple_of(u64::from(alignment)) {
            return Err(GgufError::Misaligned {
                tensor: tensor(),
                offset: self.offset,
                alignment,
            });
        }
        let extent = self
            .offset
            .checked_add(bytes)
            .filter(|&end| end <= data.len() as u64)
            .and_then(|end| Some(usize::try_from(self.offset).ok()?..usize::try_from(end).ok()?));
        match extent.and_then(|extent| Some((data.get(extent.clone())?, extent))) {
            Some((data, extent)) => Ok((
                TensorInfo {
                    name: self.name,
                    ty,
                    rank: self.rank as usize,
                    dims: self.dims,
                    data,
                },
                extent,
            )),
            None => Err(GgufError::TensorOutOfFile {
                tensor: tensor(),
                offset: self.offset,
                bytes,
                available: data.len(),
            }),
        }
    }
}

/// ggml's names of tensor types, for the error about unsupported ones.
pub(super) const fn ggml_type_name(ggml_type: u32) -> &'static str {
    match ggml_type {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        6 => "Q5_0",
        7 => "Q5_1",
        8 => "Q8_0",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        30 => "BF16",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => "unknown",
    }
}

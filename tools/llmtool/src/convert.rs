//! Stores a model's weights in other types.

use llm_core::gguf::{Gguf, TensorInfo, Value};
use llm_core::quantize::{TensorType, dequantize_row, quantize_row_by};

use crate::error::ToolError;
use crate::gguf_writer::GgufWriter;
use crate::imatrix::Imatrix;
use crate::mixture::Targets;

/// `general.quantization_version` of ggml's current formats.
const QUANTIZATION_VERSION: u32 = 2;

/// Converts the tensors of the file `gguf` to the types in `targets`. To F32 every value is exact. With an importance
/// matrix, errors are weighted by it in the tensors that it covers.
///
/// `progress` is told every few rows how many of all values are done.
///
/// # Errors
/// A value cannot be stored in its type.
pub fn convert(
    gguf: &Gguf<'_>,
    targets: &Targets,
    imatrix: Option<&Imatrix>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<u8>, ToolError> {
    let mut writer = GgufWriter::with_metadata_of(gguf);
    writer.set("general.file_type", &Value::U32(targets.file_type));
    if targets.quantised {
        writer.set(
            "general.quantization_version",
            &Value::U32(QUANTIZATION_VERSION),
        );
    } else {
        writer.remove("general.quantization_version");
    }
    if let Some(imatrix) = imatrix {
        imatrix.describe(&mut writer);
    }
    let total = gguf.tensors().map(|tensor| tensor.elements()).sum();
    let mut done = 0;
    for (tensor, target) in gguf.tensors().zip(&targets.tensors) {
        let importance = imatrix.and_then(|imatrix| imatrix.of(tensor.name));
        let data = convert_tensor(&tensor, target.ty, importance, &mut |values| {
            progress(done + values, total);
        })?;
        let dims = tensor.dims.get(..tensor.rank).unwrap_or(&tensor.dims);
        writer.tensor(tensor.name, target.ty, dims, data);
        done += tensor.elements();
        progress(done, total);
    }
    Ok(writer.finish())
}

fn convert_tensor(
    tensor: &TensorInfo<'_>,
    ty: TensorType,
    importance: Option<&[f32]>,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<u8>, ToolError> {
    if tensor.ty == ty {
        return Ok(tensor.data.to_vec());
    }
    // The file has at least that many bytes, so they fit in memory.
    let columns = tensor.columns() as usize;
    let row_bytes = |ty: TensorType| columns / ty.block_len() * ty.block_bytes();
    let mut values = vec![0.0; columns];
    let mut stored = vec![0; row_bytes(ty)];
    let mut data = Vec::with_capacity(stored.len() * tensor.rows() as usize);
    for (row, bytes) in (0..).zip(tensor.data.chunks_exact(row_bytes(tensor.ty))) {
        dequantize_row(tensor.ty, bytes, &mut values)
            .and_then(|()| quantize_row_by(ty, &values, importance, &mut stored))
            .map_err(|source| ToolError::Quantize {
                tensor: tensor.name.to_owned(),
                row,
                source,
            })?;
        data.extend_from_slice(&stored);
        if row % 256 == 255 {
            progress((row + 1) * columns as u64);
        }
    }
    Ok(data)
}

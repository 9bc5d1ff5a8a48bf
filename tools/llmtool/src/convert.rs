//! Stores a model's weights in another type.

use llm_core::gguf::{Gguf, TensorInfo, Value};
use llm_core::quantize::{TensorType, dequantize_row, quantize_row};

use crate::error::ToolError;
use crate::gguf_writer::GgufWriter;
use crate::recipe::Recipe;

/// `general.quantization_version` of ggml's formats as they are now.
const QUANTIZATION_VERSION: u32 = 2;

/// The file `gguf` with its tensors as `recipe` says. To F32 every value is exact.
///
/// `progress` is told after each tensor how many of all values are done.
///
/// # Errors
/// A value that its type cannot hold.
pub fn convert(
    gguf: &Gguf<'_>,
    recipe: &Recipe,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<u8>, ToolError> {
    let mut writer = GgufWriter::with_metadata_of(gguf);
    writer.set("general.file_type", &Value::U32(file_type(recipe.rest())));
    if recipe.rest().block_len() == 1 {
        writer.remove("general.quantization_version");
    } else {
        writer.set(
            "general.quantization_version",
            &Value::U32(QUANTIZATION_VERSION),
        );
    }
    let total = gguf.tensors().map(|tensor| tensor.elements()).sum();
    let mut done = 0;
    for tensor in gguf.tensors() {
        let ty = recipe.type_of(&tensor);
        let data = convert_tensor(&tensor, ty)?;
        let dims = tensor.dims.get(..tensor.rank).unwrap_or(&tensor.dims);
        writer.tensor(tensor.name, ty, dims, data);
        done += tensor.elements();
        progress(done, total);
    }
    Ok(writer.finish())
}

/// llama.cpp's number for a file whose matrices have this type.
const fn file_type(ty: TensorType) -> u32 {
    match ty {
        TensorType::F32 => 0,
        TensorType::F16 => 1,
        TensorType::Q4_0 => 2,
        TensorType::Q4_1 => 3,
        TensorType::Q8_0 => 7,
        TensorType::Q5_0 => 8,
        TensorType::Q5_1 => 9,
        TensorType::Q2K => 10,
        TensorType::Q3K => 11,
        TensorType::Q4K => 14,
        TensorType::Q5K => 16,
        TensorType::Q6K => 18,
        TensorType::IQ4NL => 25,
        TensorType::IQ4XS => 30,
        TensorType::BF16 => 32,
        TensorType::TQ1_0 => 36,
        TensorType::TQ2_0 => 37,
        // llama.cpp has no such files: LLAMA_FTYPE_GUESSED.
        TensorType::Q8_1 => 1024,
    }
}

fn convert_tensor(tensor: &TensorInfo<'_>, ty: TensorType) -> Result<Vec<u8>, ToolError> {
    if tensor.ty == ty {
        return Ok(tensor.data.to_vec());
    }
    // The file has that many bytes, so they fit memory.
    let columns = tensor.columns() as usize;
    let row_bytes = |ty: TensorType| columns / ty.block_len() * ty.block_bytes();
    let mut values = vec![0.0; columns];
    let mut stored = vec![0; row_bytes(ty)];
    let mut data = Vec::with_capacity(stored.len() * tensor.rows() as usize);
    for (row, bytes) in (0..).zip(tensor.data.chunks_exact(row_bytes(tensor.ty))) {
        dequantize_row(tensor.ty, bytes, &mut values)
            .and_then(|()| quantize_row(ty, &values, &mut stored))
            .map_err(|source| ToolError::Quantize {
                tensor: tensor.name.to_owned(),
                row,
                source,
            })?;
        data.extend_from_slice(&stored);
    }
    Ok(data)
}

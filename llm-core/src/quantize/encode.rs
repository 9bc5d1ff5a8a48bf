//! Weights to blocks, for tools and tests: the engine itself only reads them.

use super::blocks::{BLOCK, BlockQ4_0, BlockQ8_0};
use super::{QuantizeError, TensorType, check_row, max_magnitude};
use half::f16;

/// Quantises weights to `ty` as ggml's reference quantisers do (Q8_0: d = max/127, rounded half
/// away from zero; Q4_0: d = the value of largest magnitude / −8).
///
/// # Errors
/// See [`QuantizeError`].
pub fn quantize_row(ty: TensorType, x: &[f32], out: &mut [u8]) -> Result<(), QuantizeError> {
    check_row(ty, x.len(), out.len())?;
    let non_finite = QuantizeError::NonFinite(ty.name());
    max_magnitude(x).map_err(|_| non_finite)?;
    match ty {
        TensorType::F32 => {
            for (out, v) in out.chunks_exact_mut(4).zip(x) {
                out.copy_from_slice(&v.to_le_bytes());
            }
        }
        TensorType::F16 => {
            for (out, &v) in out.chunks_exact_mut(2).zip(x) {
                let v = f16::from_f32(v);
                if !v.is_finite() {
                    return Err(non_finite);
                }
                out.copy_from_slice(&v.to_le_bytes());
            }
        }
        TensorType::Q8_0 => {
            for (out, x) in out
                .chunks_exact_mut(size_of::<BlockQ8_0>())
                .zip(x.chunks_exact(BLOCK))
            {
                let d = max_magnitude(x).map_err(|_| non_finite)? / 127.0;
                let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
                let (scale, qs) = out.split_at_mut(2);
                scale.copy_from_slice(&finite_f16(d).ok_or(non_finite)?);
                for (q, &v) in qs.iter_mut().zip(x) {
                    *q = libm::roundf(v * inverse) as i8 as u8;
                }
            }
        }
        TensorType::Q4_0 => {
            for (out, x) in out
                .chunks_exact_mut(size_of::<BlockQ4_0>())
                .zip(x.chunks_exact(BLOCK))
            {
                let mut extreme = 0.0f32;
                for &v in x {
                    if v.abs() > extreme.abs() {
                        extreme = v;
                    }
                }
                let d = extreme / -8.0;
                let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
                let (scale, qs) = out.split_at_mut(2);
                scale.copy_from_slice(&finite_f16(d).ok_or(non_finite)?);
                let nibble = |v: f32| ((v * inverse + 8.5) as u8).min(15);
                let (low, high) = x.split_at(BLOCK / 2);
                for ((q, &low), &high) in qs.iter_mut().zip(low).zip(high) {
                    *q = nibble(low) | nibble(high) << 4;
                }
            }
        }
        _ => return Err(non_finite),
    }
    Ok(())
}

fn finite_f16(value: f32) -> Option<[u8; 2]> {
    let rounded = f16::from_f32(value);
    rounded.is_finite().then(|| rounded.to_le_bytes())
}

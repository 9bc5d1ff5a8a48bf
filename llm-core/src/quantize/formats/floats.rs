//! F32, F16 and BF16: types without blocks.

use crate::quantize::blocks::FloatType;
use half::{bf16, f16};

/// IEEE binary32.
#[derive(Clone, Copy, Debug)]
pub struct F32;

/// IEEE binary16.
#[derive(Clone, Copy, Debug)]
pub struct F16;

/// The upper half of an IEEE binary32.
#[derive(Clone, Copy, Debug)]
pub struct BF16;

macro_rules! float_type {
    ($name:ident $number:literal $float:ty, $brain:literal, $to:expr, $from:expr) => {
        impl FloatType for $name {
            const NUMBER: u32 = $number;
            const NAME: &'static str = stringify!($name);
            const BYTES: usize = size_of::<$float>();
            const BRAIN: bool = $brain;

            #[inline(always)]
            fn value(bytes: &[u8]) -> f32 {
                bytes
                    .first_chunk()
                    .map_or(0.0, |bytes| $to(<$float>::from_le_bytes(*bytes)))
            }

            #[cfg(any(test, feature = "encode", feature = "testing"))]
            fn encode(value: f32, out: &mut [u8]) -> Option<()> {
                let nearest: $float = $from(value);
                out.copy_from_slice(&nearest.to_le_bytes());
                nearest.is_finite().then_some(())
            }
        }
    };
}

float_type!(F32 0 f32, false, |x| x, |x| x);
float_type!(F16 1 f16, false, f16::to_f32, f16::from_f32);
float_type!(BF16 30 bf16, true, bf16::to_f32, bf16::from_f32);

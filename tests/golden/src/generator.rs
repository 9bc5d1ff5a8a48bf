//! Inputs: pseudo-random, the same everywhere, mixed with extreme values.

use alloc::vec::Vec;
use llm_core::quantize::TensorType;

/// SplitMix64 (Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, 2014).
#[derive(Clone, Debug)]
pub struct Generator(u64);

impl Generator {
    /// Creates a generator; its values depend only on the seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.word() % end as u64) as usize
    }

    /// A random byte.
    pub fn byte(&mut self) -> u8 {
        self.word() as u8
    }

    /// Random bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    /// From −`scale` to `scale`, with 24 bits before scaling.
    pub fn float(&mut self, scale: f32) -> f32 {
        ((self.word() >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale
    }

    /// Random floats.
    pub fn floats(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.float(scale)).collect()
    }

    /// Activations in groups of 32: ordinary ones, groups of only −1 and 1 (which become −127 and 127), zeros, groups so
    /// small that they count as zero, the smallest normal numbers, large ones, and groups in which one dwarfs the others.
    pub fn activations(&mut self, count: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(count);
        while values.len() < count {
            let kind = self.below(10);
            for i in 0..32 {
                let sign = if self.byte() < 128 { -1.0 } else { 1.0 };
                values.push(match kind {
                    0 => sign,
                    1 => 0.0 * sign,
                    2 => 9e-31 * sign,
                    3 => f32::MIN_POSITIVE * sign,
                    4 => self.float(1e3),
                    5 if i == 17 => 100.0 * sign,
                    _ => self.float(4.0),
                });
            }
        }
        values.truncate(count);
        values
    }

    /// A finite f16 between 2⁻¹⁰ and 2 in magnitude, as its bytes.
    pub fn scale(&mut self) -> [u8; 2] {
        let word = self.word();
        let exponent = 5 + word % 11;
        let bits = word & 0x8000 | exponent << 10 | word >> 16 & 0x3FF;
        (bits as u16).to_le_bytes()
    }

    /// Rows of weights of a type, row by row: any quantised values, or only −128 and its equivalents with `extreme`,
    /// and ordinary scales.
    ///
    /// # Panics
    /// A row is not a whole number of blocks.
    pub fn weights(
        &mut self,
        ty: TensorType,
        rows: usize,
        columns: usize,
        extreme: bool,
    ) -> Vec<u8> {
        let bytes = rows * ty.row_bytes(columns).expect("whole blocks");
        let mut weights = match extreme {
            // −128 with 8 bits; with 4 bits the halves of a byte are 0, the smallest value, and 8.
            true => (0..bytes).map(|_| 0x80).collect(),
            false => self.bytes(bytes),
        };
        let places: &[usize] = match ty {
            TensorType::F32 => {
                for bytes in weights.as_chunks_mut::<4>().0 {
                    *bytes = self.float(2.0).to_le_bytes();
                }
                return weights;
            }
            TensorType::BF16 => {
                for bytes in weights.as_chunks_mut::<2>().0 {
                    let [_, _, low, high] = self.float(2.0).to_le_bytes();
                    *bytes = [low, high];
                }
                return weights;
            }
            TensorType::F16 => &[0],
            _ => ty.f16_places(),
        };
        for block in weights.chunks_exact_mut(ty.block_bytes()) {
            for &place in places {
                block[place..place + 2].copy_from_slice(&self.scale());
            }
        }
        weights
    }
}

//! Matrix products on every CPU.

use super::matrix::Tiles;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
use super::neon;
use super::{Cpu, Isa, tiles, words};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::arithmetic;
use crate::outputs::Outputs;
use crate::quantize::{self, ActivationQ8, ActivationQ8K, Quad, TensorType, blocks_of, on_type};
use zerocopy::{FromBytes, IntoBytes};

/// A matrix as input of the kernels.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// Type of its elements.
    pub ty: TensorType,
    /// Rows.
    pub rows: usize,
    /// Elements of a row.
    pub columns: usize,
    /// Whether whole groups of sixteen rows are in [`tiles`]; otherwise all rows are as in a file.
    pub tiled: bool,
    /// Its rows.
    pub bytes: &'a [u8],
}

/// Activations in the form that a matrix requires, one token after the other.
#[derive(Clone, Copy, Debug)]
pub enum Activations<'a> {
    /// \[tokens, columns\]
    Float(&'a [f32]),
    /// \[tokens, columns / 32\]
    Q8(&'a [ActivationQ8]),
    /// \[tokens, columns / 256\]
    Q8K(&'a [ActivationQ8K]),
}

/// A method of [`Cpu`] that runs the kernel of the CPU for the tiles of a matrix.
macro_rules! kernels {
    ($($name:ident $format:ident $activation:ty, $reference:ident;)*) => {
        #[allow(unsafe_code)]
        impl Cpu {$(
            fn $name<F: quantize::blocks::$format>(self, w: Tiles<'_>, x: &[$activation], out: &mut Outputs<'_>) {
                match self.0 {
                    Isa::Scalar => tiles::$reference::<F>(w.quads.as_bytes(), w.blocks, x, out),
                    Isa::Words => words::$name::<F>(w, x, out),
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: the value says that the CPU has AVX2 and F16C.
                    Isa::Avx2 => unsafe { avx2::$name::<F>(w, x, out) },
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: the value says that the CPU has AVX-512 F, BW and VNNI, and F16C.
                    Isa::Avx512 => unsafe { avx512::$name::<F>(w, x, out) },
                    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
                    // SAFETY: the build says that every CPU of the target has NEON.
                    Isa::Neon => unsafe { neon::$name::<F, false>(w, x, out) },
                    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
                    // SAFETY: the value says that the CPU has SDOT.
                    Isa::NeonDot => unsafe { neon::$name::<F, true>(w, x, out) },
                }
            }
        )*}
    };
}

kernels! {
    floats FloatType f32, matmul_float;
    small SmallBlock ActivationQ8, matmul_small;
    large SuperBlock ActivationQ8K, matmul_super;
}

impl Cpu {
    /// out\[t\]\[r\] = Σ_c w\[r\]\[c\] · x\[t\]\[c\]. The bits are the same on every CPU: [`arithmetic`] defines them.
    ///
    /// # Panics
    /// The activations do not have the form that the type requires ([`TensorType::activations`]), or `out` has fewer
    /// tokens than `x` or fewer rows than `w`.
    pub fn multiply(self, w: &Matrix<'_>, x: Activations<'_>, out: &mut Outputs<'_>) {
        let blocks = w.columns / w.ty.block_len();
        let row = w.ty.block_bytes() * blocks;
        let tiled = if w.tiled {
            tiles::tiled_rows(w.rows)
        } else {
            0
        };
        let (in_tiles, left) = w.bytes.split_at(tiled * row);
        // Data not aligned to a register is handled by the slow path.
        let quads = match tiled {
            0 => Some(&[][..]),
            _ => <[Quad]>::ref_from_bytes(in_tiles).ok(),
        };
        let quads = quads.map(|quads| Tiles {
            quads,
            tile: row,
            blocks,
        });
        on_type!(w.ty,
            float F => {
                let Activations::Float(x) = x else { panic!("activations of another kind") };
                match quads {
                    Some(quads) => self.floats::<F>(quads, x, out),
                    None => tiles::matmul_float::<F>(in_tiles, blocks, x, out),
                }
                arithmetic::matmul_float::<F>(left, tiled, blocks, x, out);
            },
            small B => {
                let Activations::Q8(x) = x else { panic!("activations of another kind") };
                match quads {
                    Some(quads) => self.small::<B>(quads, x, out),
                    None => tiles::matmul_small::<B>(in_tiles, blocks, x, out),
                }
                arithmetic::matmul_small::<B>(blocks_of(left), tiled, blocks, x, out);
            },
            large B => {
                let Activations::Q8K(x) = x else { panic!("activations of another kind") };
                match quads {
                    Some(quads) => self.large::<B>(quads, x, out),
                    None => tiles::matmul_super::<B>(in_tiles, blocks, x, out),
                }
                arithmetic::matmul_super::<B>(blocks_of(left), tiled, blocks, x, out);
            },
        );
    }
}

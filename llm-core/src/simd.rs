//! The inner loops, one module per instruction set.
//!
//! [`scalar`] is the reference: short, obviously right, and kept for ever as the oracle of the fast
//! ones, which give the same bits. The fast ones work on [`tiles`]: sixteen rows of a matrix lie
//! interleaved, and the lanes of a vector hold different rows, so that each row still adds its blocks
//! in ascending order.
//!
//! Which one runs is decided by a [`Cpu`], which the caller passes in: a protection domain cannot ask
//! the CPU.

pub(crate) mod attention;
use crate::kv_cache::{self, KvShape};
use crate::quantize::{self, ActivationQ8, ActivationQ8K, NonFinite};
use attention::Attention;
use tiles::Format;

/// The loops that are the same code for every CPU, compiled for its vectors: a compiler neither reorders nor
/// contracts float operations, so the bits are the same. `$then` gets the list after `$arguments`.
macro_rules! for_each_loop {
    ($then:ident $($arguments:tt)*) => {
        $then! { $($arguments)*
            /// As [`scalar::rms_norm`].
            fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) = scalar::rms_norm;
            /// As [`scalar::layer_norm`].
            fn layer_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) = scalar::layer_norm;
            /// As [`scalar::swiglu`].
            fn swiglu(gate: &mut [f32], up: &[f32]) = scalar::swiglu;
            /// As [`scalar::gelu`].
            fn gelu(x: &mut [f32]) = scalar::gelu;
            /// As [`scalar::rotate`].
            fn rotate(heads: &mut [f32], size: usize, angles: &[[f32; 2]], halves: bool) = scalar::rotate;
            /// As [`scalar::add`].
            fn add(x: &mut [f32], y: &[f32]) = scalar::add;
            /// As [`quantize::max_magnitude`].
            fn max_magnitude(x: &[f32]) -> Result<f32, NonFinite> = quantize::max_magnitude;
            /// As [`quantize::quantize_activations`].
            fn quantize_activations(x: &[f32], out: &mut [ActivationQ8]) -> Result<(), NonFinite>
                = quantize::quantize_activations;
            /// As [`quantize::quantize_activations_k`].
            fn quantize_activations_k(x: &[f32], out: &mut [ActivationQ8K]) -> Result<(), NonFinite>
                = quantize::quantize_activations_k;
            /// As [`kv_cache::store`].
            fn store(
                shape: &KvShape, pool: &mut [u8], table: &[u16], layer: usize, position: usize,
                rows: [&[f32]; 2],
            ) -> Result<(), NonFinite> = kv_cache::store;
            /// As [`Attention::quantize`].
            fn quantize_queries(attention: &mut Attention<'_>) -> Result<(), NonFinite>
                = Attention::quantize;
        }
    };
}

/// A function of each loop for an instruction set.
#[cfg(target_arch = "x86_64")]
macro_rules! compile {
    ($features:literal $($(#[$doc:meta])* fn $name:ident($($argument:ident: $ty:ty),* $(,)?) $(-> $result:ty)? = $path:path;)*) => {$(
        $(#[$doc])*
        #[target_feature(enable = $features)]
        pub(in crate::simd) fn $name($($argument: $ty),*) $(-> $result)? {
            $path($($argument),*)
        }
    )*};
}

/// A method of [`Cpu`] for each loop.
macro_rules! dispatch {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $ty:ty),* $(,)?) $(-> $result:ty)? = $path:path;)*) => {
        #[allow(unsafe_code)]
        impl Cpu {$(
            $(#[$doc])*
            pub(crate) fn $name(self, $($argument: $ty),*) $(-> $result)? {
                match self.0 {
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: the value says that the CPU has AVX2 and F16C.
                    Isa::Avx2 => unsafe { avx2::loops::$name($($argument),*) },
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: the value says that the CPU has AVX-512 F, BW and VNNI, and F16C.
                    Isa::Avx512 => unsafe { avx512::loops::$name($($argument),*) },
                    _ => $path($($argument),*),
                }
            }
        )*}
    };
}

for_each_loop! { dispatch }

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx512;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
#[allow(unsafe_code)]
mod neon;
pub mod scalar;
pub mod tiles;

/// Instructions that the kernels may use. A value says that the CPU has them, so only those that the
/// build or the CPU itself vouches for can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu(Isa);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(test, feature = "detect")),
    allow(dead_code, reason = "only a running CPU can vouch for some of them")
)]
enum Isa {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    Neon,
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    NeonDot,
}

impl Cpu {
    /// Nothing but Rust: the reference.
    pub const SCALAR: Self = Self(Isa::Scalar);

    /// What every CPU has that this build runs on: a constant of the target.
    #[must_use]
    pub const fn of_build() -> Self {
        #[cfg(all(target_arch = "aarch64", target_feature = "dotprod"))]
        return Self(Isa::NeonDot);
        #[cfg(all(
            target_arch = "aarch64",
            target_feature = "neon",
            not(target_feature = "dotprod")
        ))]
        return Self(Isa::Neon);
        #[cfg(not(all(target_arch = "aarch64", target_feature = "neon")))]
        Self::SCALAR
    }

    /// The best that this CPU has.
    #[cfg(any(test, feature = "detect"))]
    #[must_use]
    pub fn detect() -> Self {
        Self::all().next_back().unwrap_or(Self::SCALAR)
    }

    /// Everything that this CPU has, the best last.
    #[cfg(any(test, feature = "detect"))]
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        let found = [
            Some(Self::SCALAR),
            #[cfg(target_arch = "x86_64")]
            (std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("f16c"))
                .then_some(Self(Isa::Avx2)),
            #[cfg(target_arch = "x86_64")]
            (std::is_x86_feature_detected!("avx512f")
                && std::is_x86_feature_detected!("avx512bw")
                && std::is_x86_feature_detected!("avx512vnni")
                && std::is_x86_feature_detected!("f16c"))
            .then_some(Self(Isa::Avx512)),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Some(Self(Isa::Neon)),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            std::arch::is_aarch64_feature_detected!("dotprod").then_some(Self(Isa::NeonDot)),
        ];
        found.into_iter().flatten()
    }

    /// The name of the instruction set.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Isa::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "AVX-512 VNNI",
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Isa::Neon => "NEON",
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Isa::NeonDot => "NEON with SDOT",
        }
    }

    /// Whether matrices should lie in [`tiles`].
    #[must_use]
    pub const fn wants_tiles(self) -> bool {
        !matches!(self.0, Isa::Scalar)
    }

    /// Attention of one position.
    ///
    /// # Errors
    /// A query is not finite, where that must be known.
    #[allow(unsafe_code)]
    pub(crate) fn attend(self, mut attention: Attention<'_>) -> Result<(), NonFinite> {
        self.quantize_queries(&mut attention)?;
        if !attention
            .cache
            .shape
            .head_size
            .is_multiple_of(scalar::LANES)
        {
            attention.run_scalar();
            return Ok(());
        }
        match self.0 {
            Isa::Scalar => attention.run_scalar(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value says that the CPU has AVX2 and F16C.
            Isa::Avx2 => unsafe { avx2::attend(attention) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value says that the CPU has AVX-512 F, BW and VNNI, and F16C.
            Isa::Avx512 => unsafe { avx512::attend(attention) },
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            // SAFETY: the build says that every CPU of the target has NEON.
            Isa::Neon | Isa::NeonDot => unsafe { neon::attend(attention) },
        }
        Ok(())
    }

    /// As [`scalar::matmul_small`] for a matrix in tiles of [`Format::Q8_0`].
    pub fn matmul_q8_0(self, w: &[u8], blocks: usize, x: &[ActivationQ8], out: &mut [f32]) {
        self.matmul_small::<true>(w, blocks, x, out);
    }

    /// As [`scalar::matmul_small`] for a matrix in tiles of [`Format::Q4_0`].
    pub fn matmul_q4_0(self, w: &[u8], blocks: usize, x: &[ActivationQ8], out: &mut [f32]) {
        self.matmul_small::<false>(w, blocks, x, out);
    }

    #[allow(unsafe_code)]
    fn matmul_small<const BYTES: bool>(
        self,
        w: &[u8],
        blocks: usize,
        x: &[ActivationQ8],
        out: &mut [f32],
    ) {
        match self.0 {
            Isa::Scalar => {
                let format = if BYTES { Format::Q8_0 } else { Format::Q4_0 };
                tiles::matmul_small(format, w, blocks, x, out);
            }
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value says that the CPU has AVX2 and F16C.
            Isa::Avx2 => unsafe { avx2::matmul_small::<BYTES>(w, blocks, x, out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value says that the CPU has AVX-512 F, BW and VNNI, and F16C.
            Isa::Avx512 => unsafe { avx512::matmul_small::<BYTES>(w, blocks, x, out) },
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            // SAFETY: the build says that every CPU of the target has NEON.
            Isa::Neon => unsafe { neon::matmul_small::<BYTES, false>(w, blocks, x, out) },
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            // SAFETY: the value says that the CPU has SDOT.
            Isa::NeonDot => unsafe { neon::matmul_small::<BYTES, true>(w, blocks, x, out) },
        }
    }

    /// As [`scalar::matmul_super`] for a matrix in tiles of [`Format::Q4K`].
    #[allow(unsafe_code)]
    pub fn matmul_q4_k(self, w: &[u8], blocks: usize, x: &[ActivationQ8K], out: &mut [f32]) {
        match self.0 {
            Isa::Scalar => tiles::matmul_super(w, blocks, x, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value says that the CPU has AVX2 and F16C.
            Isa::Avx2 => unsafe { avx2::matmul_super(w, blocks, x, out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value says that the CPU has AVX-512 F, BW and VNNI, and F16C.
            Isa::Avx512 => unsafe { avx512::matmul_super(w, blocks, x, out) },
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            // SAFETY: the build says that every CPU of the target has NEON.
            Isa::Neon => unsafe { neon::matmul_super::<false>(w, blocks, x, out) },
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            // SAFETY: the value says that the CPU has SDOT.
            Isa::NeonDot => unsafe { neon::matmul_super::<true>(w, blocks, x, out) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::tiles::{Format, TILE, repack};
    use super::*;
    use crate::quantize::{
        BLOCK, SUPER_BLOCK, TensorType, quantize_activations, quantize_activations_k,
    };
    use crate::transformer::{multiply_small, multiply_super};
    use half::f16;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;
    use zerocopy::{FromBytes, IntoBytes};

    /// Rows of any bits, with finite scales.
    fn weights(format: Format, rows: usize, blocks: usize, bits: &[u8], scales: &[u16]) -> Vec<u8> {
        let size = format.block_bytes();
        let bytes = bits.iter().copied().cycle().take(rows * blocks * size);
        let mut bytes: Vec<u8> = bytes.collect();
        let mut scales = scales.iter().cycle();
        let floats = if format == Format::Q4K { 2 } else { 1 };
        for block in bytes.chunks_mut(size) {
            for float in block.as_chunks_mut::<2>().0.iter_mut().take(floats) {
                let scale = f16::from_bits(*scales.next().unwrap());
                let scale = if scale.is_finite() { scale } else { f16::ONE };
                *float = scale.to_le_bytes();
            }
        }
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Every path, any weights (also −128, subnormal and negative scales), any number of tokens.
        #[test]
        fn all_paths_give_the_bits_of_the_scalar_one(
            bits in prop::collection::vec(any::<u8>(), 600..1200),
            extreme in prop::sample::select(&[None, Some(0x80), Some(0xFF)]),
            scales in prop::collection::vec(any::<u16>(), 61),
            x in prop::collection::vec(-100f32..100.0, 15 * 2 * SUPER_BLOCK),
            ends in any::<bool>(),
            tokens in 1usize..=15,
        ) {
            let (rows, blocks) = (2 * TILE, 2);
            let bits = extreme.map_or(bits, |byte| vec![byte]);
            // Activations of ±127 alone.
            let x: Vec<f32> = match ends {
                true => x.iter().map(|x| x.signum()).collect(),
                false => x,
            };
            let mut small = vec![ActivationQ8::ZERO; tokens * blocks];
            quantize_activations(&x[..small.len() * BLOCK], &mut small).unwrap();
            let mut large = vec![ActivationQ8K::ZERO; tokens * blocks];
            quantize_activations_k(&x[..large.len() * SUPER_BLOCK], &mut large).unwrap();
            for format in Format::ALL {
                let w = weights(format, rows, blocks, &bits, &scales);
                let mut expected = vec![0.0; rows * tokens];
                match format {
                    Format::Q4K => {
                        multiply_super(TensorType::Q4K, &w, blocks, &large, &mut expected);
                    }
                    _ => multiply_small(format.tensor_type(), &w, blocks, &small, &mut expected),
                }
                let mut tiled = vec![Quad([0; 16]); w.len() / 16];
                let tiled = tiled.as_mut_slice().as_mut_bytes();
                repack(format, blocks, &w, tiled);
                for cpu in Cpu::all() {
                    let mut out = vec![Quad([0xFF; 16]); rows * tokens / 4];
                    let out = <[f32]>::mut_from_bytes(out.as_mut_slice().as_mut_bytes()).unwrap();
                    match format {
                        Format::Q8_0 => cpu.matmul_q8_0(tiled, blocks, &small, out),
                        Format::Q4_0 => cpu.matmul_q4_0(tiled, blocks, &small, out),
                        Format::Q4K => cpu.matmul_q4_k(tiled, blocks, &large, out),
                    }
                    let same = out.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
                    prop_assert!(same, "{} {format:?}", cpu.name());
                }
            }
        }
    }

    /// Sixteen bytes on their boundary.
    #[derive(Clone, Copy, FromBytes, IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)]
    #[repr(C, align(16))]
    struct Quad([u8; 16]);

    #[test]
    fn this_cpu_has_something() {
        assert_eq!(Cpu::all().next(), Some(Cpu::SCALAR));
        std::println!("tested on {}", Cpu::detect().name());
    }
}

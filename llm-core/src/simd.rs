//! The inner loops, one module per instruction set.
//!
//! They give the same bits as the reference, [`crate::arithmetic`]. Matrix products work on [`tiles`]:
//! sixteen rows of a matrix are interleaved, and the lanes of a vector hold different rows, so each row still adds its
//! blocks in ascending order.
//!
//! The caller passes a [`Cpu`] to choose one, because a protection domain cannot query the CPU.

#![cfg_attr(
    not(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_feature = "neon")
    )),
    allow(
        dead_code,
        unused_macros,
        unused_imports,
        reason = "targets without vectors use less: [`words`] and the scalar path"
    )
)]

pub(crate) mod adapter;
pub(crate) mod attention;
pub(crate) mod backward;
mod isa;
pub(crate) mod key_bias;
mod lanes;
mod matrix;
mod multiply;

use crate::arithmetic;
use crate::kv_cache::{self, KvShape};
use crate::quantize::{self, ActivationQ8, ActivationQ8K, NonFinite, TensorType};
use adapter::Half;
use attention::Attention;
use backward::{AdamW, AttentionBack, LossBack, Peak, Spread};
pub use multiply::{Activations, Matrix};

/// Loops with the same code for every CPU, compiled for its vectors. A compiler neither reorders nor contracts float
/// operations, so the bits are the same. `$then` gets the list after `$arguments`.
macro_rules! for_each_loop {
    ($then:ident $($arguments:tt)*) => {
        $then! { $($arguments)*
            /// Like [`arithmetic::rms_norm`].
            fn rms_norm(x: &mut [f32], weight: &[f32], epsilon: f32) = arithmetic::rms_norm;
            /// Like [`arithmetic::layer_norm`].
            fn layer_norm(x: &mut [f32], weight: &[f32], epsilon: f32) = arithmetic::layer_norm;
            /// Like [`arithmetic::swiglu`].
            fn swiglu(gate: &mut [f32], up: &[f32]) = arithmetic::swiglu;
            /// Like [`arithmetic::silu`].
            fn silu(x: &mut [f32]) = arithmetic::silu;
            /// Like [`arithmetic::gelu`].
            fn gelu(x: &mut [f32]) = arithmetic::gelu;
            /// Like [`arithmetic::geglu`].
            fn geglu(gate: &mut [f32], up: &[f32]) = arithmetic::geglu;
            /// Like [`arithmetic::soft_cap`].
            fn soft_cap(x: &mut [f32], cap: f32) = arithmetic::soft_cap;
            /// Like [`arithmetic::scale`].
            fn scale(x: &mut [f32], s: f32) = arithmetic::scale;
            /// Like [`arithmetic::rotate`].
            fn rotate(heads: &mut [f32], size: usize, angles: &[[f32; 2]], halves: bool) = arithmetic::rotate;
            /// Like [`arithmetic::add`].
            fn add(x: &mut [f32], y: &[f32]) = arithmetic::add;
            /// Like [`arithmetic::adapter_down`].
            fn adapter_down(a: &[f32], x: &[f32], scale: f32, t: &mut [f32]) = arithmetic::adapter_down;
            /// Like [`arithmetic::adapter_up`].
            fn adapter_up(b: &[f32], t: &[f32], y: &mut [f32]) = arithmetic::adapter_up;
            /// Like [`quantize::max_magnitude`].
            fn max_magnitude(x: &[f32]) -> Result<f32, NonFinite> = quantize::max_magnitude;
            /// Like [`quantize::quantize_activations`].
            fn quantize_activations(x: &[f32], out: &mut [ActivationQ8]) -> Result<(), NonFinite>
                = quantize::quantize_activations;
            /// Like [`quantize::quantize_activations_k`].
            fn quantize_activations_k(x: &[f32], out: &mut [ActivationQ8K]) -> Result<(), NonFinite>
                = quantize::quantize_activations_k;
            /// Like [`kv_cache::store`].
            fn store(
                shape: &KvShape, planes: &mut [u8], table: &[u16], position: usize, rows: [&[f32]; 2],
            ) -> Result<(), NonFinite> = kv_cache::store;
            /// Like [`backward::rms_norm_back`].
            fn rms_norm_back(x: &[f32], weight: &[f32], epsilon: f32, back: &mut [f32]) = backward::rms_norm_back;
            /// Like [`backward::layer_norm_back`].
            fn layer_norm_back(x: &[f32], weight: &[f32], epsilon: f32, back: &mut [f32]) = backward::layer_norm_back;
            /// Like [`backward::silu_back`].
            fn silu_back(x: &mut [f32], back: &[f32]) = backward::silu_back;
            /// Like [`backward::gelu_back`].
            fn gelu_back(x: &mut [f32], back: &[f32]) = backward::gelu_back;
            /// Like [`backward::swiglu_back`].
            fn swiglu_back(gate: &mut [f32], up: &mut [f32], back: &[f32]) = backward::swiglu_back;
            /// Like [`backward::geglu_back`].
            fn geglu_back(gate: &mut [f32], up: &mut [f32], back: &[f32]) = backward::geglu_back;
            /// Like [`backward::rotate_back`].
            fn rotate_back(heads: &mut [f32], size: usize, angles: &[[f32; 2]], halves: bool) = backward::rotate_back;
            /// Like [`backward::softmax_more`].
            fn softmax_more(peak: &mut Peak, logits: &[f32]) = backward::softmax_more;
            /// Like [`backward::loss_back`].
            fn loss_back(logits: &mut [f32], of: &LossBack) = backward::loss_back;
            /// Like [`arithmetic::dot_f32`].
            fn dot(a: &[f32], b: &[f32]) -> f32 = arithmetic::dot_f32;
            /// Like [`backward::adam_w`].
            fn adam_w(
                parameters: &mut [f32], gradients: &[f32], means: &mut [f32], squares: &mut [f32], by: &AdamW,
            ) = backward::adam_w;
            /// Like [`tiles::dequantize_rows`].
            fn dequantize_rows(ty: TensorType, w: &[u8], first: usize, columns: usize, out: &mut [f32])
                = tiles::dequantize_rows;
            /// Like [`AttentionBack::run`].
            fn attend_back(attention: &mut AttentionBack<'_>) = AttentionBack::run;
            /// Like [`Attention::quantize`].
            fn quantize_queries(attention: &mut Attention<'_>) -> Result<(), NonFinite>
                = Attention::quantize;
        }
    };
}

/// Defines a function for each loop, for an instruction set.
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

/// Defines a method of [`Cpu`] for each loop.
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
pub mod tiles;
mod words;

/// Instructions that the kernels may use. A value guarantees that the CPU has them, so only those that the build or the
/// CPU itself confirms can be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu(Isa);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(test, feature = "detect")),
    allow(dead_code, reason = "only a running CPU can vouch for some of them")
)]
enum Isa {
    Scalar,
    Words,
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
    /// Plain Rust: the reference.
    pub const SCALAR: Self = Self(Isa::Scalar);

    /// Plain Rust that calculates with words of 64 bits.
    pub const WORDS: Self = Self(Isa::Words);

    /// What every CPU that can run this build has: a constant of the target.
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
        // Compilers have vectors for the scalar code on x86-64, and multiplications of 64 bits are dear on 32-bit CPUs.
        #[cfg(all(
            target_pointer_width = "64",
            not(target_arch = "x86_64"),
            not(all(target_arch = "aarch64", target_feature = "neon"))
        ))]
        return Self::WORDS;
        #[cfg(any(target_arch = "x86_64", not(target_pointer_width = "64")))]
        Self::SCALAR
    }

    /// The best that this CPU supports.
    #[cfg(any(test, feature = "detect"))]
    #[must_use]
    pub fn detect() -> Self {
        match Self::all().next_back() {
            Some(best) if best != Self::WORDS => best,
            _ => Self::of_build(),
        }
    }

    /// Everything that this CPU supports, the best last.
    #[cfg(any(test, feature = "detect"))]
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        let found = [
            Some(Self::SCALAR),
            Some(Self::WORDS),
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
            Isa::Words => "words",
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

    /// A number for the instruction set, the same in every build for a target.
    pub(crate) const fn code(self) -> u64 {
        match self.0 {
            Isa::Scalar => 0,
            Isa::Words => 5,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => 1,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => 2,
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Isa::Neon => 3,
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Isa::NeonDot => 4,
        }
    }

    /// The instruction set with this number, if this build or this CPU has it.
    pub(crate) fn from_code(code: u64) -> Option<Self> {
        #[cfg(any(test, feature = "detect"))]
        return Self::all().find(|cpu| cpu.code() == code);
        #[cfg(not(any(test, feature = "detect")))]
        [Self::of_build(), Self::SCALAR]
            .into_iter()
            .find(|cpu| cpu.code() == code)
    }

    /// Whether matrices should be stored in [`tiles`].
    #[must_use]
    pub const fn wants_tiles(self) -> bool {
        !matches!(self.0, Isa::Scalar)
    }

    /// Attention of one position.
    ///
    /// # Errors
    /// A query is not finite, in the KV types that need to know.
    #[allow(unsafe_code)]
    pub(crate) fn attend(self, mut attention: Attention<'_>) -> Result<(), NonFinite> {
        self.quantize_queries(&mut attention)?;
        if !attention
            .cache
            .shape
            .head_size
            .is_multiple_of(arithmetic::LANES)
        {
            attention.run_scalar();
            return Ok(());
        }
        match self.0 {
            Isa::Scalar => attention.run_scalar(),
            Isa::Words => words::attend(attention),
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

    /// Like [`Spread::run_scalar`].
    #[allow(unsafe_code)]
    pub(crate) fn spread(self, spread: Spread<'_>) {
        match self.0 {
            Isa::Scalar | Isa::Words => spread.run_scalar(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value says that the CPU has AVX2 and F16C.
            Isa::Avx2 => unsafe { avx2::spread(spread) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value says that the CPU has AVX-512 F, BW and VNNI, and F16C.
            Isa::Avx512 => unsafe { avx512::spread(spread) },
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            // SAFETY: the build says that every CPU of the target has NEON.
            Isa::Neon | Isa::NeonDot => unsafe { neon::spread(spread) },
        }
    }

    /// Like [`Half::down_scalar`].
    #[allow(unsafe_code)]
    pub(crate) fn adapter_half_down(self, half: Half<'_>, x: &[f32], scale: f32, t: &mut [f32]) {
        match self.0 {
            Isa::Scalar | Isa::Words => half.down_scalar(x, scale, t),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value says that the CPU has AVX2 and F16C.
            Isa::Avx2 => unsafe { avx2::adapter_half_down(half, x, scale, t) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value says that the CPU has AVX-512 F, BW and VNNI, and F16C.
            Isa::Avx512 => unsafe { avx512::adapter_half_down(half, x, scale, t) },
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            // SAFETY: the build says that every CPU of the target has NEON.
            Isa::Neon | Isa::NeonDot => unsafe { neon::adapter_half_down(half, x, scale, t) },
        }
    }

    /// Like [`Half::up_scalar`].
    #[allow(unsafe_code)]
    pub(crate) fn adapter_half_up(self, half: Half<'_>, t: &[f32], y: &mut [f32]) {
        match self.0 {
            Isa::Scalar | Isa::Words => half.up_scalar(t, y),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value says that the CPU has AVX2 and F16C.
            Isa::Avx2 => unsafe { avx2::adapter_half_up(half, t, y) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value says that the CPU has AVX-512 F, BW and VNNI, and F16C.
            Isa::Avx512 => unsafe { avx512::adapter_half_up(half, t, y) },
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            // SAFETY: the build says that every CPU of the target has NEON.
            Isa::Neon | Isa::NeonDot => unsafe { neon::adapter_half_up(half, t, y) },
        }
    }
}

#[cfg(test)]
mod tests;

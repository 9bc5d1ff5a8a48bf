//! The types of tensors: each is a file in [`super::formats`] and a line here.

use super::blocks::{Block, FloatType};
use super::{BLOCK, SUPER_BLOCK};

/// The list of types, for the macro `$then`, which gets it after `$arguments`. Each has a class (float, small block or
/// super-block), a variant, and the type that implements it.
macro_rules! for_each_type {
    (($($then:tt)*) $($arguments:tt)*) => {
        $($then)*! { $($arguments)*
            /// IEEE binary32.
            float F32: F32,
            /// IEEE binary16.
            float F16: F16,
            /// The upper half of an IEEE binary32.
            float BF16: BF16,
            /// 4 bits in blocks of 32 with a scale.
            small Q4_0: BlockQ4_0,
            /// 4 bits in blocks of 32 with a scale and an offset.
            small Q4_1: BlockQ4_1,
            /// 5 bits in blocks of 32 with a scale.
            small Q5_0: BlockQ5_0,
            /// 5 bits in blocks of 32 with a scale and an offset.
            small Q5_1: BlockQ5_1,
            /// 8 bits in blocks of 32 with a scale.
            small Q8_0: BlockQ8_0,
            /// 8 bits in blocks of 32 with a scale and a sum.
            small Q8_1: BlockQ8_1,
            /// 2 bits in blocks of 256, groups of 16.
            large Q2K: BlockQ2K,
            /// 3 bits in blocks of 256, groups of 16.
            large Q3K: BlockQ3K,
            /// 4 bits in blocks of 256, groups of 32.
            large Q4K: BlockQ4K,
            /// 5 bits in blocks of 256, groups of 32.
            large Q5K: BlockQ5K,
            /// 6 bits in blocks of 256, groups of 16.
            large Q6K: BlockQ6K,
            /// 4 bits of a table in blocks of 32 with a scale.
            small IQ4NL: BlockIQ4NL,
            /// 4 bits of a table in blocks of 256, groups of 32.
            large IQ4XS: BlockIQ4XS,
            /// −1, 0 and 1 in blocks of 256, five in a byte.
            large TQ1_0: BlockTQ1_0,
            /// −1, 0 and 1 in blocks of 256, four in a byte.
            large TQ2_0: BlockTQ2_0,
        }
    };
}

/// Generates the enum, and the list of all its values.
macro_rules! enumerate {
    ($($(#[$doc:meta])* $kind:ident $variant:ident: $block:ty,)*) => {
        /// Type of a tensor's elements.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum TensorType {
            $($(#[$doc])* $variant,)*
        }

        impl TensorType {
            /// Every type that the engine supports.
            pub const ALL: [Self; [$(stringify!($variant)),*].len()] = [$(Self::$variant),*];
        }
    };
}

for_each_type! { (enumerate) }

/// Evaluates an expression for the implementation of a type, bound to the given name. There is one expression each for
/// floats, small blocks and super-blocks.
macro_rules! on_type {
    ($ty:expr, $($cases:tt)*) => {
        $crate::quantize::types::for_each_type! { ($crate::quantize::types::arms) ($ty) ($($cases)*) }
    };
}

/// The arms of [`on_type`].
macro_rules! arms {
    (($ty:expr) $cases:tt $($(#[$doc:meta])* $kind:ident $variant:ident: $block:ident,)*) => {
        match $ty {
            $($crate::quantize::TensorType::$variant =>
                $crate::quantize::types::arm!($kind $block $cases),)*
        }
    };
}

/// One arm.
macro_rules! arm {
    (float $block:ident (float $f:ident => $float:expr, small $s:ident => $small:expr, large $l:ident => $large:expr $(,)?)) => {{
        type $f = $crate::quantize::formats::$block;
        $float
    }};
    (small $block:ident (float $f:ident => $float:expr, small $s:ident => $small:expr, large $l:ident => $large:expr $(,)?)) => {{
        type $s = $crate::quantize::formats::$block;
        $small
    }};
    (large $block:ident (float $f:ident => $float:expr, small $s:ident => $small:expr, large $l:ident => $large:expr $(,)?)) => {{
        type $l = $crate::quantize::formats::$block;
        $large
    }};
}

pub(crate) use {arm, arms, for_each_type, on_type};

/// Form of the activations that a matrix is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationType {
    /// Plain f32.
    Float,
    /// [`super::ActivationQ8`].
    Q8,
    /// [`super::ActivationQ8K`].
    Q8K,
}

impl TensorType {
    /// The type with this number in a GGUF file.
    #[must_use]
    pub fn from_ggml(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|ty| ty.to_ggml() == number)
    }

    /// Its number in a GGUF file.
    #[must_use]
    pub const fn to_ggml(self) -> u32 {
        on_type!(self,
            float F => <F as FloatType>::NUMBER,
            small B => <B as Block>::NUMBER,
            large B => <B as Block>::NUMBER,
        )
    }

    /// Its name in ggml.
    #[must_use]
    pub const fn name(self) -> &'static str {
        on_type!(self,
            float F => <F as FloatType>::NAME,
            small B => <B as Block>::NAME,
            large B => <B as Block>::NAME,
        )
    }

    /// Elements of one block; a row is a whole number of blocks.
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self.activations() {
            ActivationType::Float => 1,
            ActivationType::Q8 => BLOCK,
            ActivationType::Q8K => SUPER_BLOCK,
        }
    }

    /// Bytes of one block.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        on_type!(self,
            float F => <F as FloatType>::BYTES,
            small B => size_of::<B>(),
            large B => size_of::<B>(),
        )
    }

    /// Bytes of a row of `columns` elements; `None` if the row is not whole blocks.
    #[must_use]
    pub const fn row_bytes(self, columns: usize) -> Option<usize> {
        if columns.is_multiple_of(self.block_len()) {
            (columns / self.block_len()).checked_mul(self.block_bytes())
        } else {
            None
        }
    }

    /// Offsets of a block's f16 values, for tests that make blocks of random bytes.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub const fn f16_places(self) -> &'static [usize] {
        on_type!(self,
            float _F => &[],
            small B => <B as Block>::FLOATS,
            large B => <B as Block>::FLOATS,
        )
    }

    /// Form of the activations for a matrix of this type.
    #[must_use]
    pub const fn activations(self) -> ActivationType {
        on_type!(self,
            float _F => ActivationType::Float,
            small _B => ActivationType::Q8,
            large _B => ActivationType::Q8K,
        )
    }

    /// The type for rows that are not whole blocks of this type, as llama.cpp chooses it; `None` if there is no smaller
    /// one.
    #[must_use]
    pub const fn fallback(self) -> Option<Self> {
        match self {
            Self::Q2K | Self::Q3K => Some(Self::Q4_0),
            Self::TQ1_0 | Self::TQ2_0 => Some(Self::Q4_0),
            Self::IQ4XS => Some(Self::IQ4NL),
            Self::Q4K => Some(Self::Q5_0),
            Self::Q5K => Some(Self::Q5_1),
            Self::Q6K => Some(Self::Q8_0),
            Self::F32 | Self::F16 | Self::BF16 => None,
            _ => Some(Self::F16),
        }
    }
}

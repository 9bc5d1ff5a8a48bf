//! Jobs as words: what crosses from one address space to another.

use crate::arena::Span;
use crate::kv_cache::{KvShape, KvType};
use crate::quantize::TensorType;
use core::ops::Range;

/// Takes the words of a job.
pub(super) struct Writer<'w>(pub(super) &'w mut dyn FnMut(u64));

/// Gives them again.
pub(super) struct Reader<'r>(pub(super) &'r mut dyn FnMut() -> Option<u64>);

/// What can be written as words.
pub(super) trait Word: Sized {
    fn put(&self, to: &mut Writer<'_>);
    /// `None` if the words are not such a value.
    fn get(from: &mut Reader<'_>) -> Option<Self>;
}

impl Word for u64 {
    fn put(&self, to: &mut Writer<'_>) {
        to.0(*self);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        from.0()
    }
}

macro_rules! numbers {
    ($($ty:ty),*) => {$(
        impl Word for $ty {
            fn put(&self, to: &mut Writer<'_>) {
                to.0(*self as u64);
            }

            fn get(from: &mut Reader<'_>) -> Option<Self> {
                Self::try_from(from.0()?).ok()
            }
        }
    )*};
}

numbers! { usize, u32 }

impl Word for bool {
    fn put(&self, to: &mut Writer<'_>) {
        to.0(u64::from(*self));
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        match from.0()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Word for f32 {
    fn put(&self, to: &mut Writer<'_>) {
        to.0(u64::from(self.to_bits()));
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        u32::get(from).map(Self::from_bits)
    }
}

impl<T: Word> Word for Option<T> {
    fn put(&self, to: &mut Writer<'_>) {
        self.is_some().put(to);
        if let Some(value) = self {
            value.put(to);
        }
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        match bool::get(from)? {
            true => T::get(from).map(Some),
            false => Some(None),
        }
    }
}

impl<T: Word, const N: usize> Word for heapless::Vec<T, N> {
    fn put(&self, to: &mut Writer<'_>) {
        self.len().put(to);
        for value in self {
            value.put(to);
        }
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let len = usize::get(from)?;
        let mut values = Self::new();
        for _ in 0..len {
            values.push(T::get(from)?).ok()?;
        }
        Some(values)
    }
}

impl Word for Range<usize> {
    fn put(&self, to: &mut Writer<'_>) {
        self.start.put(to);
        self.end.put(to);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let (start, end) = (usize::get(from)?, usize::get(from)?);
        (start <= end).then_some(start..end)
    }
}

impl<T> Word for Span<T> {
    fn put(&self, to: &mut Writer<'_>) {
        self.range().start.put(to);
        self.len().put(to);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Self::at(usize::get(from)?, usize::get(from)?)
    }
}

impl Word for TensorType {
    fn put(&self, to: &mut Writer<'_>) {
        (*self as u64).put(to);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Self::ALL.get(usize::get(from)?).copied()
    }
}

impl Word for KvShape {
    fn put(&self, to: &mut Writer<'_>) {
        (self.ty as u64).put(to);
        let Self {
            ty: _,
            layers,
            kv_heads,
            head_size,
            context,
            sessions,
            positions,
        } = self;
        for number in [layers, kv_heads, head_size, context, sessions, positions] {
            number.put(to);
        }
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let ty = [KvType::F32, KvType::F16, KvType::Q8];
        Some(Self {
            ty: *ty.get(usize::get(from)?)?,
            layers: usize::get(from)?,
            kv_heads: usize::get(from)?,
            head_size: usize::get(from)?,
            context: usize::get(from)?,
            sessions: usize::get(from)?,
            positions: usize::get(from)?,
        })
    }
}

/// Defines a struct whose words are those of its fields, in their order.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $($(#[$field_doc])* pub(crate) $field: $ty,)*
        }

        impl $crate::team::words::Word for $name {
            fn put(&self, to: &mut $crate::team::words::Writer<'_>) {
                $($crate::team::words::Word::put(&self.$field, to);)*
            }

            fn get(from: &mut $crate::team::words::Reader<'_>) -> Option<Self> {
                Some(Self { $($field: $crate::team::words::Word::get(from)?,)* })
            }
        }
    };
}
pub(super) use record;

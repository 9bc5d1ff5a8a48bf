//! The three kinds of declarations that make up the wire format: [`messages!`], [`layout!`] and [`numbers!`].
//!
//! Each generates, from the same lines, the type that programs use, its wire layout, an assertion of its size, its
//! encoder and decoder, and its rows in `docs/protocol.md`.

/// The messages of one direction, one row each:
///
/// ```text
/// /// What it is.
/// NUMBER Name [bytes of the fixed part] { fields; tail where len <= LIMIT } => [columns of the table],
/// ```
///
/// A field may have `where CHECK`, a function that says whether its value is allowed. An optional tail names the flag
/// in the fixed part that says whether it is present (`if FLAG`). A single structure can replace the fields: `Name
/// [bytes] (name: Type)`.
macro_rules! messages {
    (
        $(#[$doc:meta])*
        pub enum $Enum:ident<'a> $columns:tt {$(
            $(#[$about:meta])*
            $number:literal $Variant:ident [$size:literal]
            $(($value:ident: $Value:ty))?
            $({
                $($(#[$field_about:meta])* $field:ident: $Field:ty $(where $check:ident)?),*
                $(; $(#[$tail_about:meta])* $tail:ident: $Tail:ty where len <= $max:ident $(if $given:ident)?)?
                $(,)?
            })?
            => $cells:tt,
        )*}
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $Enum<'a> {$(
            $(#[$about])*
            $Variant
            $(($Value))?
            $({
                $($(#[$field_about])* $field: $Field,)*
                $($(#[$tail_about])* $tail: $Tail,)?
            })?,
        )*}

        const _: () = {
            use $crate::encoding::declare::either;
            use $crate::encoding::codec::{Payload, Tail as _, Wire as _, write};
            use $crate::ring::Frame;
            use $crate::encoding::codec::WireError;
            use zerocopy::IntoBytes as _;

            /// The fixed part of each message.
            #[allow(non_snake_case)]
            mod layouts {$(
                pub(super) mod $Variant {
                    #[allow(unused_imports)]
                    use {super::super::*, $crate::encoding::{codec::Wire, declare::either}};
                    use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes, Unaligned};

                    #[derive(TryFromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
                    #[repr(C)]
                    pub(crate) struct Layout {
                        $(pub $value: <$Value as Wire>::Layout,)?
                        $(
                            $(pub $field: <$Field as Wire>::Layout,)*
                            $($(pub $given: <bool as Wire>::Layout,)?)?
                        )?
                    }

                    const _: () = assert!(
                        size_of::<Layout>() == $size,
                        "the message has another size than its declaration says"
                    );

                    #[allow(clippy::arithmetic_side_effects)] // Evaluated at build time, where overflow is an error.
                    const _: () = assert!(
                        $size + either!(0 $($(, $max)?)?) <= $crate::ring::PAYLOAD_BYTES,
                        "the longest message does not fit a slot"
                    );
                }
            )*}

            impl<'a> $Enum<'a> {
                /// The number of each message and the bytes of its fixed part, for tests that send every kind.
                pub const KINDS: &'static [(u16, usize)] = &[$(($number, $size)),*];

                /// Writes the message into `frame`, for request number `request` (0 for none).
                pub fn write<const N: usize>(&self, request: u32, frame: &mut Frame<N>) {
                    match self {$(
                        Self::$Variant $(($value))? $({ $($field,)* $($tail,)? })? => {
                            let fixed = layouts::$Variant::Layout {
                                $($value: $value.to_wire(),)?
                                $(
                                    $($field: $field.to_wire(),)*
                                    $($($given: $tail.is_some().to_wire(),)?)?
                                )?
                            };
                            let tail = either!(&[] $($(, $tail.bytes())?)?);
                            write(frame, $number, request, fixed.as_bytes(), tail);
                        }
                    )*}
                }

                /// Parses the message in `frame`.
                ///
                /// # Errors
                /// The frame is not a valid message.
                pub fn parse<const N: usize>(frame: &'a Frame<N>) -> Result<Self, WireError> {
                    let payload = Payload::of(frame);
                    match frame.header().kind {
                        $($number => {
                            let max = either!(0 $($(, $max)?)?);
                            #[allow(unused_variables, reason = "a message may have neither")]
                            let (fixed, tail) = payload.split::<layouts::$Variant::Layout>(max)?;
                            Ok(Self::$Variant
                                $((payload.value::<$Value>(&fixed.$value)?))?
                                $({
                                    $($field: {
                                        let value: $Field = payload.value(&fixed.$field)?;
                                        $(
                                            if !$check(value) {
                                                return Err(payload.field());
                                            }
                                        )?
                                        value
                                    },)*
                                    $($tail: {
                                        let given = true $(&& fixed.$given.get())?;
                                        <$Tail>::read(tail, given).ok_or(payload.field())?
                                    },)?
                                })?
                            )
                        })*
                        unknown => Err(WireError::Kind(unknown)),
                    }
                }
            }

            #[cfg(test)]
            impl $crate::encoding::shape::Documented for $Enum<'_> {
                const TABLE: $crate::encoding::shape::Table = {
                    use $crate::encoding::shape::{Field, Message, Table};
                    Table {
                        name: stringify!($Enum),
                        columns: &$columns,
                        messages: &[$(Message {
                            number: $number,
                            name: stringify!($Variant),
                            bytes: $size,
                            fields: &[
                                $(Field::of::<$Value>(stringify!($value), stringify!($Value)),)?
                                $(
                                    $(Field::of::<$Field>(stringify!($field), stringify!($Field)),)*
                                    $($(Field::of::<bool>(stringify!($given), "bool"),)?)?
                                )?
                            ],
                            tail: &[$($((stringify!($tail), $max))?)?],
                            cells: &$cells,
                        }),*],
                    }
                };
            }
        };
    };
}

/// A structure inside messages: `pub struct Name [bytes] { fields }`, each with an optional `where CHECK` as in
/// [`messages!`].
macro_rules! layout {
    (
        $(#[$doc:meta])*
        pub struct $Name:ident [$size:literal] {
            $($(#[$about:meta])* pub $field:ident: $Field:ty $(where $check:ident)?),* $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $Name {
            $($(#[$about])* pub $field: $Field,)*
        }

        const _: () = {
            use $crate::encoding::codec::Wire;
            use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes, Unaligned};

            #[derive(TryFromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
            #[repr(C)]
            pub(crate) struct Layout {
                $($field: <$Field as Wire>::Layout,)*
            }

            const _: () = assert!(
                size_of::<Layout>() == $size,
                "the structure has another size than its declaration says"
            );

            impl Wire for $Name {
                type Layout = Layout;

                #[cfg(test)]
                const SHAPE: $crate::encoding::shape::Shape = {
                    use $crate::encoding::shape::{Field, Shape};
                    Shape::Structure {
                        name: stringify!($Name),
                        fields: &[$(Field::of::<$Field>(stringify!($field), stringify!($Field)),)*],
                    }
                };

                #[inline]
                fn to_wire(&self) -> Layout {
                    Layout {
                        $($field: self.$field.to_wire(),)*
                    }
                }

                #[inline]
                fn from_wire(layout: &Layout) -> Option<Self> {
                    Some(Self {
                        $($field: {
                            let value = <$Field>::from_wire(&layout.$field)?;
                            $(
                                if !$check(value) {
                                    return None;
                                }
                            )?
                            value
                        },)*
                    })
                }
            }
        };
    };
}

/// An enum whose numbers never change their meaning.
macro_rules! numbers {
    (
        $(#[$doc:meta])*
        pub enum $Name:ident {
            $($(#[$about:meta])* $Variant:ident = $number:literal),* $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq,
            zerocopy::TryFromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable, zerocopy::Unaligned,
        )]
        #[repr(u8)]
        pub enum $Name {
            $($(#[$about])* $Variant = $number,)*
        }

        impl $Name {
            /// All values, in numeric order.
            pub const ALL: &'static [Self] = &[$(Self::$Variant,)*];

            /// The value with this number.
            #[must_use]
            pub fn from_u32(number: u32) -> Option<Self> {
                $crate::encoding::codec::numbered(number)
            }
        }

        impl $crate::encoding::codec::Wire for $Name {
            type Layout = $crate::encoding::codec::Wide<Self>;

            #[cfg(test)]
            const SHAPE: $crate::encoding::shape::Shape = $crate::encoding::shape::Shape::Numbers {
                name: stringify!($Name),
                numbers: &[$((stringify!($Variant), $number),)*],
            };

            #[inline]
            fn to_wire(&self) -> Self::Layout {
                $crate::encoding::codec::Wide::new(*self)
            }

            #[inline]
            fn from_wire(layout: &Self::Layout) -> Option<Self> {
                Some(layout.get())
            }
        }
    };
}

/// The second argument if there is one, otherwise the first.
macro_rules! either {
    ($instead:expr) => {
        $instead
    };
    ($instead:expr, $value:expr) => {
        $value
    };
}

pub(crate) use {either, layout, messages, numbers};

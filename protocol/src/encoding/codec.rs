//! How values are represented on the wire, and how messages are encoded and decoded.
//!
//! A value has two forms: the plain one that programs use, and its *layout*, which is sent. A layout has alignment 1,
//! no padding, and little-endian numbers by type ([`zerocopy::little_endian`]), so the bytes are the same on every
//! machine. [`zerocopy::TryFromBytes`] decides whether bytes are a valid layout: it refuses unknown enum numbers, flags
//! other than 0 and 1, and nonzero reserved bytes. [`Wire::from_wire`] checks what types cannot express, such as names
//! and session numbers. Each value has exactly one layout, so a parsed message is written back byte for byte.

#[cfg(test)]
use super::shape::{Field, Shape};
use crate::hash::{Hash, SIGNATURE_BYTES};
use crate::limits::{
    MAX_ADAPTERS, MAX_CLIENTS, MAX_SESSIONS, MAX_TRANSFER_BYTES, MAX_TRANSFER_SECTORS, MAX_USERS,
};
use crate::name::Name;
use crate::ring::Frame;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryCastError, TryFromBytes, Unaligned};

/// Why bytes are not a valid message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// No message of this direction has this number.
    #[error("no message has the number {0}")]
    Kind(u16),
    /// The message is too short for its fixed part, or its tail is too long.
    #[error("message {kind} with {len} bytes")]
    Length {
        /// Number of the message.
        kind: u16,
        /// Length of the message in bytes.
        len: usize,
    },
    /// A field has a value that its type does not allow.
    #[error("message {0} has a field that is out of range")]
    Field(u16),
}

/// A value that can be a fixed-size field of a message. `layout!` and `numbers!` implement it.
pub(crate) trait Wire: Sized {
    /// Its bytes.
    type Layout: TryFromBytes + IntoBytes + KnownLayout + Immutable + Unaligned;

    /// Its shape, for `docs/protocol.md`.
    #[cfg(test)]
    const SHAPE: Shape;

    fn to_wire(&self) -> Self::Layout;

    /// `None` if the bytes break a rule that the type does not express.
    fn from_wire(layout: &Self::Layout) -> Option<Self>;
}

#[cfg(test)]
impl Field {
    /// The row of a field of type `T`, which the source calls `ty`.
    pub(crate) const fn of<T: Wire>(name: &'static str, ty: &'static str) -> Self {
        Self {
            name,
            ty,
            bytes: size_of::<T::Layout>(),
            shape: T::SHAPE,
        }
    }
}

/// The only valid reserved byte.
#[derive(Clone, Copy, TryFromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(u8)]
pub(crate) enum Zero {
    Zero = 0,
}

/// A flag or an enum: one byte and three zero bytes, so that following numbers stay aligned to words.
#[derive(Clone, Copy, TryFromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Wide<T> {
    value: T,
    zero: [Zero; 3],
}

impl<T: Copy> Wide<T> {
    #[inline]
    pub(crate) const fn new(value: T) -> Self {
        let zero = [Zero::Zero; 3];
        Self { value, zero }
    }

    #[inline]
    pub(crate) const fn get(&self) -> T {
        self.value
    }
}

/// The value of a one-byte enum with this number.
#[inline]
pub(crate) fn numbered<T: TryFromBytes + KnownLayout + Immutable>(
    number: impl TryInto<u8>,
) -> Option<T> {
    T::try_read_from_bytes(&[number.try_into().ok()?]).ok()
}

macro_rules! number {
    ($($plain:ty as $layout:ty),*) => {$(
        impl Wire for $plain {
            type Layout = $layout;

            #[cfg(test)]
            const SHAPE: Shape = Shape::Number;

            #[inline]
            fn to_wire(&self) -> $layout {
                <$layout>::new(*self)
            }

            #[inline]
            fn from_wire(layout: &$layout) -> Option<Self> {
                Some(layout.get())
            }
        }
    )*};
}

number!(u16 as U16, u32 as U32, u64 as U64, bool as Wide<bool>);

impl<const N: usize> Wire for Name<N> {
    type Layout = Self;

    #[cfg(test)]
    const SHAPE: Shape = Shape::Name;

    #[inline]
    fn to_wire(&self) -> Self {
        *self
    }

    #[inline]
    fn from_wire(layout: &Self) -> Option<Self> {
        layout.check().then_some(*layout)
    }
}

/// A signature: Ed25519.
impl Wire for [u8; SIGNATURE_BYTES] {
    type Layout = Self;

    #[cfg(test)]
    const SHAPE: Shape = Shape::Bytes;

    #[inline]
    fn to_wire(&self) -> Self {
        *self
    }

    #[inline]
    fn from_wire(layout: &Self) -> Option<Self> {
        Some(*layout)
    }
}

impl Wire for Hash {
    type Layout = Self;

    #[cfg(test)]
    const SHAPE: Shape = Shape::Bytes;

    #[inline]
    fn to_wire(&self) -> Self {
        *self
    }

    #[inline]
    fn from_wire(layout: &Self) -> Option<Self> {
        Some(*layout)
    }
}

/// [`Option<u64>`] on the wire. An absent number is zero.
#[derive(TryFromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct MaybeU64 {
    value: U64,
    given: Wide<bool>,
}

impl Wire for Option<u64> {
    type Layout = MaybeU64;

    #[cfg(test)]
    const SHAPE: Shape = Shape::MaybeNumber;

    #[inline]
    fn to_wire(&self) -> MaybeU64 {
        MaybeU64 {
            value: U64::new(self.unwrap_or(0)),
            given: Wide::new(self.is_some()),
        }
    }

    #[inline]
    fn from_wire(layout: &MaybeU64) -> Option<Self> {
        match (layout.given.get(), layout.value.get()) {
            (true, value) => Some(Some(value)),
            (false, 0) => Some(None),
            (false, _) => None,
        }
    }
}

impl<T: Wire + Copy + Default, const N: usize> Wire for [T; N] {
    type Layout = [T::Layout; N];

    #[cfg(test)]
    const SHAPE: Shape = Shape::Array {
        len: N,
        each: &T::SHAPE,
    };

    #[inline]
    fn to_wire(&self) -> Self::Layout {
        self.each_ref().map(T::to_wire)
    }

    #[inline]
    fn from_wire(layout: &Self::Layout) -> Option<Self> {
        let mut values = [T::default(); N];
        for (value, layout) in values.iter_mut().zip(layout) {
            *value = T::from_wire(layout)?;
        }
        Some(values)
    }
}

/// What follows the fixed part of a message, up to the end.
pub(crate) trait Tail<'a>: Sized {
    fn bytes(&self) -> &'a [u8];

    /// `None` if there are bytes although `given` is false.
    fn read(bytes: &'a [u8], given: bool) -> Option<Self>;
}

impl<'a> Tail<'a> for &'a [u8] {
    #[inline]
    fn bytes(&self) -> &'a [u8] {
        self
    }

    #[inline]
    fn read(bytes: &'a [u8], given: bool) -> Option<Self> {
        given.then_some(bytes)
    }
}

/// Bytes that may be absent, which is different from empty.
impl<'a> Tail<'a> for Option<&'a [u8]> {
    #[inline]
    fn bytes(&self) -> &'a [u8] {
        self.unwrap_or_default()
    }

    #[inline]
    fn read(bytes: &'a [u8], given: bool) -> Option<Self> {
        if given {
            Some(Some(bytes))
        } else {
            bytes.is_empty().then_some(None)
        }
    }
}

/// A payload being decoded, and the message that it belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Payload<'a> {
    kind: u16,
    bytes: &'a [u8],
}

impl<'a> Payload<'a> {
    #[inline]
    pub(crate) fn of<const N: usize>(frame: &'a Frame<N>) -> Self {
        Self {
            kind: frame.header().kind,
            bytes: frame.payload(),
        }
    }

    /// The fixed part, in place, and a tail of at most `max` bytes.
    #[inline]
    pub(crate) fn split<L>(self, max: usize) -> Result<(&'a L, &'a [u8]), WireError>
    where
        L: TryFromBytes + KnownLayout + Immutable + Unaligned,
    {
        match L::try_ref_from_prefix(self.bytes) {
            Ok((fixed, tail)) if tail.len() <= max => Ok((fixed, tail)),
            Err(TryCastError::Validity(_)) => Err(self.field()),
            _ => Err(WireError::Length {
                kind: self.kind,
                len: self.bytes.len(),
            }),
        }
    }

    /// The error for a field with a value that its type does not allow.
    #[inline]
    pub(crate) const fn field(self) -> WireError {
        WireError::Field(self.kind)
    }

    #[inline]
    pub(crate) fn value<T: Wire>(self, layout: &T::Layout) -> Result<T, WireError> {
        T::from_wire(layout).ok_or(self.field())
    }
}

/// Writes a message: `fixed`, then `tail`. If it does not fit, the frame cannot be sent
/// ([`crate::ring::SendError::TooLong`]).
#[inline]
pub(crate) fn write<const N: usize>(
    frame: &mut Frame<N>,
    kind: u16,
    request: u32,
    fixed: &[u8],
    tail: &[u8],
) {
    let room = frame.begin(kind, request);
    if let Some((start, rest)) = room.split_at_mut_checked(fixed.len()) {
        start.copy_from_slice(fixed);
        if let Some(rest) = rest.get_mut(..tail.len()) {
            rest.copy_from_slice(tail);
        }
    }
    frame.finish(fixed.len().saturating_add(tail.len()));
}

// Checks that fields can name (`where CHECK`).

/// Reserved. Audit's log hashes these fields but an export omits them, so they must be zero.
pub(crate) const fn is_zero(value: u32) -> bool {
    value == 0
}

/// A flag that programs use as a number.
pub(crate) const fn is_flag(value: u32) -> bool {
    value <= 1
}

/// The number of a session slot.
pub(crate) const fn is_session(slot: u32) -> bool {
    (slot as usize) < MAX_SESSIONS
}

/// The index of a client.
pub(crate) const fn is_client(client: u32) -> bool {
    (client as usize) < MAX_CLIENTS
}

/// The index of an adapter.
pub(crate) const fn is_adapter(place: u32) -> bool {
    (place as usize) < MAX_ADAPTERS
}

/// The index of an adapter plus one; 0 for none.
pub(crate) const fn is_adapter_or_none(adapter: u32) -> bool {
    adapter as usize <= MAX_ADAPTERS
}

/// The index of a user.
pub(crate) const fn is_user(user: u32) -> bool {
    (user as usize) < MAX_USERS
}

/// The number of a format plus one; 0 for none.
pub(crate) const fn is_format_or_none(format: u32) -> bool {
    format as usize <= formats::MAX_FORMATS
}

/// The number of sectors in a message.
pub(crate) const fn is_transfer(sectors: u32) -> bool {
    sectors > 0 && sectors as usize <= MAX_TRANSFER_SECTORS
}

/// The number of file bytes in a message.
pub(crate) const fn is_transfer_bytes(bytes: u32) -> bool {
    bytes > 0 && bytes as usize <= MAX_TRANSFER_BYTES
}

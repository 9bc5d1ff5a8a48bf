//! How values become bytes: the representation of a value and of a message ([`codec`]), and the declarations that
//! generate both from one line ([`declare`]).

pub(crate) mod codec;
pub(crate) mod declare;
#[cfg(test)]
pub(crate) mod shape;

pub use codec::WireError;
pub(crate) use codec::{Wire, numbered};
pub(crate) use declare::{layout, messages, numbers};
#[cfg(test)]
pub(crate) use shape::{Documented, Field, Message, Shape, Table};

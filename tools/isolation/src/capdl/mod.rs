//! The capDL specification of an image, as `microkit --capdl-json` writes it.
//!
//! It is read without keeping the bytes that fill frames ([`mod@format`]), and [`view`] determines the owner of each
//! object.
//!
//! The rule that keeps it safe: only those bytes are skipped. An unknown field, object or kind of capability is an
//! error or an oddity, because a reader that ignored it would report less authority than exists. The owner of an object
//! follows from what is bound to a thread and from where the object is mapped. Names are used only where nothing else
//! identifies an object, and they are checked.

pub mod format;
mod names;
mod walk;

pub use format::Spec;
pub use walk::view;

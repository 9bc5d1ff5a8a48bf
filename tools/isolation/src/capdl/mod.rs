//! The capDL specification of an image, as `microkit --capdl-json` writes it.
//!
//! Responsible for: reading it without keeping the bytes that fill frames ([`mod@format`]), and telling
//! whose each object is ([`view`]).
//!
//! The rule that keeps it safe: nothing is skipped but those bytes. A field, an object or a kind of
//! capability that is not known is an error or an oddity, because a reader that ignored it would
//! report less authority than there is. Whose an object is, follows from what is bound to a thread and
//! from where it is mapped; names are used where nothing else tells, and what they say is checked.

pub mod format;
mod names;
mod walk;

pub use format::Spec;
pub use walk::view;

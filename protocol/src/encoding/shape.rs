//! What the declarations say about themselves, from which a test makes the tables in `docs/protocol.md`.

/// Shape of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Number,
    Name,
    Bytes,
    /// A number, and whether it is present.
    MaybeNumber,
    /// The number of a code, or 0.
    MaybeCode,
    Array {
        len: usize,
        each: &'static Shape,
    },
    Structure {
        name: &'static str,
        fields: &'static [Field],
    },
    Numbers {
        name: &'static str,
        numbers: &'static [(&'static str, u8)],
    },
}

/// A field of a message or a structure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) ty: &'static str,
    pub(crate) bytes: usize,
    pub(crate) shape: Shape,
}

/// A row of a table.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) number: u16,
    pub(crate) name: &'static str,
    pub(crate) bytes: usize,
    pub(crate) fields: &'static [Field],
    /// At most one tail: its name and maximum bytes.
    pub(crate) tail: &'static [(&'static str, usize)],
    pub(crate) cells: &'static [&'static str],
}

/// The messages of one direction.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [&'static str],
    pub(crate) messages: &'static [Message],
}

/// A type whose declaration `messages!` also turns into a table.
pub(crate) trait Documented {
    const TABLE: Table;
}

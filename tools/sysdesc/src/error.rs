//! Errors in a system description, with their location.

use std::fmt;

/// A location in the file: line and column from 1, and the element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line from 1.
    pub line: u32,
    /// Column from 1.
    pub column: u32,
    /// Tag of the element, empty if the file is not XML.
    pub element: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)?;
        if self.element.is_empty() {
            return Ok(());
        }
        write!(f, ", element '{}'", self.element)
    }
}

/// Why and where a description is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct Error {
    /// The location.
    pub place: Place,
    /// The problem.
    pub problem: Problem,
}

/// Why a description is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file is not well-formed XML (a document type declaration is not allowed either).
    #[error("not well-formed XML: {message}")]
    Xml {
        /// What the XML parser says.
        message: String,
    },
    /// The root is not `system`.
    #[error("the root element must be 'system'")]
    Root,
    /// Microkit has no such element here.
    #[error("unknown element in '{parent}'")]
    UnknownElement {
        /// The element around it.
        parent: String,
    },
    /// Microkit has no such attribute on this element.
    #[error("unknown attribute '{attribute}'")]
    UnknownAttribute {
        /// Its name.
        attribute: String,
    },
    /// Microkit supports the element, but this project does not use it.
    #[error("forbidden in this project: {reason}")]
    ForbiddenElement {
        /// What it would bring.
        reason: &'static str,
    },
    /// Microkit supports the attribute, but this project does not use it.
    #[error("attribute '{attribute}' is forbidden in this project: {reason}")]
    ForbiddenAttribute {
        /// Its name.
        attribute: &'static str,
        /// What it would bring.
        reason: &'static str,
    },
    /// A required attribute is missing.
    #[error("attribute '{attribute}' is missing")]
    MissingAttribute {
        /// Its name.
        attribute: &'static str,
    },
    /// A required child element is missing.
    #[error("element '{child}' is missing in it")]
    MissingElement {
        /// Its tag.
        child: &'static str,
    },
    /// A child element occurs more than once.
    #[error("it may appear only once")]
    Repeated,
    /// There are more domains than Microkit supports.
    #[error("more than {most} protection domains")]
    TooManyDomains {
        /// How many there can be.
        most: usize,
    },
    /// There are more turns than the kernel's schedule has room for.
    #[error("more than {most} turns in the schedule")]
    TooManyTurns {
        /// How many there can be.
        most: usize,
    },
    /// The value is not a length of a turn.
    #[error("attribute 'duration' is '{value}', not 1 to {most} microseconds, as in \"1000 us\"")]
    Duration {
        /// Its value as written.
        value: String,
        /// The maximum, in microseconds.
        most: u64,
    },
    /// A region exceeds any board's memory.
    #[error("{pages} pages, more than {most}: the board has less memory")]
    TooManyPages {
        /// Its number of pages.
        pages: u64,
        /// The maximum.
        most: u64,
    },
    /// Text between elements.
    #[error("text in it: '{text}'")]
    Text {
        /// Its beginning.
        text: String,
    },
    /// The value is not a number, or out of range.
    #[error("attribute '{attribute}' is '{value}', not a number from {least} to {most}")]
    Number {
        /// Name of the attribute.
        attribute: &'static str,
        /// Its value as written.
        value: String,
        /// The minimum.
        least: u64,
        /// The maximum.
        most: u64,
    },
    /// The Microkit tool reads this number only as decimal.
    #[error(
        "attribute '{attribute}' is '{value}': the Microkit tool accepts only decimal digits here"
    )]
    Decimal {
        /// Name of the attribute.
        attribute: &'static str,
        /// Its value as written.
        value: String,
    },
    /// The value is not one of the allowed words.
    #[error("attribute '{attribute}' is '{value}', not one of: {allowed}")]
    Word {
        /// Name of the attribute.
        attribute: &'static str,
        /// Its value as written.
        value: String,
        /// The allowed words.
        allowed: &'static str,
    },
    /// A name or path is empty, too long or not plain ASCII.
    #[error("attribute '{attribute}' is '{value}', not a plain name of 1 to {most} characters")]
    Name {
        /// Name of the attribute.
        attribute: &'static str,
        /// Its value as written.
        value: String,
        /// The maximum length.
        most: usize,
    },
    /// A value must be a multiple of another.
    #[error("attribute '{attribute}' is {value:#x}, not a multiple of {unit:#x}")]
    Alignment {
        /// Name of the attribute.
        attribute: &'static str,
        /// Its value.
        value: u64,
        /// The unit.
        unit: u64,
    },
    /// The budget exceeds the period.
    #[error("attribute 'budget' is {budget} µs, more than the period of {period} µs")]
    BudgetOverPeriod {
        /// The budget in microseconds.
        budget: u64,
        /// The period in microseconds.
        period: u64,
    },
    /// A name or number is used twice.
    #[error("attribute '{attribute}' is '{value}' a second time ({scope})")]
    Duplicate {
        /// Name of the attribute.
        attribute: &'static str,
        /// The repeated value.
        value: String,
        /// The scope in which it must be unique.
        scope: &'static str,
    },
    /// A reference has no target.
    #[error("attribute '{attribute}' names '{value}', which does not exist")]
    Unresolved {
        /// Name of the attribute.
        attribute: &'static str,
        /// The name that it refers to.
        value: String,
    },
    /// Two ranges overlap.
    #[error("[{start:#x}, {end:#x}) overlaps '{other}'")]
    Overlap {
        /// First address.
        start: u64,
        /// First address after it.
        end: u64,
        /// The region already there.
        other: String,
    },
    /// A range ends above the highest address.
    #[error("[{start:#x}, {start:#x} + {size:#x}) ends above {limit:#x}")]
    OutOfRange {
        /// First address.
        start: u64,
        /// Its size.
        size: u64,
        /// The first address that is too high.
        limit: u64,
    },
    /// The board lacks a device or an interrupt.
    #[error("board '{board}' has no {what} '{name}': boards/{board}.toml has {known}")]
    NotOnBoard {
        /// The kind of thing.
        what: &'static str,
        /// Its name in the description.
        name: String,
        /// Name of the board.
        board: String,
        /// The available names.
        known: String,
    },
    /// A region would reach beyond a device and expose what follows.
    #[error("{size:#x} bytes reach beyond device '{device}', which has {most:#x} in whole pages")]
    BeyondDevice {
        /// Name of the device.
        device: String,
        /// Size of the region.
        size: u64,
        /// The maximum.
        most: u64,
    },
    /// A channel does not have two ends.
    #[error("{ends} ends, not 2")]
    ChannelEnds {
        /// Number of its ends.
        ends: usize,
    },
    /// A channel connects a domain to itself.
    #[error("both ends are in '{domain}'")]
    ChannelToSelf {
        /// The domain.
        domain: String,
    },
}

//! What is wrong with a system description, and where.

use std::fmt;

/// Where in the file, by line and column from 1, and in which element.
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

/// A description that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct Error {
    /// Where.
    pub place: Place,
    /// Why.
    pub problem: Problem,
}

/// Why a description is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file is no XML document (a document type declaration counts as none).
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
    /// Microkit knows the element, this project does without.
    #[error("forbidden in this project: {reason}")]
    ForbiddenElement {
        /// What it would bring.
        reason: &'static str,
    },
    /// Microkit knows the attribute, this project does without.
    #[error("attribute '{attribute}' is forbidden in this project: {reason}")]
    ForbiddenAttribute {
        /// Its name.
        attribute: &'static str,
        /// What it would bring.
        reason: &'static str,
    },
    /// An attribute without which the element means nothing.
    #[error("attribute '{attribute}' is missing")]
    MissingAttribute {
        /// Its name.
        attribute: &'static str,
    },
    /// A child element without which the element means nothing.
    #[error("element '{child}' is missing in it")]
    MissingElement {
        /// Its tag.
        child: &'static str,
    },
    /// A child element that may be there once.
    #[error("it may be there only once")]
    Repeated,
    /// More domains than Microkit has room for.
    #[error("more than {most} protection domains")]
    TooManyDomains {
        /// How many there can be.
        most: usize,
    },
    /// A region that no board has the memory for.
    #[error("{pages} pages, more than {most}: the board has less memory")]
    TooManyPages {
        /// How many it has.
        pages: u64,
        /// How many it can have.
        most: u64,
    },
    /// Text between elements.
    #[error("text in it: '{text}'")]
    Text {
        /// Its beginning.
        text: String,
    },
    /// No number, or one that the attribute cannot have.
    #[error("attribute '{attribute}' is '{value}', not a number from {least} to {most}")]
    Number {
        /// Name of the attribute.
        attribute: &'static str,
        /// Its value as written.
        value: String,
        /// Least allowed.
        least: u64,
        /// Most allowed.
        most: u64,
    },
    /// A number that the Microkit tool reads as decimal only.
    #[error(
        "attribute '{attribute}' is '{value}': the Microkit tool takes decimal digits alone here"
    )]
    Decimal {
        /// Name of the attribute.
        attribute: &'static str,
        /// Its value as written.
        value: String,
    },
    /// None of the words that the attribute can be.
    #[error("attribute '{attribute}' is '{value}', not one of: {allowed}")]
    Word {
        /// Name of the attribute.
        attribute: &'static str,
        /// Its value as written.
        value: String,
        /// What it can be.
        allowed: &'static str,
    },
    /// A name or path that is empty, too long or not plain ASCII.
    #[error("attribute '{attribute}' is '{value}', not a plain name of 1 to {most} characters")]
    Name {
        /// Name of the attribute.
        attribute: &'static str,
        /// Its value as written.
        value: String,
        /// Longest.
        most: usize,
    },
    /// A value that must be a multiple of another.
    #[error("attribute '{attribute}' is {value:#x}, not a multiple of {unit:#x}")]
    Alignment {
        /// Name of the attribute.
        attribute: &'static str,
        /// Its value.
        value: u64,
        /// What it must be a multiple of.
        unit: u64,
    },
    /// More budget than period.
    #[error("attribute 'budget' is {budget} µs, more than the period of {period} µs")]
    BudgetOverPeriod {
        /// In microseconds.
        budget: u64,
        /// In microseconds.
        period: u64,
    },
    /// A name or number that was given before.
    #[error("attribute '{attribute}' is '{value}' a second time ({scope})")]
    Duplicate {
        /// Name of the attribute.
        attribute: &'static str,
        /// The value that is there twice.
        value: String,
        /// Where it must be unique.
        scope: &'static str,
    },
    /// A reference to something that is not there.
    #[error("attribute '{attribute}' names '{value}', which is not there")]
    Unresolved {
        /// Name of the attribute.
        attribute: &'static str,
        /// What it names.
        value: String,
    },
    /// Two ranges that overlap.
    #[error("[{start:#x}, {end:#x}) overlaps '{other}'")]
    Overlap {
        /// First address.
        start: u64,
        /// First address after it.
        end: u64,
        /// Region that lies there already.
        other: String,
    },
    /// A range that ends above the highest address.
    #[error("[{start:#x}, {start:#x} + {size:#x}) ends above {limit:#x}")]
    OutOfRange {
        /// First address.
        start: u64,
        /// Its size.
        size: u64,
        /// The first address that is too high.
        limit: u64,
    },
    /// A device or an interrupt that the board does not have.
    #[error("board '{board}' has no {what} '{name}': boards/{board}.toml has {known}")]
    NotOnBoard {
        /// What it should be.
        what: &'static str,
        /// Its name in the description.
        name: String,
        /// Name of the board.
        board: String,
        /// What there is of the kind.
        known: String,
    },
    /// A region that would give away what lies behind a device.
    #[error("{size:#x} bytes reach beyond device '{device}', which has {most:#x} in whole pages")]
    BeyondDevice {
        /// Name of the device.
        device: String,
        /// Size of the region.
        size: u64,
        /// Most that it can have.
        most: u64,
    },
    /// A channel that does not have two ends.
    #[error("{ends} ends, not 2")]
    ChannelEnds {
        /// How many it has.
        ends: usize,
    },
    /// A channel from a domain to itself.
    #[error("both ends are in '{domain}'")]
    ChannelToSelf {
        /// The domain.
        domain: String,
    },
}

//! Reads the declarations of a program's file.

use object::{Object as _, ObjectSegment as _, ObjectSymbol as _, SegmentFlags, SymbolKind};
use std::collections::BTreeMap;

/// The variables are between these symbols of the linker script.
pub(super) const VARIABLES: [&str; 2] = ["__variables_start", "__variables_end"];

/// Prefix of a fact's name.
pub(super) const FACT: &str = "sel4_llm_";

/// Size of a variable in bytes.
pub(super) const WORD: u64 = 8;

/// The declarations in a file.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The variables that the Microkit tool must set, and their sizes.
    pub variables: BTreeMap<String, u64>,
    /// The numbers that it relies on.
    pub facts: BTreeMap<String, u64>,
    /// The loaded segments.
    pub segments: Vec<Segment>,
    /// The entry point.
    pub entry: u64,
    /// Where it is restarted, if possible.
    pub reset: Option<u64>,
    /// First address of the variables, and the first after them; `None` if the file does not say which of its data are
    /// variables. Then [`Self::variables`] is all of its data.
    pub patched: Option<[u64; 2]>,
}

/// A loaded part of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Segment {
    pub start: u64,
    pub end: u64,
    pub write: bool,
    pub execute: bool,
}

/// Why a file is not a program of this system.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The file is not ELF.
    #[error("not an ELF file: {0}")]
    Elf(#[from] object::Error),
    /// Only one of the symbols around the variables exists.
    #[error("it has no symbol '{0}': link it with an unchanged pds/sel4/pd.ld")]
    Symbol(&'static str),
    /// A fact is in no segment with contents.
    #[error("its fact '{0}' has no contents")]
    Fact(String),
}

impl Program {
    /// Reads a file.
    ///
    /// # Errors
    /// The file is not ELF, or its declarations are incomplete.
    pub fn read(bytes: &[u8]) -> Result<Self, ProgramError> {
        let file = object::File::parse(bytes)?;
        let symbol = |name| file.symbols().find(|symbol| symbol.name() == Ok(name));
        let [start, end] = VARIABLES.map(|name| symbol(name).map(|symbol| symbol.address()));
        let patched = match (start, end) {
            (Some(start), Some(end)) => Some([start, end]),
            (None, None) => None,
            (None, _) => return Err(ProgramError::Symbol(VARIABLES[0])),
            (_, None) => return Err(ProgramError::Symbol(VARIABLES[1])),
        };
        let is_variable = |symbol: &object::Symbol<'_, '_>| match patched {
            Some([start, end]) => (start..end).contains(&symbol.address()),
            None => symbol.kind() == SymbolKind::Data,
        };
        let mut program = Self {
            entry: file.entry(),
            reset: symbol("_reset").map(|symbol| symbol.address()),
            patched,
            ..Self::default()
        };
        for segment in file.segments().filter(|segment| segment.size() > 0) {
            let SegmentFlags::Elf { p_flags, .. } = segment.flags() else {
                continue;
            };
            program.segments.push(Segment {
                start: segment.address(),
                end: segment.address().saturating_add(segment.size()),
                write: p_flags.0 & object::elf::PF_W.0 != 0,
                execute: p_flags.0 & object::elf::PF_X.0 != 0,
            });
        }
        for symbol in file.symbols() {
            let name = symbol.name()?;
            let address = symbol.address();
            // Functions and files of the client library have names with the same prefix as facts.
            let is_data = symbol.kind() == SymbolKind::Data;
            if let Some(fact) = name.strip_prefix(FACT).filter(|_| is_data) {
                let value = file.segments().find_map(|segment| {
                    let bytes = segment.data_range(address, WORD).ok().flatten()?;
                    Some(u64::from_le_bytes(bytes.try_into().ok()?))
                });
                let value = value.ok_or_else(|| ProgramError::Fact(fact.to_owned()))?;
                program.facts.insert(fact.to_owned(), value);
            } else if is_variable(&symbol)
                && !VARIABLES.contains(&name)
                // `$d` marks data.
                && !name.starts_with('$')
            {
                program.variables.insert(name.to_owned(), symbol.size());
            }
        }
        Ok(program)
    }
}

//! A linked binary as functions, their calls, and what they pass to the panic machinery.

mod body;

use crate::decode::Machine;
use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use body::Body;
use object::elf::{SHF_ALLOC, SHF_EXECINSTR};
use object::{Architecture, Object, ObjectSection, ObjectSymbol, SectionFlags, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};

/// Why a file cannot be analysed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It is not an object file, or is damaged.
    #[error("not an object file: {0}")]
    Object(#[from] object::Error),
    /// Its debug information is damaged.
    #[error("debug information: {0}")]
    Debug(#[from] addr2line::gimli::Error),
    /// It is for another machine.
    #[error("for {0:?}, which is neither AArch64 nor 64-bit RISC-V")]
    Machine(Architecture),
    /// It has no functions with code.
    #[error("no symbols of functions: it was stripped")]
    Stripped,
    /// Code outside all functions is reached, whose effects would go unseen.
    #[error("{from} branches to {to:#x}, which is in no function")]
    Nowhere {
        /// The function.
        from: String,
        /// The target.
        to: u64,
    },
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Path from the crate's own directory, with the crate's version if it comes from a registry.
    pub file: String,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// A call, or a jump out of the function.
#[derive(Clone, Debug)]
pub struct Call {
    /// Address of the instruction.
    pub at: u64,
    /// Address of the function that it goes to.
    pub to: u64,
    /// Places that the caller passes as `core::panic::Location`: where a panic function says that it happened.
    pub places: BTreeSet<Place>,
}

/// A function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Demangled, without hashes.
    pub name: String,
    /// Its calls.
    pub calls: Vec<Call>,
    /// Calls and jumps through registers, except jump tables.
    pub indirect: Vec<u64>,
    /// Instructions that raise an exception.
    pub traps: Vec<u64>,
    /// Functions whose addresses it takes.
    pub takes: BTreeSet<u64>,
}

/// A linked binary.
pub struct Image<'f> {
    /// Its functions by address.
    pub functions: BTreeMap<u64, Function>,
    /// Functions whose addresses are in its data. Together with those whose addresses code takes, they are the possible
    /// targets of a call through a register.
    pub in_data: BTreeSet<u64>,
    /// Version of the rustc that compiled it, according to its debug information.
    pub compiler: Option<String>,
    context: Context<EndianSlice<'f, LittleEndian>>,
}

/// The version that a producer names in the strings of debug information: `clang LLVM (rustc version 1.95.0 (…))`.
fn compiler(strings: &[u8]) -> Option<String> {
    const NAMED: &[u8] = b"rustc version ";
    let at = strings.windows(NAMED.len()).position(|it| it == NAMED)?;
    let version = strings.get(at + NAMED.len()..)?;
    let end = version
        .iter()
        .position(|byte| matches!(byte, b' ' | b')' | 0))?;
    String::from_utf8(version.get(..end)?.to_vec()).ok()
}

/// Code and its address.
struct Section {
    start: u64,
    data: Vec<u8>,
}

impl Section {
    fn get(&self, at: u64, bytes: usize) -> Option<&[u8]> {
        let offset = usize::try_from(at.checked_sub(self.start)?).ok()?;
        self.data.get(offset..offset.checked_add(bytes)?)
    }

    fn word(&self, at: u64) -> Option<u32> {
        Some(u32::from_le_bytes(self.get(at, 4)?.try_into().ok()?))
    }

    fn double_word(&self, at: u64) -> Option<u64> {
        Some(u64::from_le_bytes(self.get(at, 8)?.try_into().ok()?))
    }
}

impl<'f> Image<'f> {
    /// Reads a binary with its symbols; debug information improves places.
    ///
    /// # Errors
    /// See [`ImageError`].
    pub fn read(file: &'f [u8]) -> Result<Self, ImageError> {
        let object = object::File::parse(file)?;
        let machine = match object.architecture() {
            Architecture::Aarch64 => Machine::Aarch64,
            Architecture::Riscv64 => Machine::Riscv64,
            other => return Err(ImageError::Machine(other)),
        };
        // The loaded sections, by whether they are executable.
        let sections = |is_code: bool| {
            let is_wanted = move |section: &object::Section<'_, '_>| match section.flags() {
                SectionFlags::Elf { sh_flags, .. } => {
                    let has = |flag: object::elf::SectionFlags| sh_flags.0 & flag.0 != 0;
                    has(SHF_ALLOC) && has(SHF_EXECINSTR) == is_code
                }
                _ => false,
            };
            object
                .sections()
                .filter(is_wanted)
                .map(|section| {
                    let data = section.uncompressed_data()?.into_owned();
                    let start = section.address();
                    Ok(Section { start, data })
                })
                .collect::<Result<Vec<_>, object::Error>>()
        };
        let code = sections(true)?;
        let data = sections(false)?;
        let load = |id: SectionId| -> Result<_, object::Error> {
            let section = object.section_by_name(id.name());
            let bytes = section.map_or(Ok(&[][..]), |section| section.data())?;
            Ok(EndianSlice::new(bytes, LittleEndian))
        };
        let compiler = compiler(load(SectionId::DebugStr)?.slice());
        let context = Context::from_dwarf(Dwarf::load(load)?)?;
        let starts = starts(&object, &code);
        let mut functions = BTreeMap::new();
        for (start, (end, name)) in &starts {
            let section = code.iter().find(|section| section.get(*start, 2).is_some());
            let Some(section) = section else { continue };
            let bytes = end.saturating_sub(*start) as usize;
            let code = section.get(*start, bytes).unwrap_or_default();
            let body = Body {
                machine,
                start: *start,
                end: *end,
                code: machine.instructions(code, *start).into_iter().collect(),
                data: &data,
                starts: &starts,
                name,
            };
            functions.insert(*start, body.read()?);
        }
        if functions.is_empty() {
            return Err(ImageError::Stripped);
        }
        let in_data = data
            .iter()
            .flat_map(|section| {
                let words = (0..section.data.len() as u64 / 8).map(|n| section.start + n * 8);
                words.filter_map(|at| section.double_word(at))
            })
            .filter(|word| functions.contains_key(word))
            .collect();
        Ok(Self {
            functions,
            in_data,
            compiler,
            context,
        })
    }

    /// The source of an instruction, innermost inlined function first; empty without debug information.
    #[must_use]
    pub fn frames(&self, at: u64) -> Vec<(String, Option<Place>)> {
        let mut frames = Vec::new();
        let Ok(mut found) = self.context.find_frames(at).skip_all_loads() else {
            return frames;
        };
        while let Ok(Some(frame)) = found.next() {
            let name = frame.function.and_then(|name| {
                let name = name.raw_name().ok()?.into_owned();
                Some(demangle(&name))
            });
            let place = frame.location.and_then(|location| {
                Some(Place {
                    file: short(location.file?),
                    line: location.line.filter(|line| *line > 0)?,
                    column: location.column.unwrap_or(0),
                })
            });
            frames.push((name.unwrap_or_default(), place));
        }
        frames
    }
}

/// Beginnings and ends of functions, and their names. One without a size ends where the next begins.
fn starts(object: &object::File<'_>, code: &[Section]) -> BTreeMap<u64, (u64, String)> {
    let mut named: BTreeMap<u64, (u64, String)> = BTreeMap::new();
    for symbol in object.symbols() {
        let name = symbol.name().unwrap_or_default();
        let is_code = matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Label)
            || (symbol.kind() == SymbolKind::Unknown && !name.is_empty());
        // Mapping symbols mark code and data; local labels, which RISC-V keeps for its linker, are not functions.
        let is_mark = name.starts_with('$') || name.starts_with(".L");
        if !is_code || name.is_empty() || is_mark {
            continue;
        }
        let start = symbol.address();
        if !code.iter().any(|section| section.get(start, 2).is_some()) {
            continue;
        }
        let entry = named.entry(start).or_insert((0, demangle(name)));
        entry.0 = entry.0.max(symbol.size());
    }
    let order: Vec<u64> = named.keys().copied().collect();
    let end_of = |start: u64| {
        let section = code.iter().find(|section| section.get(start, 2).is_some());
        section.map_or(start, |section| section.start + section.data.len() as u64)
    };
    named
        .into_iter()
        .map(|(start, (size, name))| {
            let next = order.partition_point(|other| *other <= start);
            let next = order
                .get(next)
                .copied()
                .unwrap_or(u64::MAX)
                .min(end_of(start));
            let end = if size == 0 { next } else { start + size };
            (start, (end, name))
        })
        .collect()
}

/// A readable name. Of two mangled ones, the v0 scheme's has no hash worth reading.
fn demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// A source file's path without machine-specific parts.
fn short(path: &str) -> String {
    // Registry and git sources lie two folders below these, the standard library and ours right below.
    for (mark, skipped) in [
        ("/registry/src/", 1),
        ("/git/checkouts/", 2),
        ("/library/", 0),
    ] {
        if let Some((_, rest)) = path.split_once(mark) {
            return rest
                .splitn(skipped + 1, '/')
                .last()
                .unwrap_or(rest)
                .to_owned();
        }
    }
    // Files written by build scripts: `…/build/CRATE-HASH/out/FILE`.
    if let Some((before, file)) = path.rsplit_once("/out/")
        && let Some((_, folder)) = before.rsplit_once("/build/")
    {
        let name = folder.rsplit_once('-').map_or(folder, |(name, _)| name);
        return format!("{name}/{file}");
    }
    for ours in ["pds/", "protocol/", "llm-core/"] {
        if let Some(at) = path.rfind(&format!("/{ours}")) {
            return path[at + 1..].to_owned();
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::compiler;

    #[test]
    fn debug_information_says_which_compiler_made_a_binary() {
        let strings = b"core\0clang LLVM (rustc version 1.95.0 (59807616e 2026-04-14))\0main\0";
        assert_eq!(compiler(strings).as_deref(), Some("1.95.0"));
        assert_eq!(compiler(b"clang version 19.1.7\0"), None);
        assert_eq!(compiler(b"rustc version 1.95.0"), None);
    }
}

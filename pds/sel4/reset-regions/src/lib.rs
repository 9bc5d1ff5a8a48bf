//! What a program needs to be restarted in place.
//!
//! A program changes its data as it runs, and a restart must undo that. So the file gets
//!
//! - a second, read-only mapping of the bytes that its writable segments start with;
//! - a table of [`Run`]s, in a segment of a type of its own, which `sel4-reset` walks: each run of
//!   bytes gets its first contents again, or zeros.
//!
//! Sections named `.persistent` keep their contents: the stack of the reset code is in one.
//!
//! The rule that keeps it safe: the copy is of the bytes that the linker wrote. What is patched into
//! the file later must not lie in a writable segment.

use object::elf::{FileHeader64, PF_R, PF_W, PT_LOAD, ProgramHeader64};
use object::read::elf::{ElfFile, ProgramHeader as _};
use object::{LittleEndian, Object as _, ObjectSection as _, ObjectSymbol as _};
use sel4_patch_elf::{GenericProgramHeader, Patching};
use sel4_phdrs_constants::PT_SEL4_RESET_REGIONS;
use std::ops::Range;

type Header = FileHeader64<LittleEndian>;

/// Sections that a restart leaves alone have this name, or begin with it and a point.
const PERSISTENT: &str = ".persistent";
/// Entry point of a restart.
const RESET_CODE: &str = "_reset";
/// Variables by which a program finds its own program headers, and their sizes.
const PATCHED: [(&str, u64); 2] = [
    ("sel4_phdrs_patched__vaddr", 8),
    ("sel4_phdrs_patched__phnum", 2),
];

/// Why a program can't be made restartable.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no 64-bit little-endian ELF file.
    #[error("not a 64-bit little-endian ELF file: {0}")]
    NotElf64(#[from] object::Error),
    /// It has no reset code, or not all of it: sel4-reset is not linked in.
    #[error("no variable or function {0} of the right size: sel4-reset is not linked in")]
    NoResetCode(&'static str),
    /// It has no writable segment. A program that was restartable would have one: the reset code's
    /// stack is in it.
    #[error("no writable segment")]
    NothingToReset,
    /// A segment does not lie in the file, or wraps around the end of memory.
    #[error("the segment at {vaddr:#x} is malformed")]
    BadSegment {
        /// Its address.
        vaddr: u64,
    },
}

/// A run of bytes that a restart sets: `initialised` bytes at `to` come from `from`, the rest of
/// `len` bytes become zero. An entry of the table, as `sel4-reset` reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First byte to set.
    pub to: u64,
    /// How many bytes.
    pub len: u64,
    /// First byte of the copy; 0 if there is none.
    pub from: u64,
    /// How many bytes come from the copy.
    pub initialised: u64,
}

impl Run {
    fn bytes(self) -> impl Iterator<Item = u8> {
        let words = [self.to, self.len, self.from, self.initialised];
        words.into_iter().flat_map(u64::to_le_bytes)
    }
}

/// A writable segment, with a copy of its `file_size` first bytes at `copy`.
#[derive(Clone, Copy, Debug)]
struct Segment {
    vaddr: u64,
    size: u64,
    file_size: u64,
    copy: u64,
}

/// The program in `program` with all that it needs to be restarted.
///
/// # Errors
/// See [`Error`].
pub fn add(program: &[u8]) -> Result<Vec<u8>, Error> {
    let elf = ElfFile::<Header>::parse(program)?;
    check_reset_code(&elf)?;
    let persistent = persistent(&elf);
    let mut patching = Patching::new(&elf);
    let mut runs = Vec::new();
    for header in elf.elf_program_headers() {
        if header.p_type(LittleEndian) != PT_LOAD || header.p_flags(LittleEndian) & PF_W == 0 {
            continue;
        }
        let segment = add_copy(&mut patching, header, program.len())?;
        runs.extend(plan(segment, &persistent));
    }
    if runs.is_empty() {
        return Err(Error::NothingToReset);
    }
    let table: Vec<u8> = runs.into_iter().flat_map(Run::bytes).collect();
    let alignment = size_of::<u64>() as u64;
    patching.add_data_segment_with_meta_phdr(PT_SEL4_RESET_REGIONS, alignment, &table);
    Ok(patching.finalize())
}

/// The library panics where these symbols are not as it needs them.
fn check_reset_code(elf: &ElfFile<'_, Header>) -> Result<(), Error> {
    let has = |name| elf.symbol_by_name(name);
    if has(RESET_CODE).is_none() {
        return Err(Error::NoResetCode(RESET_CODE));
    }
    for (name, size) in PATCHED {
        has(name)
            .filter(|symbol| symbol.size() == size)
            .ok_or(Error::NoResetCode(name))?;
    }
    Ok(())
}

/// Where the sections lie that a restart leaves alone, in ascending order.
fn persistent(elf: &ElfFile<'_, Header>) -> Vec<Range<u64>> {
    let is_persistent = |name: &str| {
        let rest = name.strip_prefix(PERSISTENT);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut ranges: Vec<_> = elf
        .sections()
        .filter(|section| section.name().is_ok_and(is_persistent))
        .map(|section| section.address()..section.address().saturating_add(section.size()))
        .collect();
    ranges.sort_by_key(|range| range.start);
    ranges
}

/// Maps the bytes in the file that a writable segment starts with once more, read-only.
fn add_copy(
    patching: &mut Patching<'_, Header>,
    header: &ProgramHeader64<LittleEndian>,
    file_len: usize,
) -> Result<Segment, Error> {
    let (offset, align) = (header.p_offset(LittleEndian), header.p_align(LittleEndian));
    let (vaddr, size) = (header.p_vaddr(LittleEndian), header.p_memsz(LittleEndian));
    let file_size = header.p_filesz(LittleEndian);
    let in_file = offset
        .checked_add(file_size)
        .is_some_and(|end| end <= file_len as u64);
    if !in_file || file_size > size || vaddr.checked_add(size).is_none() {
        return Err(Error::BadSegment { vaddr });
    }
    let copy = patching.next_aligned_vaddr(align, offset);
    let second = GenericProgramHeader {
        p_type: PT_LOAD,
        p_flags: PF_R,
        p_offset: offset,
        p_vaddr: copy,
        p_paddr: copy,
        p_filesz: file_size,
        p_memsz: file_size,
        p_align: align,
    };
    patching.add_phdr(second.to_concrete(LittleEndian));
    Ok(Segment {
        vaddr,
        size,
        file_size,
        copy,
    })
}

/// The runs of `segment` between what is `persistent` (in ascending order).
fn plan(segment: Segment, persistent: &[Range<u64>]) -> Vec<Run> {
    let end = segment.vaddr + segment.size;
    let mut runs = Vec::new();
    let mut at = segment.vaddr;
    // A last, empty range closes the last run.
    for kept in persistent.iter().chain([&(end..end)]) {
        let until = kept.start.clamp(at, end);
        if until > at {
            let skipped = at - segment.vaddr;
            let initialised = segment.file_size.saturating_sub(skipped).min(until - at);
            runs.push(Run {
                to: at,
                len: until - at,
                from: if initialised > 0 {
                    segment.copy + skipped
                } else {
                    0
                },
                initialised,
            });
        }
        at = kept.end.clamp(at, end);
    }
    runs
}

#[cfg(test)]
mod tests;

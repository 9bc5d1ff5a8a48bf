//! Sets the variables that `system.xml` names in the memory of this program, as the Microkit tool sets them in the
//! file.
//!
//! They are found by the symbols of the program's own file, so they may be `static` and may lie in read-only memory, as
//! with the Microkit tool.

use object::{Object as _, ObjectSymbol as _, SymbolKind};
use rustix::mm::{MprotectFlags, mprotect};
use sim::pd::SetupError;

/// Size of a variable in bytes.
const WORD: u64 = 8;
/// The symbol whose address tells where the program was loaded.
const ANCHOR: &str = "microkit_name";

/// Why the variables cannot be set.
#[derive(Debug, thiserror::Error)]
enum PatchError {
    #[error("its file cannot be read: {0}")]
    File(#[from] object::Error),
    #[error("its file has no symbols, by which its variables are found: do not strip it")]
    Stripped,
    #[error("system.xml sets its variable '{0}', which it does not have")]
    Missing(String),
    #[error("system.xml sets its variable '{0}', which it defines several times")]
    Several(String),
    #[error("its variable '{name}' has {bytes} bytes, not {WORD}")]
    Size { name: String, bytes: u64 },
    #[error("its variable '{0}' is in no mapped memory")]
    Unmapped(String),
}

impl From<PatchError> for SetupError {
    fn from(error: PatchError) -> Self {
        Self::Component(error.to_string())
    }
}

/// Sets each of the variables.
///
/// # Safety
/// No C code runs, and nothing holds a reference to a variable of the C code.
pub(crate) unsafe fn set<'v>(
    variables: impl Iterator<Item = (&'v str, u64)>,
) -> Result<(), SetupError> {
    let bytes = std::fs::read("/proc/self/exe")?;
    let file = object::File::parse(&*bytes).map_err(PatchError::from)?;
    let anchor = file.symbols().find(|symbol| symbol.name() == Ok(ANCHOR));
    let anchor = anchor.ok_or(PatchError::Stripped)?.address();
    // Added to an address in the file, it gives the address in memory.
    let base = (&raw const super::microkit_name as u64).wrapping_sub(anchor);
    for (name, value) in variables {
        let address = base.wrapping_add(address(&file, name)?);
        // SAFETY: the symbols of the program's own file say that a variable of this size lies there; the rest is the
        // caller's promise.
        unsafe { write(name, address as usize, value)? }
    }
    Ok(())
}

/// The address of the variable in the file.
fn address(file: &object::File<'_>, name: &str) -> Result<u64, PatchError> {
    let mut found = file.symbols().filter(|symbol| {
        let is_data = symbol.kind() == SymbolKind::Data && symbol.is_definition();
        is_data && symbol.name() == Ok(name)
    });
    let symbol = found
        .next()
        .ok_or_else(|| PatchError::Missing(name.to_owned()))?;
    if found.next().is_some() {
        return Err(PatchError::Several(name.to_owned()));
    }
    match symbol.size() {
        WORD => Ok(symbol.address()),
        bytes => Err(PatchError::Size {
            name: name.to_owned(),
            bytes,
        }),
    }
}

/// Writes the variable, even in read-only memory.
///
/// # Safety
/// `address` is that of an eight-byte variable, and nothing holds a reference to it.
unsafe fn write(name: &str, address: usize, value: u64) -> Result<(), SetupError> {
    let unmapped = || PatchError::Unmapped(name.to_owned());
    let before = protection(address)?.ok_or_else(unmapped)?;
    let page = rustix::param::page_size();
    let start = address / page * page;
    let bytes = address + WORD as usize - start;
    let pages = std::ptr::with_exposed_provenance_mut(start);
    let change = |protection| {
        // SAFETY: these pages belong to this program's own file in memory (`set`). Nothing else runs while they are
        // writable, and their protection is restored afterwards.
        unsafe { mprotect(pages, bytes, protection) }
    };
    change(MprotectFlags::READ | MprotectFlags::WRITE)?;
    let variable = std::ptr::with_exposed_provenance_mut::<u64>(address);
    // SAFETY: the caller's promise, and it is writable now.
    unsafe { variable.write_unaligned(value) };
    change(before)?;
    Ok(())
}

/// The protection of the memory at this address, if any is mapped there.
fn protection(address: usize) -> Result<Option<MprotectFlags>, SetupError> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    Ok(maps.lines().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        if !(number(start)?..number(end)?).contains(&address) {
            return None;
        }
        let mut flags = MprotectFlags::empty();
        for (letter, flag) in [
            ('r', MprotectFlags::READ),
            ('w', MprotectFlags::WRITE),
            ('x', MprotectFlags::EXEC),
        ] {
            let permissions = rest.split(' ').next().unwrap_or_default();
            flags.set(flag, permissions.contains(letter));
        }
        Some(flags)
    }))
}

//! Regions at their addresses.

#![allow(unsafe_code)]

use super::SetupError;
use crate::description::{Mapping, Sharing};
use protocol::region::{PartsRegion, ReadOnlyRegion, ReadWriteRegion};
use rustix::fd::AsFd;
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::ptr::NonNull;

/// A region that is mapped for the life of the process.
#[derive(Debug)]
pub(super) struct Mapped {
    symbol: Option<String>,
    start: NonNull<u64>,
    bytes: usize,
    read: bool,
    write: bool,
    sharing: Sharing,
    /// Whether it was given out, and how: as an accessor, beside which only other accessors may exist, or as a slice,
    /// beside which nothing may.
    given: Given,
}

/// Memory that several domains may write, mapped for the life of the process at the beginning of a page.
#[derive(Debug)]
pub struct Common {
    /// Its first byte.
    pub start: *mut u8,
    /// Size in bytes.
    pub bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    Nothing,
    Accessor,
    Slice,
}

/// Maps the regions at their addresses and closes the descriptors. A region that is mapped twice must have one
/// descriptor for each.
pub(super) fn map_all(mappings: &[Mapping]) -> Result<Vec<Mapped>, SetupError> {
    let mut files = BTreeMap::new();
    for mapping in mappings {
        if let Entry::Vacant(place) = files.entry(mapping.descriptor) {
            place.insert(super::descriptors::inherited_file(mapping.descriptor)?);
        }
    }
    mappings
        .iter()
        .map(|mapping| map(mapping, &files[&mapping.descriptor]))
        .collect()
}

fn map(mapping: &Mapping, file: &File) -> Result<Mapped, SetupError> {
    let failed = |cause: std::io::Error| SetupError::Map {
        region: mapping.region.clone(),
        vaddr: mapping.vaddr,
        cause,
    };
    let bytes = usize::try_from(mapping.size).map_err(|_| failed(too_large()))?;
    let address = usize::try_from(mapping.vaddr).map_err(|_| failed(too_large()))?;
    let mut protection = ProtFlags::empty();
    for (allowed, flag) in [
        (mapping.read, ProtFlags::READ),
        (mapping.write, ProtFlags::WRITE),
        (mapping.execute, ProtFlags::EXEC),
    ] {
        protection.set(flag, allowed);
    }
    let flags = MapFlags::SHARED | MapFlags::FIXED_NOREPLACE;
    let wanted = std::ptr::without_provenance_mut(address);
    // SAFETY: without replacement, a new mapping changes nothing that exists.
    let start = unsafe { mmap(wanted, bytes, protection, flags, file.as_fd(), 0) };
    let start = start.map_err(|error| failed(error.into()))?;
    if start.addr() != address {
        // A kernel before Linux 4.17 takes the address as a hint.
        return Err(failed(std::io::ErrorKind::AddrInUse.into()));
    }
    let start = NonNull::new(start.cast()).ok_or_else(|| failed(too_large()))?;
    let symbol = mapping.symbol.clone();
    let (read, write, sharing) = (mapping.read, mapping.write, mapping.sharing);
    Ok(Mapped {
        symbol,
        start,
        bytes,
        read,
        write,
        sharing,
        given: Given::Nothing,
    })
}

fn too_large() -> std::io::Error {
    std::io::ErrorKind::InvalidInput.into()
}

impl Mapped {
    pub(super) fn is(&self, symbol: &str) -> bool {
        self.symbol.as_deref() == Some(symbol)
    }

    /// Notes that an accessor is given out. Returns false if a slice already was.
    fn give_accessor(&mut self) -> bool {
        let possible = self.given != Given::Slice;
        if possible {
            self.given = Given::Accessor;
        }
        possible
    }

    pub(super) fn read_only(&mut self) -> Option<ReadOnlyRegion> {
        if !self.read || !self.give_accessor() {
            return None;
        }
        // SAFETY: `bytes` bytes are mapped readable at `start`, which is aligned to a page, and
        // are never unmapped; no slice of them was given out, or will be (`given`).
        Some(unsafe { ReadOnlyRegion::new(self.start, self.bytes) })
    }

    pub(super) fn read_write(&mut self) -> Option<ReadWriteRegion> {
        if !self.read || !self.write || !self.give_accessor() {
            return None;
        }
        // SAFETY: as in `read_only`, and mapped writable.
        Some(unsafe { ReadWriteRegion::new(self.start, self.bytes) })
    }

    /// A region whose writer names the parts to be read. Only for a domain that cannot write it itself.
    pub(super) fn parts(&mut self) -> Option<PartsRegion> {
        if !self.read || self.write || !self.give_accessor() {
            return None;
        }
        // SAFETY: `bytes` bytes are mapped readable at `start` and are never unmapped. The rest is the components'
        // promise: audit does not change a part while a command names it, and the inference server reads it before it
        // answers.
        Some(unsafe { PartsRegion::new(self.start.cast(), self.bytes) })
    }

    /// All of a region that no other domain maps. Can be taken once, and only if no accessor was made.
    pub(super) fn private(&mut self) -> Option<&'static mut [u8]> {
        let private = self.read && self.write && self.sharing == Sharing::Private;
        if !private || self.given != Given::Nothing {
            return None;
        }
        self.given = Given::Slice;
        // SAFETY: mapped readable and writable for ever, initialised by the kernel, mapped by no
        // other process (the supervisor says so and maps nothing itself); `given` makes this the
        // only way to it.
        Some(unsafe { std::slice::from_raw_parts_mut(self.start.cast().as_ptr(), self.bytes) })
    }

    /// All of a region that several domains may write. Can be taken once, and only if no accessor was made.
    pub(super) fn common(&mut self) -> Option<Common> {
        let common = self.read && self.write && self.sharing == Sharing::Shared;
        if !common || self.given != Given::Nothing {
            return None;
        }
        self.given = Given::Slice;
        Some(Common {
            start: self.start.cast().as_ptr(),
            bytes: self.bytes,
        })
    }

    /// All of a region that no domain can write.
    pub(super) fn constant(&self) -> Option<&'static [u8]> {
        if !self.read || self.sharing != Sharing::Constant {
            return None;
        }
        // SAFETY: mapped readable for ever; its file is sealed against writing, so the bytes
        // never change.
        Some(unsafe { std::slice::from_raw_parts(self.start.cast().as_ptr(), self.bytes) })
    }
}

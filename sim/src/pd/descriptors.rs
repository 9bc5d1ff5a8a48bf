//! Inherited descriptors, and the end of the process: where raw numbers become owned things.

#![allow(unsafe_code)]

use super::SetupError;
use crate::description::Description;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::fs::{Dir, Mode, OFlags};
use std::fs::File;

const STANDARD_STREAMS: core::ops::RangeInclusive<RawFd> = 0..=2;
const STANDARD_ERROR: RawFd = 2;

/// The inherited descriptor `number`, never closed. The supervisor opened it for this process and names it once in the
/// description. A number that is not open only gives errors later.
pub(super) fn inherited(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: the supervisor opened the descriptor for this process, and each number in its description is taken once,
    // so nothing else owns it. It is leaked, so it stays open.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    let leaked: &'static OwnedFd = Box::leak(Box::new(owned));
    leaked.as_fd()
}

/// As [`inherited`], but closed when it is dropped.
pub(super) fn inherited_file(number: RawFd) -> Result<File, SetupError> {
    if STANDARD_STREAMS.contains(&number) || number < 0 {
        return Err(SetupError::Usage);
    }
    // SAFETY: as above; nothing else owns numbers above the standard streams.
    Ok(unsafe { File::from_raw_fd(number) })
}

/// Closes the standard streams, except those that are the domain's console.
pub(super) fn close_standard_streams(description: &Description) {
    let console = description.console.as_ref();
    for number in STANDARD_STREAMS {
        let is_console = console.is_some_and(|c| c.input == number || c.output == number);
        let is_debug = description.debug.is_some() && number == STANDARD_ERROR;
        if !is_console && !is_debug {
            // SAFETY: the standard library keeps no state about these numbers that a closed one
            // could break (writes fail and are ignored), and no descriptor is opened after this
            // that could take their place.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
    }
}

/// Fails if a descriptor is open that is not in `expected`.
pub(super) fn check(expected: &[RawFd]) -> Result<(), SetupError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = Dir::new(rustix::fs::open("/proc/self/fd", flags, Mode::empty())?)?;
    let own = directory.fd()?.as_raw_fd();
    for entry in directory {
        let entry = entry?;
        let Some(number) = entry.file_name().to_str().ok().and_then(|n| n.parse().ok()) else {
            continue; // "." and ".."
        };
        if number != own && !expected.contains(&number) {
            return Err(SetupError::Leak { descriptor: number });
        }
    }
    Ok(())
}

/// Ends the process at once. `std::process::exit` would run handlers whose system calls a locked-down domain may not
/// make.
pub(super) fn exit(status: u8) -> ! {
    // SAFETY: no memory is touched; nothing here relies on handlers at exit.
    unsafe { libc::_exit(i32::from(status)) }
}

//! Which descriptors a domain inherits: exactly those that are shared with it while it starts.

#![allow(unsafe_code)]

use rustix::fd::{AsRawFd, BorrowedFd, RawFd};
use rustix::io::{FdFlags, fcntl_setfd};

const FIRST_AFTER_STANDARD_STREAMS: libc::c_uint = 3;

/// Keeps the descriptors that the supervisor itself was started with from its domains. Before Linux 5.11 the kernel
/// cannot do that, and a domain that finds such a descriptor refuses to start.
pub(super) fn keep_all_to_ourselves() {
    // SAFETY: it sets a flag of descriptors, on which nothing here relies, and touches no memory.
    let _ = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST_AFTER_STANDARD_STREAMS,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
}

/// Descriptors that the next process inherits. Everything else closes when it is executed. The
/// supervisor has one thread, so no other process can start in between.
#[derive(Debug, Default)]
pub(super) struct Inheritance<'a>(Vec<BorrowedFd<'a>>);

impl<'a> Inheritance<'a> {
    /// Shares a descriptor, and returns its number.
    pub(super) fn share(&mut self, descriptor: BorrowedFd<'a>) -> std::io::Result<RawFd> {
        fcntl_setfd(descriptor, FdFlags::empty())?;
        self.0.push(descriptor);
        Ok(descriptor.as_raw_fd())
    }
}

impl Drop for Inheritance<'_> {
    fn drop(&mut self) {
        for descriptor in &self.0 {
            // This fails only for a descriptor that is not open.
            let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
        }
    }
}

//! Creates shared resources: regions, the disk, the timer.

use super::error::ResourceError;
use super::{DISK_PATIENCE, Disk, RegionFile};
use crate::description::Sharing;
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::Errno;
use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
use std::fs::File;
use std::path::{Path, PathBuf};
use sysdesc::{Region, System};

pub(super) fn make_region(
    system: &System,
    index: usize,
    search: &[PathBuf],
) -> Result<Option<RegionFile>, ResourceError> {
    let region = &system.regions[index];
    if region.phys_addr.is_some() {
        return match region.prefill_path {
            None => Ok(None),
            Some(_) => Err(ResourceError::PrefilledDevice {
                region: region.name.clone(),
            }),
        };
    }
    let sharing = if !system.maps_of(index).any(|(_, map)| map.perms.write) {
        Sharing::Constant
    } else if system.maps_of(index).count() == 1 {
        Sharing::Private
    } else {
        Sharing::Shared
    };
    let failed = |cause: std::io::Error| ResourceError::Region {
        region: region.name.clone(),
        cause,
    };
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = memfd_create(region.name.as_str(), flags).map_err(|e| failed(e.into()))?;
    ftruncate(&memory, region.size).map_err(|e| failed(e.into()))?;
    let (memory, prefill_bytes) = match &region.prefill_path {
        None => (memory, None),
        Some(file) => {
            let (memory, bytes) = fill(region, memory, file, search)?;
            (memory, Some(bytes))
        }
    };
    let mut seals = SealFlags::SHRINK | SealFlags::GROW;
    if sharing == Sharing::Constant {
        seals |= SealFlags::WRITE;
    }
    fcntl_add_seals(&memory, seals | SealFlags::SEAL).map_err(|e| failed(e.into()))?;
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    let readable = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let readable = readable.map_err(|e| failed(e.into()))?;
    Ok(Some(RegionFile {
        writable: memory,
        readable,
        sharing,
        prefill_bytes,
    }))
}

/// Copies the file into the region's memory. Returns the memory with the size of the file.
fn fill(
    region: &Region,
    memory: OwnedFd,
    file: &str,
    search: &[PathBuf],
) -> Result<(OwnedFd, u64), ResourceError> {
    let name = || region.name.clone();
    let path = search
        .iter()
        .map(|folder| folder.join(file))
        .find(|path| path.is_file());
    let path = path.ok_or_else(|| ResourceError::NoPrefill {
        region: name(),
        file: file.to_owned(),
        searched: search.to_vec(),
    })?;
    let failed = |cause| ResourceError::Prefill {
        region: name(),
        path: path.clone(),
        cause,
    };
    let mut source = File::open(&path).map_err(failed)?;
    let (bytes, size) = (source.metadata().map_err(failed)?.len(), region.size);
    if bytes > size {
        return Err(ResourceError::PrefillTooLarge {
            region: name(),
            path,
            bytes,
            size,
        });
    }
    if bytes == 0 {
        return Err(ResourceError::PrefillEmpty {
            region: name(),
            path,
        });
    }
    let mut memory = File::from(memory);
    // If the file has grown since it was measured, the rest is not copied.
    std::io::copy(&mut std::io::Read::take(&mut source, bytes), &mut memory).map_err(failed)?;
    Ok((memory.into(), bytes))
}

/// Opens the image of a disk, writable if possible, and locks it against other systems.
pub(super) fn open_disk(path: &Path) -> Result<Disk, ResourceError> {
    let failed = |cause| ResourceError::Disk {
        path: path.to_owned(),
        cause,
    };
    let both = File::options().read(true).write(true).open(path);
    let (file, writable) = match both {
        Ok(file) => (file, true),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            (File::open(path).map_err(failed)?, false)
        }
        Err(error) => return Err(failed(error)),
    };
    let begun = std::time::Instant::now();
    loop {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            // The domains of a system that was killed a moment ago may still be dying.
            Err(Errno::WOULDBLOCK) if begun.elapsed() < DISK_PATIENCE => {
                std::thread::sleep(DISK_PATIENCE / 50);
            }
            Err(Errno::WOULDBLOCK) => {
                return Err(ResourceError::DiskInUse {
                    path: path.to_owned(),
                });
            }
            Err(error) => return Err(failed(error.into())),
        }
    }
    let bytes = file.metadata().map_err(failed)?.len();
    Ok(Disk {
        file: file.into(),
        bytes,
        writable,
    })
}

pub(super) fn make_timer() -> Result<OwnedFd, Errno> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    timerfd_create(TimerfdClockId::Monotonic, flags)
}

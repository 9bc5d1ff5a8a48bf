//! Checks of a board's description.

use super::{Board, BoardError, Driver, Interrupt, MAX_IRQ};
use crate::PAGE_SIZES;
use std::collections::BTreeMap;
use std::path::Path;

impl Board {
    pub(super) fn check(&self) -> Result<(), BoardError> {
        let board = || self.name.clone();
        let [page, _] = PAGE_SIZES;
        for (name, device) in &self.devices {
            let field = |field| BoardError::Missing {
                board: board(),
                device: name.clone(),
                field,
            };
            if device.driver.is_none_or(Driver::has_registers) {
                let address = device.address.ok_or_else(|| field("address"))?;
                let size = device.size.ok_or_else(|| field("size"))?;
                if !address.is_multiple_of(page) || size == 0 || address.checked_add(size).is_none()
                {
                    let device = name.clone();
                    return Err(BoardError::Place {
                        board: board(),
                        device,
                        address,
                        size,
                        page,
                    });
                }
                if let Some(limit) = self.arch.device_end()
                    && address + size > limit
                {
                    return Err(BoardError::Beyond {
                        board: board(),
                        device: name.clone(),
                        end: address + size,
                        limit,
                    });
                }
                if device.registers >= size {
                    let (device, registers) = (name.clone(), device.registers);
                    return Err(BoardError::Registers {
                        board: board(),
                        device,
                        registers,
                        size,
                    });
                }
            }
            if device.driver.is_some_and(Driver::wants_hertz) && device.hertz.is_none() {
                return Err(field("hertz"));
            }
            if ![1, 4].contains(&device.register_bytes) {
                let (device, bytes) = (name.clone(), device.register_bytes);
                return Err(BoardError::RegisterBytes {
                    board: board(),
                    device,
                    bytes,
                });
            }
            for (interrupt, value) in &device.interrupts {
                let (device_name, interrupt) = (name.clone(), interrupt.clone());
                match value {
                    Interrupt::Number(number) if *number > MAX_IRQ => {
                        let number = *number;
                        return Err(BoardError::Number {
                            board: board(),
                            device: device_name,
                            interrupt,
                            number,
                        });
                    }
                    Interrupt::With(other)
                        if !matches!(device.interrupts.get(other), Some(Interrupt::Number(_))) =>
                    {
                        let other = other.clone();
                        return Err(BoardError::With {
                            board: board(),
                            device: device_name,
                            interrupt,
                            other,
                        });
                    }
                    _ => {}
                }
            }
        }
        self.check_apart(page)
    }

    /// Checks that no two devices share a page, because a domain gets whole pages, and that no two share an interrupt.
    fn check_apart(&self, page: u64) -> Result<(), BoardError> {
        let board = || self.name.clone();
        let mut places: Vec<(u64, u64, &String)> = self
            .devices
            .iter()
            .filter_map(|(name, device)| {
                let start = device.address?;
                Some((start, start.saturating_add(device.size?), name))
            })
            .collect();
        places.sort_unstable();
        for pair in places.windows(2) {
            let [(_, end, first), (start, _, second)] = [pair[0], pair[1]];
            if start < end.next_multiple_of(page) {
                let (first, second) = (first.clone(), second.clone());
                return Err(BoardError::Overlap {
                    board: board(),
                    first,
                    second,
                    start,
                });
            }
        }
        let mut numbers: BTreeMap<u64, &str> = BTreeMap::new();
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        for (device, of) in &self.devices {
            for name in of.interrupts.keys() {
                if let Some(other) = names.insert(name, device) {
                    let (first, second) = (other.to_owned(), device.clone());
                    let interrupt = name.clone();
                    return Err(BoardError::NameTwice {
                        board: board(),
                        first,
                        second,
                        interrupt,
                    });
                }
            }
        }
        for (device, _, number) in self.interrupts() {
            if let Some(other) = numbers.insert(number, device) {
                let (first, second) = (other.to_owned(), device.to_owned());
                return Err(BoardError::InterruptTwice {
                    board: board(),
                    first,
                    second,
                    number,
                });
            }
        }
        Ok(())
    }
}

/// The names of the boards that have a file in a folder, sorted.
#[must_use]
pub fn names(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let stem = |file: std::fs::DirEntry| {
        let path = file.path();
        let is_board = path
            .extension()
            .is_some_and(|extension| extension == "toml");
        is_board.then(|| {
            path.file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        })
    };
    let mut known: Vec<_> = files.filter_map(stem).collect();
    known.sort_unstable();
    known
}

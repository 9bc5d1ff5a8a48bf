//! What a role builds its component from: exactly the rights of its domain.

mod error;
mod regions;

pub use error::SetupError;

use super::DebugOutput;
use super::ports::{CONSOLE_GONE, Clock, HALT, Notifier, Orders, Restarter, Timer};
use super::{descriptors, mapping, ports};
use crate::description::{Core, Debug, Description};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::cell::Cell;
use std::rc::Rc;

/// The rights of a domain, while its component is built.
#[derive(Debug)]
pub struct Environment {
    domain: String,
    variables: Vec<(String, u8)>,
    /// Variables that hold addresses and sizes.
    words: Vec<(String, u64)>,
    regions: Vec<mapping::Mapped>,
    notifiers: Vec<(u8, Notifier)>,
    wakeups: Vec<(u8, BorrowedFd<'static>)>,
    console: Option<Console>,
    timer: Option<(u8, BorrowedFd<'static>)>,
    disk: Option<(u8, ports::DiskFile)>,
    faults: Option<BorrowedFd<'static>>,
    restarter: Restarter,
    report: Option<BorrowedFd<'static>>,
    clock: Clock,
    debug: Option<Debug>,
    core: Option<Core>,
}

/// The terminal, and its interrupt.
#[derive(Clone, Copy, Debug)]
struct Console {
    id: u8,
    input: BorrowedFd<'static>,
    output: BorrowedFd<'static>,
    terminal: bool,
    has_sequences: bool,
}

/// What wakes a domain, in the order of [`Sources::polls`]. The two of the console come last.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wakeup {
    Channel {
        id: u8,
        from: BorrowedFd<'static>,
    },
    Faults {
        from: BorrowedFd<'static>,
    },
    /// The console can be written to.
    Room {
        id: u8,
    },
    Console {
        id: u8,
    },
}

#[derive(Debug)]
pub(super) struct Sources {
    pub(super) polls: Vec<PollFd<'static>>,
    pub(super) wakeups: Vec<Wakeup>,
    pub(super) restarter: Restarter,
}

impl Sources {
    /// The descriptors to wait for. A console whose input is held back, or whose output nobody waits for, is left out
    /// altogether, because a poll always reports a hang-up, even if nobody asks for it.
    pub(super) fn polled(&mut self, input: bool, room: bool) -> &mut [PollFd<'static>] {
        let count = self.polls.len();
        let (Some(first), true) = (count.checked_sub(2), self.has_console()) else {
            return &mut self.polls;
        };
        // The source that is waited for comes first.
        let is_room_first = matches!(self.wakeups[first], Wakeup::Room { .. });
        if input != room && is_room_first != room {
            self.polls.swap(first, first + 1);
            self.wakeups.swap(first, first + 1);
        }
        &mut self.polls[..first + usize::from(input) + usize::from(room)]
    }

    fn has_console(&self) -> bool {
        let last = self.wakeups.last();
        matches!(last, Some(Wakeup::Console { .. } | Wakeup::Room { .. }))
    }
}

/// What a locked-down domain may do with each descriptor.
#[derive(Debug, Default)]
pub(super) struct Rights {
    pub(super) read: Vec<RawFd>,
    pub(super) write: Vec<RawFd>,
    pub(super) arm: Option<RawFd>,
    /// The disk, and whether it may be written.
    pub(super) disk: Option<(RawFd, bool)>,
    /// The exit statuses that it may use: for halting the system, and for reporting its own faults.
    pub(super) exit: Vec<u8>,
}

impl Environment {
    pub(super) fn new(description: &Description) -> Result<Self, SetupError> {
        let boot_us = description.boot_us;
        let regions = mapping::map_all(&description.mappings)?;
        let inherited = descriptors::inherited;
        let notifiers = description.notifiers.iter();
        let wakeups: Vec<_> = description
            .wakeups
            .iter()
            .map(|w| (w.id, inherited(w.descriptor)))
            .collect();
        let timer = description.timer.as_ref();
        let children = description.children.as_ref();
        let orders = children.map(|children| {
            let (order, done) = (inherited(children.restart), inherited(children.done));
            let children = children
                .ids
                .iter()
                .map(|&(id, restarts)| (id, Cell::new(restarts)));
            let children = children.collect();
            Rc::new(Orders {
                order,
                done,
                children,
            })
        });
        let mut words = Vec::new();
        for mapping in &description.mappings {
            let address = mapping.symbol.clone().zip(Some(mapping.vaddr));
            let size = mapping.size_symbol.clone().zip(Some(mapping.size));
            words.extend(
                [address, size, mapping.prefill.clone()]
                    .into_iter()
                    .flatten(),
            );
        }
        Ok(Self {
            domain: description.domain.clone(),
            variables: description.variables.clone(),
            words,
            regions,
            notifiers: notifiers
                .map(|n| (n.id, Notifier(inherited(n.descriptor))))
                .collect(),
            // It is also a wake-up. The descriptor is inherited once.
            timer: timer.and_then(|timer| {
                wakeups
                    .iter()
                    .find(|(_, w)| w.as_raw_fd() == timer.descriptor)
                    .copied()
            }),
            wakeups,
            console: description.console.as_ref().map(|c| Console {
                id: c.id,
                input: inherited(c.input),
                output: inherited(c.output),
                terminal: c.terminal,
                has_sequences: c.has_sequences,
            }),
            disk: description.disk.as_ref().map(|disk| {
                let file = inherited(disk.descriptor);
                (
                    disk.id,
                    ports::DiskFile::new(file, disk.bytes, disk.writable),
                )
            }),
            faults: children.map(|children| inherited(children.faults)),
            restarter: Restarter(orders),
            report: description.report.map(inherited),
            clock: Clock { boot_us },
            debug: description.debug,
            core: description.core,
        })
    }

    /// The name of the domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Everything that the Microkit tool would write into the program: each variable that `system.xml` names in a
    /// `setvar_` attribute, with its value. Variables of device registers are left out, because those are not mapped.
    pub fn variables(&self) -> impl Iterator<Item = (&str, u64)> {
        let numbers = self.variables.iter().map(|(name, id)| (name, (*id).into()));
        let words = self.words.iter().map(|(name, value)| (name, *value));
        numbers
            .chain(words)
            .map(|(name, value)| (name.as_str(), value))
    }

    /// The domain's debug output.
    #[must_use]
    pub fn debug_output(&self) -> DebugOutput {
        DebugOutput::new(&self.domain, self.debug)
    }

    /// The number of a channel, interrupt or child, found by the variable that holds it.
    ///
    /// # Errors
    /// `system.xml` does not set it.
    pub fn number(&self, symbol: &str) -> Result<u8, SetupError> {
        let found = self.variables.iter().find(|(name, _)| name == symbol);
        found
            .map(|(_, id)| *id)
            .ok_or_else(|| SetupError::Variable {
                symbol: symbol.into(),
            })
    }

    /// The right to notify on a channel.
    ///
    /// # Errors
    /// `system.xml` does not give it.
    pub fn notifier(&self, id: u8) -> Result<Notifier, SetupError> {
        let found = self.notifiers.iter().find(|(of, _)| *of == id);
        found
            .map(|(_, notifier)| *notifier)
            .ok_or(SetupError::Right {
                right: "channel",
                id,
            })
    }

    /// The right to wait for only these channels.
    ///
    /// # Errors
    /// `system.xml` does not give one of them.
    pub fn waiter(&self, ids: &[u8]) -> Result<ports::Waiter, SetupError> {
        let wakeup = |id: &u8| {
            let found = self.wakeups.iter().find(|(of, _)| of == id);
            found.copied().ok_or(SetupError::Right {
                right: "channel",
                id: *id,
            })
        };
        let from = ids.iter().map(wakeup).collect::<Result<_, _>>()?;
        Ok(ports::Waiter { from })
    }

    /// Where this domain runs, if the system says on which cores its domains run.
    #[must_use]
    pub const fn core(&self) -> Option<Core> {
        self.core
    }

    /// The terminal, behind the interrupt `id`.
    ///
    /// # Errors
    /// `system.xml` does not give it.
    pub fn console(&mut self, id: u8) -> Result<ports::Console, SetupError> {
        match self.console {
            Some(console) if console.id == id => Ok(ports::Console::new(
                console.input,
                console.output,
                console.terminal,
                console.has_sequences,
            )),
            _ => Err(SetupError::Right {
                right: "the UART's interrupt",
                id,
            }),
        }
    }

    /// The one-shot timer, behind the interrupt `id`.
    ///
    /// # Errors
    /// `system.xml` does not give it.
    pub fn timer(&self, id: u8) -> Result<Timer, SetupError> {
        let boot_us = self.clock.boot_us;
        match self.timer {
            Some((of, descriptor)) if of == id => Ok(Timer {
                descriptor,
                boot_us,
            }),
            _ => Err(SetupError::Right {
                right: "the timer's interrupt",
                id,
            }),
        }
    }

    /// The disk behind the interrupt `id`; `None` if the simulation was given none.
    #[must_use]
    pub fn disk(&self, id: u8) -> Option<ports::DiskFile> {
        self.disk.filter(|(of, _)| *of == id).map(|(_, disk)| disk)
    }

    /// The right to restart child `id`.
    ///
    /// # Errors
    /// `system.xml` does not give it.
    pub fn restarter(&self, id: u8) -> Result<Restarter, SetupError> {
        let children = self
            .restarter
            .0
            .as_ref()
            .map_or(&[][..], |orders| &orders.children);
        if children.iter().any(|(of, _)| *of == id) {
            return Ok(self.restarter.clone());
        }
        Err(SetupError::Right { right: "child", id })
    }

    /// The clock, which every domain has.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    pub(super) fn report(&self, number: RawFd) -> Result<BorrowedFd<'static>, SetupError> {
        self.report.ok_or(SetupError::Leak { descriptor: number })
    }

    pub(super) fn sources(&self) -> Sources {
        let mut wakeups: Vec<_> = self
            .wakeups
            .iter()
            .map(|&(id, from)| Wakeup::Channel { id, from })
            .collect();
        wakeups.extend(self.faults.map(|from| Wakeup::Faults { from }));
        if let Some(Console { id, .. }) = self.console {
            wakeups.extend([Wakeup::Room { id }, Wakeup::Console { id }]);
        }
        let of = |wakeup: &Wakeup| match *wakeup {
            Wakeup::Channel { from, .. } | Wakeup::Faults { from } => Some(from),
            Wakeup::Console { .. } => self.console.map(|console| console.input),
            Wakeup::Room { .. } => self.console.map(|console| console.output),
        };
        let interest = |wakeup: &Wakeup| {
            let flags = match wakeup {
                Wakeup::Room { .. } => PollFlags::OUT,
                _ => PollFlags::IN,
            };
            Some(PollFd::from_borrowed_fd(of(wakeup)?, flags))
        };
        let polls = wakeups.iter().filter_map(interest).collect();
        Sources {
            polls,
            wakeups,
            restarter: self.restarter.clone(),
        }
    }

    pub(super) fn rights(&self) -> Rights {
        let raw = |descriptor: BorrowedFd<'static>| descriptor.as_raw_fd();
        let mut rights = Rights::default();
        rights
            .read
            .extend(self.wakeups.iter().map(|&(_, from)| raw(from)));
        rights.read.extend(self.faults.map(raw));
        rights
            .write
            .extend(self.notifiers.iter().map(|(_, notifier)| raw(notifier.0)));
        if let Some(orders) = &self.restarter.0 {
            rights.write.push(raw(orders.order));
            rights.read.push(raw(orders.done));
        }
        if let Some(Console { input, output, .. }) = self.console {
            rights.read.push(raw(input));
            rights.write.push(raw(output));
            rights.exit.extend([HALT, CONSOLE_GONE]);
        }
        rights.disk = self.disk.map(|(_, disk)| (raw(disk.file), disk.writable));
        rights.arm = self.timer.map(|(_, descriptor)| raw(descriptor));
        if let Some(report) = self.report {
            rights.write.push(raw(report));
            rights.exit.push(super::handler::EXIT_STATUS);
        }
        if self.debug.is_some() {
            rights.write.push(rustix::stdio::raw_stderr());
        }
        rights
    }

    /// Every descriptor that the domain keeps.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        let Rights {
            read, write, disk, ..
        } = self.rights();
        let disk = disk.map(|(disk, _)| disk);
        read.into_iter().chain(write).chain(disk).collect()
    }
}

//! What a component can do after the lock-down: each type is one right, given by `system.xml`.

use super::Ids;
use crate::fault::Record;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::time::{ClockId, Itimerspec, TimerfdTimerFlags, clock_gettime, timerfd_settime};
use std::cell::Cell;
use std::rc::Rc;

/// [`Console::read`] returns it once when the input ends. It is Ctrl-D, as at a terminal.
pub const END_OF_INPUT: u8 = 4;
/// Ctrl-] ends the simulation at a terminal, as in telnet. No domain sees it, so none can prevent it.
const LEAVE: u8 = 0x1d;
/// Ctrl-C.
const INTERRUPT: u8 = 3;
/// Exit status of a domain that halts the system.
pub(crate) const HALT: u8 = 0;
/// Exit status of a domain whose console is gone (a closed pipe, a hung-up terminal).
pub(crate) const CONSOLE_GONE: u8 = 3;
/// Most bytes of input read in one system call.
const INPUT_BYTES: usize = 4096;
/// Most bytes of output written in one system call: a pipe that polls as writable has room for them.
const OUTPUT_BYTES: usize = 4096;
const MICROS: u64 = 1_000_000;
const NANOS_PER_MICRO: u64 = 1000;

/// The right to notify on one channel.
#[derive(Clone, Copy, Debug)]
pub struct Notifier(pub(super) BorrowedFd<'static>);

impl Notifier {
    /// Wakes the peer, now or when it next waits. Signals coalesce: a full pipe already holds one.
    pub fn notify(self) {
        let _ = rustix::io::write(self.0, &[1]);
    }
}

/// Empties a wake-up descriptor. A pipe holds one page and a timer eight bytes, so one read is enough; anything that
/// arrives meanwhile wakes the domain again.
pub(super) fn drain(from: BorrowedFd<'static>) {
    let mut sink = [0u8; 4096];
    let _ = rustix::io::read(from, &mut sink);
}

/// The right to wait for only some of the domain's channels, in the middle of a wake-up.
#[derive(Debug)]
pub struct Waiter {
    pub(super) from: Vec<(u8, BorrowedFd<'static>)>,
}

impl Waiter {
    /// Returns the channels whose peers have notified since this last returned; it may also return spuriously.
    pub fn wait(&mut self) -> Ids {
        let interest = |(_, from): &(u8, BorrowedFd<'static>)| super::interest(*from);
        let mut polled: Vec<_> = self.from.iter().map(interest).collect();
        let mut ids = Ids::default();
        if poll(&mut polled, None).is_ok() {
            let arrived = polled.iter().zip(&self.from);
            for (_, (id, from)) in arrived.filter(|(polled, _)| !polled.revents().is_empty()) {
                drain(*from);
                ids.insert(*id);
            }
        }
        ids
    }
}

/// The clock: microseconds since the system started.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub(super) boot_us: u64,
}

impl Clock {
    /// Now.
    #[must_use]
    pub fn now_us(self) -> u64 {
        monotonic_us().saturating_sub(self.boot_us)
    }
}

/// Microseconds of `CLOCK_MONOTONIC`.
pub(crate) fn monotonic_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Neither part is negative on this clock.
    now.tv_sec.unsigned_abs() * MICROS + now.tv_nsec.unsigned_abs() / NANOS_PER_MICRO
}

/// The one-shot timer.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    pub(super) descriptor: BorrowedFd<'static>,
    pub(super) boot_us: u64,
}

impl Timer {
    /// Fires at `at_us`, at once if that time is past, or never if it is `None`. Replaces the time set before.
    pub fn arm(self, at_us: Option<u64>) {
        let at = at_us.map_or(0, |at| at.saturating_add(self.boot_us).max(1));
        let value = Timespec {
            tv_sec: i64::try_from(at / MICROS).unwrap_or(i64::MAX),
            tv_nsec: (at % MICROS * NANOS_PER_MICRO) as _, // Below 10⁹.
        };
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: value,
        };
        let _ = timerfd_settime(self.descriptor, TimerfdTimerFlags::ABSTIME, &once);
    }
}

/// A file in place of a disk.
#[derive(Clone, Copy, Debug)]
pub struct DiskFile {
    pub(super) file: BorrowedFd<'static>,
    bytes: u64,
    pub(super) writable: bool,
}

impl DiskFile {
    pub(super) const fn new(file: BorrowedFd<'static>, bytes: u64, writable: bool) -> Self {
        Self {
            file,
            bytes,
            writable,
        }
    }

    /// Its size.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// Whether it was opened for writing.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.writable
    }

    /// Fills the buffer from that offset. Returns false on failure.
    #[must_use]
    pub fn read(self, mut offset: u64, mut buffer: &mut [u8]) -> bool {
        while !buffer.is_empty() {
            match rustix::io::pread(self.file, &mut *buffer, offset) {
                Ok(0) => return false,
                Ok(count) => {
                    buffer = &mut buffer[count..];
                    offset = offset.saturating_add(count as u64);
                }
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Writes the bytes at that offset. Returns false on failure, when a part may have been written.
    #[must_use]
    pub fn write(self, mut offset: u64, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match rustix::io::pwrite(self.file, bytes, offset) {
                Ok(0) => return false,
                Ok(count) => {
                    bytes = &bytes[count..];
                    offset = offset.saturating_add(count as u64);
                }
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Makes earlier writes durable. Returns false on failure.
    #[must_use]
    pub fn sync(self) -> bool {
        rustix::fs::fdatasync(self.file).is_ok()
    }
}

/// The terminal in place of a UART.
#[derive(Debug)]
pub struct Console {
    input: BorrowedFd<'static>,
    output: BorrowedFd<'static>,
    terminal: bool,
    has_sequences: bool,
    wants_room: bool,
    buffer: Box<[u8; INPUT_BYTES]>,
    /// The part of the buffer that was not read yet.
    waiting: core::ops::Range<usize>,
    /// The last byte that was read.
    last: u8,
    state: Input,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// The reader has taken everything.
    Drained,
    /// The reader stopped before it had taken everything: it has no room.
    HeldBack,
    /// There will be no more input.
    Ended,
}

impl Console {
    pub(super) fn new(
        input: BorrowedFd<'static>,
        output: BorrowedFd<'static>,
        terminal: bool,
        has_sequences: bool,
    ) -> Self {
        let buffer = Box::new([0; INPUT_BYTES]);
        Self {
            input,
            output,
            terminal,
            has_sequences,
            wants_room: false,
            buffer,
            waiting: 0..0,
            last: b'\n',
            state: Input::Drained,
        }
    }

    /// Whether it is a terminal in raw mode, where a person types and the terminal does not echo.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether that terminal has control sequences.
    #[must_use]
    pub const fn has_sequences(&self) -> bool {
        self.has_sequences
    }

    /// Sets whether the domain is woken when there is room to write.
    pub const fn want_room(&mut self, wanted: bool) {
        self.wants_room = wanted;
    }

    /// The last value given to [`Self::want_room`].
    #[must_use]
    pub const fn wants_room(&self) -> bool {
        self.wants_room
    }

    /// The next byte of input, if there is one. The end of the input gives [`END_OF_INPUT`] once, after a line feed if
    /// the last line has none. In a pipe or a file, that byte itself ends the input. A reader that stops before `None`
    /// has no room for more.
    pub fn read(&mut self) -> Option<u8> {
        if self.waiting.is_empty() && self.state != Input::Ended {
            match self.refill() {
                Ok(0) | Err(Errno::IO) => self.end(),
                Ok(bytes) => {
                    self.waiting = 0..bytes;
                    self.state = Input::HeldBack;
                }
                Err(_) => self.state = Input::Drained,
            }
        }
        let mut byte = *self.buffer.get(self.waiting.next()?)?;
        if self.terminal && byte == LEAVE {
            self.halt()
        }
        if !self.terminal && byte == END_OF_INPUT && self.state != Input::Ended {
            self.end();
            byte = *self.buffer.get(self.waiting.next()?)?;
        }
        self.last = byte;
        Some(byte)
    }

    /// Ends the input: the next bytes read end an unfinished line, and then comes [`END_OF_INPUT`].
    fn end(&mut self) {
        self.state = Input::Ended;
        let [end_of_line, end_of_input, ..] = &mut self.buffer[..] else {
            return;
        };
        // If a terminal hangs up in the middle of a line, nobody has finished it, so it is dropped.
        *end_of_line = if self.terminal { INTERRUPT } else { b'\n' };
        *end_of_input = END_OF_INPUT;
        let is_line_over = matches!(self.last, b'\n' | b'\r');
        self.waiting = usize::from(is_line_over)..2;
    }

    /// Whether the input is over for good.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state == Input::Ended
    }

    /// Whether more input should wake the domain.
    #[must_use]
    pub fn accepts_input(&self) -> bool {
        self.state == Input::Drained
    }

    /// Reads only what has already arrived. Other programs share the file, so it must not be made non-blocking.
    fn refill(&mut self) -> Result<usize, Errno> {
        let mut input = [PollFd::from_borrowed_fd(self.input, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        if poll(&mut input, Some(&now))? == 0 {
            return Err(Errno::AGAIN);
        }
        rustix::io::read(self.input, &mut self.buffer[..])
    }

    /// Writes as much as there is room for, and returns how many bytes. Does not return if the console is gone.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while let Some(rest @ [_, ..]) = bytes.get(written..) {
            // Checked before every write, including the first, because a write to a file that other programs share can
            // block.
            if !self.has_room() {
                break;
            }
            let piece = rest.get(..OUTPUT_BYTES).unwrap_or(rest);
            match rustix::io::write(self.output, piece) {
                Ok(more) => written += more,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => super::descriptors::exit(CONSOLE_GONE),
            }
        }
        written
    }

    fn has_room(&self) -> bool {
        let mut output = [PollFd::from_borrowed_fd(self.output, PollFlags::OUT)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // A console that is gone polls as writable; the write then reports it.
        poll(&mut output, Some(&now)) != Ok(0)
    }

    /// Ends the system, with success.
    pub fn halt(&self) -> ! {
        super::descriptors::exit(HALT)
    }
}

/// The right to stop and restart children.
#[derive(Clone, Debug)]
pub struct Restarter(pub(super) Option<Rc<Orders>>);

#[derive(Debug)]
pub(super) struct Orders {
    pub(super) order: BorrowedFd<'static>,
    pub(super) done: BorrowedFd<'static>,
    /// Number of each child, and how often it has been restarted.
    pub(super) children: Vec<(u8, Cell<u32>)>,
}

impl Orders {
    /// Waits until the supervisor, which never waits for a domain, has carried out the order.
    fn wait(&self) {
        while rustix::io::read(self.done, &mut [0; 1]) != Ok(1) {
            let _ = poll(&mut [super::interest(self.done)], None);
        }
    }
}

/// Set in an order that only stops the child. Microkit's child numbers are all below it.
pub(crate) const STOP: u8 = 0x80;

impl Restarter {
    /// Kills the child if it is alive, and starts it afresh. Its regions and channels stay. Once this returns true,
    /// nothing of the old child runs any more. Returns false, and does nothing, if there is no such child.
    pub fn restart(&self, child: u8) -> bool {
        self.give(child, child)
    }

    /// Kills the child if it is alive. Once this returns true, nothing of it runs any more. Returns false, and does
    /// nothing, if there is no such child.
    pub fn stop(&self, child: u8) -> bool {
        self.give(child, child | STOP)
    }

    fn give(&self, child: u8, order: u8) -> bool {
        let Some(orders) = &self.0 else { return false };
        if let Some((_, restarts)) = orders.children.iter().find(|(id, _)| *id == child)
            && rustix::io::write(orders.order, &[order]).is_ok()
        {
            restarts.set(restarts.get().wrapping_add(1));
            orders.wait();
            return true;
        }
        false
    }

    /// Whether the record is about the child that runs now.
    pub(super) fn is_current(&self, record: &Record) -> bool {
        let children = self.0.as_ref().map_or(&[][..], |orders| &orders.children);
        children
            .iter()
            .any(|(id, restarts)| *id == record.child && restarts.get() == record.restarts)
    }
}

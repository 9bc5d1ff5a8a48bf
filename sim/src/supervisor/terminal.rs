//! The terminal: what it can do, how it is written to, and raw mode, in which every byte reaches the shell.

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::sync::Arc;

/// Whether `TERM` names a terminal with control sequences.
pub(super) fn has_sequences() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Standard output opened again, non-blocking, for a terminal or a pipe; the original stays blocking for its other
/// users. `None` for files that never block, and if it cannot be opened again.
pub(super) fn own_output() -> Option<OwnedFd> {
    let output = rustix::stdio::stdout();
    let kind = FileType::from_raw_mode(rustix::fs::fstat(output).ok()?.st_mode);
    if !matches!(kind, FileType::CharacterDevice | FileType::Fifo) {
        return None;
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open("/proc/self/fd/1", flags, Mode::empty()).ok()
}

/// A terminal in raw mode. Its former mode is restored on drop or on a panic.
#[derive(Debug)]
pub(super) struct RawTerminal {
    before: Arc<Termios>,
}

impl RawTerminal {
    /// Returns `None` if standard input is not a terminal.
    pub(super) fn enter() -> Result<Option<Self>, rustix::io::Errno> {
        let input = rustix::stdio::stdin();
        if !isatty(input) {
            return Ok(None);
        }
        let before = Arc::new(tcgetattr(input)?);
        let mut raw = Termios::clone(&before);
        raw.make_raw();
        tcsetattr(input, OptionalActions::Now, &raw)?;

        // Release builds do not unwind, so a panic drops nothing.
        let (hook, saved) = (std::panic::take_hook(), before.clone());
        std::panic::set_hook(Box::new(move |info| {
            restore(&saved);
            hook(info);
        }));
        Ok(Some(Self { before }))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        restore(&self.before);
    }
}

fn restore(before: &Termios) {
    // If the terminal has hung up, its mode no longer matters.
    let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, before);
}

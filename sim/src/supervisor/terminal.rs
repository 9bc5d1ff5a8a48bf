//! The mode of the terminal: raw while the system runs, so that every byte reaches the shell.

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::sync::Arc;

/// A terminal in raw mode; as it was before, once this is dropped, or on a panic.
#[derive(Debug)]
pub(super) struct RawTerminal {
    before: Arc<Termios>,
}

impl RawTerminal {
    /// None if standard input is no terminal.
    pub(super) fn enter() -> Result<Option<Self>, rustix::io::Errno> {
        let input = rustix::stdio::stdin();
        if !isatty(input) {
            return Ok(None);
        }
        let before = Arc::new(tcgetattr(input)?);
        let mut raw = Termios::clone(&before);
        raw.make_raw();
        tcsetattr(input, OptionalActions::Now, &raw)?;

        // A release build does not unwind.
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
    // A terminal that has been hung up needs no mode.
    let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, before);
}

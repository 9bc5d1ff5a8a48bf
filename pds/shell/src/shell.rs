//! The shell itself: driven by input and by audit's signals.

use crate::console::Mode;
use crate::state::{Buffers, ShellState};
use crate::transmit::{Port, Transmit};
use crate::words::Words;
use protocol::region::{ReadWords, WriteWords};
use sel4_llm_client::{Client, Endpoint, Inbox};

/// Buffers of the shell, 325 KiB, of which two fifths are text of jobs. They are outside [`Shell`] so that a runtime
/// with a small stack can make them a static. New ones are all zeros.
#[derive(Debug)]
pub struct Memory {
    buffers: Buffers,
    client: sel4_llm_client::Memory,
    /// The words of the current line, to which the running command refers.
    words: Words,
    /// The current message from audit, to which the handled event refers.
    inbox: Inbox,
    /// Output that waits to be written.
    output: Transmit,
}

// The size given above.
const _: () = assert!(size_of::<Memory>() <= 326 * 1024);

impl Memory {
    /// New, empty buffers.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buffers: Buffers::new(),
            client: sel4_llm_client::Memory::new(),
            words: Words::new(),
            inbox: Inbox::new(),
            output: Transmit::new(),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// The shell. There is one per domain, for the domain's life.
pub struct Shell<'m, R, W> {
    state: ShellState<'m, R, W>,
    words: &'m mut Words,
    inbox: &'m mut Inbox,
    output: &'m mut Transmit,
}

impl<'m, R: ReadWords, W: WriteWords> Shell<'m, R, W> {
    /// A shell that waits for audit to serve.
    #[must_use]
    pub fn new(ring: Endpoint<R, W>, mode: Mode, memory: &'m mut Memory) -> Self {
        let Memory {
            buffers,
            client,
            words,
            inbox,
            output,
        } = memory;
        Self {
            state: ShellState::new(Client::new(ring, client), mode, buffers),
            words,
            inbox,
            output,
        }
    }

    /// Whether there is room for more input. If not, the runtime does not read, so the sender waits and nothing is
    /// lost.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.state.wants_input()
    }

    #[cfg(test)]
    pub(crate) fn state_for_tests(&self) -> &ShellState<'m, R, W> {
        &self.state
    }

    /// The console has input: reads as much as there is room for, and acts on it.
    pub fn on_input(&mut self, port: &mut impl Port) {
        let mut output = self.output.before(port);
        self.state.on_input(self.words, &mut output);
        self.state.signal_audit(&mut output);
        if output.settle() {
            self.on_signal(port);
        }
    }

    /// The console has room: writes waiting output, and goes on.
    pub fn on_room(&mut self, port: &mut impl Port) {
        self.on_signal(port);
    }

    /// Audit has signalled: reads its ring, and the console in between, because Ctrl-C must not wait until everything
    /// in the ring is printed. Then continues with waiting input.
    pub fn on_signal(&mut self, port: &mut impl Port) {
        loop {
            let mut output = self.output.before(port);
            self.state.on_signal(self.inbox, &mut output);
            self.state.on_input(self.words, &mut output);
            self.state.signal_audit(&mut output);
            if !output.settle() {
                return;
            }
        }
    }
}

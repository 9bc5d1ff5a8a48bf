//! What waits to be written.
//!
//! A serial line carries 11 bytes in a millisecond, and a shell that waited for it would hold the processor above inference.
//! So the runtime takes what its device has room for and says when there is more, and the rest waits here.
//!
//! The rule that keeps it bounded: with more than [`MARK`] bytes waiting, the shell begins nothing that says more. It does
//! not read audit's ring, so audit grants its requests no more tokens, and nobody else's wait; it runs no line. It goes on to
//! read keys, and Ctrl-C drops what waits.

use crate::console;
use crate::queue::Queue;

/// What the shell needs from its runtime.
pub trait Port {
    /// Tells audit to look at its ring.
    fn notify_audit(&mut self);
    /// Takes as many of the bytes as the console has room for now, and says how many. It never waits.
    fn write(&mut self, bytes: &[u8]) -> usize;
    /// Whether to call [`crate::Shell::on_room`] as soon as the console has room.
    fn want_room(&mut self, wanted: bool);
    /// The next byte of the console, if there is one. The end of the input is byte 0x04.
    fn read(&mut self) -> Option<u8>;
    /// All that was typed before an end of the input (0x04) is done and its output written, and what that ends has ended: a
    /// conversation, a login. A runtime whose input is over for good can end now; on a terminal it was Ctrl-D, and somebody
    /// types on.
    fn input_done(&mut self);
    /// What is written for whoever waits for [`Self::input_done`] at the other end of the console.
    fn done_mark(&self) -> &'static str {
        ""
    }
    /// Ends the system, which audit has allowed: all was written.
    fn halt(&mut self);
    /// What is written as the last line.
    fn last_line(&self) -> &'static str {
        ""
    }
}

/// Bytes that may wait while the shell goes on: what a line of 115,200 baud carries in 0.18 s. A lower one would stall a
/// fast console more often, a higher one makes the text that shows older than what is typed.
const MARK: usize = 2048;

/// The longest that is written at once: for each byte of a line of the greatest length, six (an end of line, which is left as
/// two and the prompt behind it), and once more for an error that names it.
const STEP_BYTES: usize = 8 * crate::MAX_LINE_BYTES;

/// Stands where output found no room. No step says so much; one that does would otherwise lose it unseen.
const GAP: &[u8] = b"\r\n(output was lost here)\r\n";

const QUEUE_BYTES: usize = MARK + STEP_BYTES;

/// What waits to be written.
#[derive(Debug)]
pub(crate) struct Transmit {
    waiting: Queue<QUEUE_BYTES>,
    /// The last bytes found no room.
    has_gap: bool,
    /// The end of the input is to be answered when all was written.
    is_done: bool,
    /// The system ends when all was written.
    ends: bool,
    /// Somebody was told that there is no room.
    is_held: bool,
}

impl Transmit {
    pub(crate) const fn new() -> Self {
        Self {
            waiting: Queue::new(),
            has_gap: false,
            is_done: false,
            ends: false,
            is_held: false,
        }
    }

    /// The console with this queue before it.
    pub(crate) const fn before<'q, P: Port>(&'q mut self, port: &'q mut P) -> Queued<'q, P> {
        Queued { queue: self, port }
    }
}

/// A console that takes all that is written to it.
pub(crate) struct Queued<'q, P> {
    queue: &'q mut Transmit,
    port: &'q mut P,
}

impl<P: Port> Queued<'_, P> {
    /// Writes what there is room for.
    fn write_waiting(&mut self) {
        loop {
            let first = self.queue.waiting.front();
            if first.is_empty() {
                return;
            }
            let whole = first.len();
            let written = self.port.write(first).min(whole);
            self.queue.waiting.drop_front(written);
            if written < whole {
                return;
            }
        }
    }

    /// Writes what there is room for, and asks to be called if something is left. Whether somebody was held back who has room
    /// now: nothing else would wake the shell for that.
    #[must_use]
    pub(crate) fn settle(&mut self) -> bool {
        self.write_waiting();
        let is_empty = self.queue.waiting.len() == 0;
        self.port.want_room(!is_empty);
        if is_empty && core::mem::take(&mut self.queue.is_done) {
            self.port.input_done();
        }
        if is_empty && core::mem::take(&mut self.queue.ends) {
            self.port.halt();
        }
        core::mem::take(&mut self.queue.is_held) && is_empty
    }
}

impl<P: Port> console::Port for Queued<'_, P> {
    fn notify_audit(&mut self) {
        self.port.notify_audit();
    }

    fn write(&mut self, bytes: &[u8]) {
        let queue = &mut *self.queue;
        // A gap is in no row of text: what follows on it begins another one.
        if queue.has_gap && queue.waiting.room() > GAP.len().saturating_add(bytes.len()) {
            queue.has_gap = false;
            let _ = GAP.iter().all(|byte| queue.waiting.push(*byte));
        }
        if !queue.has_gap {
            queue.has_gap = !bytes.iter().all(|byte| queue.waiting.push(*byte));
        }
    }

    fn has_room(&mut self) -> bool {
        if self.queue.waiting.len() > MARK {
            self.write_waiting();
        }
        let has_room = self.queue.waiting.len() <= MARK;
        self.queue.is_held |= !has_room;
        has_room
    }

    fn drop_unwritten(&mut self) -> bool {
        self.write_waiting();
        let any = self.queue.waiting.len() > 0;
        self.queue.waiting.clear();
        any
    }

    fn read(&mut self) -> Option<u8> {
        self.port.read()
    }

    fn input_done(&mut self) {
        self.write(self.port.done_mark().as_bytes());
        self.queue.is_done = true;
    }

    fn halt(&mut self) {
        self.write(self.port.last_line().as_bytes());
        self.queue.ends = true;
    }
}

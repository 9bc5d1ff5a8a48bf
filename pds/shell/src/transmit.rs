//! Output that waits to be written.
//!
//! A serial line carries 11 bytes per millisecond. If the shell waited for it, it would hold the processor, above
//! inference. So the runtime takes as much as its device has room for and says when there is more, and the rest waits
//! here.
//!
//! The rule that keeps it bounded: with more than [`MARK`] bytes waiting, the shell begins nothing that writes more. It
//! runs no line and does not read audit's ring, so audit grants its requests no more tokens, and no other client waits.
//! It still reads keys, and Ctrl-C drops the waiting output.

use crate::console;
use crate::queue::Queue;

/// Services of the runtime.
pub trait Port {
    /// Tells audit to look at its ring.
    fn notify_audit(&mut self);
    /// Takes as many of the bytes as the console has room for, and returns how many. It never waits.
    fn write(&mut self, bytes: &[u8]) -> usize;
    /// Whether to call [`crate::Shell::on_room`] once the console has room.
    fn want_room(&mut self, wanted: bool);
    /// The next byte of the console, if there is one. The end of the input is byte 0x04.
    fn read(&mut self) -> Option<u8>;
    /// Everything typed before an end of the input (0x04) has been done and its output written, and so has the end of a
    /// conversation or login that follows from it. A runtime whose input is over for good can end now. On a terminal it
    /// was Ctrl-D, and the user may type on.
    fn input_done(&mut self);
    /// The mark for a program at the other end of the console that waits for [`Self::input_done`].
    fn done_mark(&self) -> &'static str {
        ""
    }
    /// Ends the system. Audit has allowed it, and all output was written.
    fn halt(&mut self);
    /// The last line of the output.
    fn last_line(&self) -> &'static str {
        ""
    }
}

/// Bytes that may wait while the shell goes on: as many as a line of 115,200 baud carries in 0.18 s. A lower mark would
/// stall a fast console more often; a higher one would delay the text on display further behind the keys.
const MARK: usize = 2048;

/// The most that is written at once. Each byte of the longest line becomes at most six, if it is a line end that shows
/// as two bytes and the prompt after it; and once more for an error that names the line.
const STEP_BYTES: usize = 8 * crate::MAX_LINE_BYTES;

/// Marks where output did not fit. No step writes so much, but if one did, the loss would otherwise be unseen.
const GAP: &[u8] = b"\r\n(output was lost here)\r\n";

const QUEUE_BYTES: usize = MARK + STEP_BYTES;

/// Output that waits to be written.
#[derive(Debug)]
pub(crate) struct Transmit {
    waiting: Queue<QUEUE_BYTES>,
    /// The last bytes did not fit.
    has_gap: bool,
    /// The end of the input shall be answered once everything is written.
    is_done: bool,
    /// The system ends once everything is written.
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

/// A console that accepts every write.
pub(crate) struct Queued<'q, P> {
    queue: &'q mut Transmit,
    port: &'q mut P,
}

impl<P: Port> Queued<'_, P> {
    /// Writes as much as there is room for.
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

    /// Writes as much as there is room for, and asks to be called if something is left. Returns whether somebody who
    /// was held back has room now, because nothing else would wake the shell for that. Until then this is remembered,
    /// because the call that makes the room may be about another event, such as a key.
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
        is_empty && core::mem::take(&mut self.queue.is_held)
    }
}

impl<P: Port> console::Port for Queued<'_, P> {
    fn notify_audit(&mut self) {
        self.port.notify_audit();
    }

    fn write(&mut self, bytes: &[u8]) {
        let queue = &mut *self.queue;
        // The gap's mark is in no row of text: the next output starts a new row.
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

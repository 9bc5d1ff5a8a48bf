//! The ring with audit.

use core::task::Poll;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, SLOTS};
use protocol::wire::files::Answer;

/// This domain's end of the ring with audit.
#[derive(Debug)]
pub(crate) struct AuditEnd<R, W> {
    ring: Endpoint<R, W>,
    /// The message being sent.
    frame: Frame,
    signal: bool,
}

impl<R: ReadWords, W: WriteWords> AuditEnd<R, W> {
    pub const fn new(ring: Endpoint<R, W>) -> Self {
        Self {
            ring,
            frame: Frame::new(),
            signal: false,
        }
    }

    /// Waits for audit's next question.
    pub fn receive(&mut self, frame: &mut Frame) -> Poll<()> {
        self.ring.follow();
        // Audit sends no malformed messages. If it did, a message after them might be read only at the next signal.
        for _ in 0..SLOTS {
            match self.ring.receive(frame) {
                Ok(true) => return Poll::Ready(()),
                Ok(false) => break,
                Err(_) => {}
            }
        }
        Poll::Pending
    }

    /// Sends an answer when there is room. A question from an earlier epoch needs no answer.
    pub fn send(&mut self, number: u32, answer: &Answer<'_>) -> Poll<()> {
        if self.ring.follow() {
            return Poll::Ready(());
        }
        answer.write(number, &mut self.frame);
        match self.ring.send(&self.frame) {
            Ok(()) => {
                self.signal = true;
                Poll::Ready(())
            }
            Err(_) => Poll::Pending,
        }
    }

    /// Whether to signal audit now.
    pub fn takes_signal(&mut self) -> bool {
        let owed = self.ring.take_owed_signal();
        core::mem::take(&mut self.signal) | owed
    }
}

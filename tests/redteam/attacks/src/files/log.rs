//! Attacks on the log on the disk: the hostile domain passes audit's questions on to the honest one, or changes them.

use super::{Gremlin, Honest, Memory};
use crate::Ground;
use protocol::limits::MAX_TRANSFER_BYTES;
use protocol::wire::files::{Answer, Ask, FilesError};

impl<G: Ground, H: Honest> Gremlin<'_, G, H> {
    /// Passes the question on to the honest files domain, unless the attack on the log does something else with it.
    pub(super) fn forward(&mut self, number: u32) {
        let ask = Ask::parse(&self.memory.incoming);
        let is_write = matches!(ask, Ok(Ask::WriteLog { .. }));
        let is_flush = matches!(ask, Ok(Ask::FlushLog));
        match self.on_log {
            "files-log-drop" if is_write || is_flush => {
                self.say(number, &Answer::Done);
                return;
            }
            "files-log-fails" if is_write => {
                let why = FilesError::Device;
                self.say(number, &Answer::Failed { why, value: 0 });
                return;
            }
            "files-log-silence" if is_write => {
                self.is_silent = true;
                return;
            }
            "files-log-slow" if is_flush => self.spins(),
            _ => {}
        }
        let changes = self.on_log == "files-log-change" && is_write;
        let Memory {
            incoming,
            outgoing,
            part,
        } = &mut *self.memory;
        match Ask::parse(incoming) {
            Ok(Ask::WriteLog { slot, data }) if changes => {
                let part = &mut part[..data.len().min(MAX_TRANSFER_BYTES)];
                part.copy_from_slice(&data[..part.len()]);
                if let Some(byte) = part.get_mut(99) {
                    *byte ^= 1;
                }
                Ask::WriteLog { slot, data: part }.write(number, outgoing);
                self.on_log = "";
            }
            Ok(ask) => ask.write(number, outgoing),
            Err(_) => return,
        }
        // Only one is under way at a time, so there is room.
        self.is_forwarded = self.between.send(outgoing).is_ok();
    }

    /// Passes on the honest domain's answer; false if it has yet to answer.
    pub(super) fn hears_honest(&mut self) -> bool {
        self.honest.poll();
        if !self.is_forwarded {
            return true;
        }
        let received = self.between.receive(&mut self.memory.incoming) == Ok(true);
        // The honest domain is polled, so it needs no signal.
        let _ = self.between.take_owed_signal();
        if !received {
            return false;
        }
        self.is_forwarded = false;
        let Memory {
            incoming, outgoing, ..
        } = &mut *self.memory;
        if let Ok(answer) = Answer::parse(incoming) {
            answer.write(incoming.header().request, outgoing);
            let _ = self.ring.send(outgoing);
        }
        true
    }
}

//! What is asked of files, and what comes of it. Nothing of this is part of a system without a disk.

use super::Monitor;
use crate::files::{FilesEnd, Heard, Mount, Owner};
use protocol::error::Failure;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Frame, SLOTS};
use protocol::wire::files::{Answer, Ask};

impl<R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'_, R, W, F> {
    /// Begins the rings' epoch, and has the file system found.
    pub(super) fn start_files(&mut self) {
        if let Some(files) = &mut self.files {
            files.get_mut().link.lead();
        }
    }

    /// Reads what files has said, a ring's worth at most, and notices if it has said nothing for too long.
    pub(super) fn read_files(&mut self, frame: &mut Frame, now: u64) {
        for _ in 0..SLOTS {
            let Some(files) = &mut self.files else {
                return;
            };
            match files.get_mut().link.receive(frame, now) {
                Heard::Nothing => break,
                Heard::Noise => {}
                Heard::Answer(owner, answer) => self.hear_files(owner, Ok(answer), now),
                Heard::Failed(owner, failure) => self.hear_files(owner, Err(failure), now),
            }
        }
        if let Some(files) = &mut self.files
            && let Some((owner, failure)) = files.get_mut().link.look(now)
        {
            self.hear_files(owner, Err(failure), now);
        }
    }

    /// A question of this owner was answered, or will not be.
    fn hear_files(&mut self, owner: Owner, answer: Result<Answer<'_>, Failure>, _now: u64) {
        match owner {
            Owner::List => self.hear_list(answer),
            // Nobody asks for these yet.
            Owner::Log | Owner::Load | Owner::Write => {}
        }
    }

    fn hear_list(&mut self, answer: Result<Answer<'_>, Failure>) {
        let Some(files) = &mut self.files else {
            return;
        };
        let files = files.get_mut();
        if files.mount == Mount::Asked {
            files.mount = match answer {
                Ok(_) => Mount::Mounted,
                Err(failure) => Mount::Failed(failure),
            };
        }
    }

    /// Asks files the next question, if none is under way: the owners in their order.
    pub(super) fn ask_files(&mut self, now: u64) {
        let Some(files) = &mut self.files else {
            return;
        };
        let files = files.get_mut();
        if files.mount == Mount::Wanted {
            files.mount = match files.link.ask(Owner::List, &Ask::Mount, now) {
                Ok(true) => Mount::Asked,
                Ok(false) => Mount::Wanted,
                Err(failure) => Mount::Failed(failure),
            };
        }
    }
}

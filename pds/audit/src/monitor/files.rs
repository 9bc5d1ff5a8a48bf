//! What is asked of files, and what comes of it. Nothing of this is part of a system without a disk.

use super::{Monitor, Port};
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
    pub(super) fn read_files(&mut self, frame: &mut Frame, now: u64, port: &mut impl Port) {
        for _ in 0..SLOTS {
            let Some(files) = &mut self.files else {
                return;
            };
            match files.get_mut().link.receive(frame, now) {
                Heard::Nothing => break,
                Heard::Noise => {}
                Heard::Answer(owner, answer) => self.hear_files(owner, Ok(answer), now, port),
                Heard::Failed(owner, failure) => self.hear_files(owner, Err(failure), now, port),
            }
        }
        if let Some(files) = &mut self.files
            && let Some((owner, failure)) = files.get_mut().link.look(now)
        {
            self.hear_files(owner, Err(failure), now, port);
        }
    }

    /// A question of this owner was answered, or will not be.
    fn hear_files(
        &mut self,
        owner: Owner,
        answer: Result<Answer<'_>, Failure>,
        now: u64,
        port: &mut impl Port,
    ) {
        match owner {
            Owner::Log => self.hear_log(answer, now, port),
            Owner::List => self.hear_list(answer, now, port),
            // Nobody asks for these yet.
            Owner::Load | Owner::Write => {}
        }
    }

    fn hear_list(&mut self, answer: Result<Answer<'_>, Failure>, now: u64, port: &mut impl Port) {
        let Some(files) = &mut self.files else {
            return;
        };
        let files = files.get_mut();
        if files.mount == Mount::Asked {
            let mounted = answer.map(drop);
            files.mount = match mounted {
                Ok(()) => Mount::Mounted,
                Err(failure) => Mount::Failed(failure),
            };
            self.log_is_mounted(mounted, now, port);
        }
    }

    /// Asks files the next question, if none is under way: the owners in their order.
    pub(super) fn ask_files(&mut self, now: u64, port: &mut impl Port) {
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
        self.ask_log(now, port);
    }
}

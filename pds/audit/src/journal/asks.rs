//! Questions that audit may ask `files` about the log, and how it handles each answer.

use super::{Journal, News, State};
use crate::log::Log;
use crate::work::Budget;
use disk_log::SECTOR;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_TRANSFER_SECTORS;
use protocol::policy::LogWrite;
use protocol::wire::files::{Answer, Ask};

/// The question under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Nothing,
    OpenLog,
    /// Read sectors for the opening.
    Opening {
        slot: u32,
        sectors: u32,
    },
    Write {
        sectors: u32,
    },
    Flush,
    /// Read sectors for a reader.
    Back {
        slot: u32,
    },
}

/// The kind of a question, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskKind {
    /// Find the file.
    Open,
    /// Read sectors.
    Read {
        /// The first sector.
        slot: u32,
        /// The number of sectors.
        sectors: u32,
    },
    /// Write sectors.
    Write {
        /// The number of sectors.
        sectors: u32,
    },
    /// Make durable what was written.
    Flush,
}

impl AskKind {
    /// The kind of this question.
    pub(crate) fn of(ask: &Ask<'_>) -> Self {
        match *ask {
            Ask::ReadLog { slot, sectors } => Self::Read { slot, sectors },
            Ask::WriteLog { data, .. } => {
                let sectors = data.len().checked_div(SECTOR).unwrap_or(0);
                Self::Write {
                    sectors: u32::try_from(sectors).unwrap_or(0),
                }
            }
            Ask::FlushLog => Self::Flush,
            _ => Self::Open,
        }
    }
}

impl Journal {
    /// What to ask next, if anything. It does not change until [`Self::was_asked`].
    pub(crate) fn ask(
        &mut self,
        log: &Log<'_>,
        work: &mut Budget,
    ) -> Result<Option<Ask<'_>>, News> {
        if self.asked != Asked::Nothing {
            return Ok(None);
        }
        match &mut self.state {
            State::Waits | State::Lost(_) => Ok(None),
            State::Finds => Ok(Some(Ask::OpenLog)),
            State::Opens { opening, step, .. } => {
                let Some(slot) = opening.wants() else {
                    return Ok(None);
                };
                let sectors = (*step).min(opening.slots().saturating_sub(slot)).max(1);
                Ok(Some(Ask::ReadLog { slot, sectors }))
            }
            State::Open(writer) => {
                let flush = self.write == LogWrite::Ahead || self.is_due;
                if let Err(failure) = writer.prepare(log, self.out, flush, work) {
                    return Err(self.lose(failure));
                }
                if let Some(ask) = writer.ask(self.out) {
                    return Ok(Some(ask));
                }
                Ok(self.back.ask(writer.log()))
            }
        }
    }

    /// Notes that what [`Self::ask`] returned was sent.
    pub(crate) fn was_asked(&mut self, ask: AskKind) {
        self.asked = match (ask, &mut self.state) {
            (AskKind::Open, _) => Asked::OpenLog,
            (AskKind::Read { slot, sectors }, State::Opens { .. }) => {
                Asked::Opening { slot, sectors }
            }
            (AskKind::Read { slot, .. }, _) => Asked::Back { slot },
            (AskKind::Write { sectors }, _) => Asked::Write { sectors },
            (AskKind::Flush, State::Open(writer)) => {
                writer.flushes();
                self.is_due = false;
                Asked::Flush
            }
            (AskKind::Flush, _) => Asked::Flush,
        };
    }

    /// Nothing can be asked any more.
    pub(crate) fn cannot_ask(&mut self, failure: Failure) -> News {
        self.lose(failure)
    }

    /// Takes the answer to the question, or its failure.
    pub(crate) fn hear(&mut self, answer: Result<Answer<'_>, Failure>) -> News {
        let asked = core::mem::replace(&mut self.asked, Asked::Nothing);
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => return self.failed(asked, failure),
        };
        match (&mut self.state, asked, answer) {
            (State::Finds, Asked::OpenLog, Answer::LogOpened { sectors }) => self.begin(sectors),
            (State::Opens { .. }, Asked::Opening { slot, .. }, Answer::LogSectors { data, .. }) => {
                self.read(slot, data)
            }
            (State::Open(writer), Asked::Write { sectors }, Answer::Done) => {
                writer.written(sectors);
                News::None
            }
            (State::Open(writer), Asked::Flush, Answer::Done) => {
                writer.flushed();
                self.waiting.forget(writer.durable().0);
                News::None
            }
            (State::Open(_), Asked::Back { slot }, Answer::LogSectors { data, .. }) => {
                self.back.take(slot, data);
                News::None
            }
            // The link has already matched the answer to the question.
            _ => News::None,
        }
    }

    fn failed(&mut self, asked: Asked, failure: Failure) -> News {
        let is_of_disk = failure.code == ErrorCode::DiskFailed;
        match (&mut self.state, asked) {
            // One sector is unreadable: the others are read, and it counts as changed.
            (State::Opens { step, .. }, Asked::Opening { sectors, .. })
                if is_of_disk && sectors > 1 =>
            {
                *step = 1;
                News::None
            }
            (
                State::Opens {
                    opening,
                    step,
                    unreadable,
                },
                Asked::Opening { .. },
            ) if is_of_disk => {
                opening.give(None);
                *step = MAX_TRANSFER_SECTORS as u32;
                unreadable.get_or_insert(failure);
                self.opened()
            }
            (State::Open(_), Asked::Back { .. }) if is_of_disk => {
                self.back.skip();
                News::None
            }
            _ => self.lose(failure),
        }
    }
}

//! Lines about jobs.

use super::{Closing, CodeName, Count, FailureText, LOST, Untrusted};
use crate::jobs::{Job, JobState};
use core::fmt::{self, Display, Formatter};
use protocol::wire::FinishReason;

/// A line of `llmctl jobs`.
pub(crate) struct JobLine<'a>(pub(crate) &'a Job);

impl Display for JobLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let job = self.0;
        let (prompt, whole) = job.prompt();
        let dots = if whole { "" } else { "..." };
        write!(f, "{:>4}  ", job.id)?;
        match &job.state {
            JobState::Running => write!(f, "running, {}", Count(u64::from(job.tokens), "token"))?,
            JobState::Finished(finished) => {
                let word = match finished.reason {
                    FinishReason::Cancelled => "cancelled",
                    _ => "finished",
                };
                let tokens = Count(u64::from(finished.generated_tokens), "token");
                write!(f, "{word}, {tokens}")?;
            }
            JobState::Failed { failure, .. } => write!(f, "failed, {}", CodeName(failure.code))?,
            JobState::Lost => f.write_str("lost")?,
        }
        write!(f, "  \"{}{dots}\"", Untrusted(prompt))
    }
}

impl Display for JobState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => write!(f, "running"),
            Self::Finished(finished) => Closing(*finished).fmt(f),
            Self::Failed { failure, detail } => {
                let failure = *failure;
                write!(f, "error: {}", FailureText { failure, detail })
            }
            Self::Lost => write!(f, "error: {LOST}"),
        }
    }
}

/// A line saying that a job has ended.
pub(crate) struct JobNotice<'a>(pub(crate) &'a Job);

impl Display for JobNotice<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let id = self.0.id;
        match &self.0.state {
            JobState::Running => write!(f, "job {id}: running"),
            JobState::Finished(finished) => {
                let word = match finished.reason {
                    FinishReason::Cancelled => "cancelled after",
                    _ => "finished,",
                };
                let tokens = Count(u64::from(finished.generated_tokens), "token");
                write!(
                    f,
                    "job {id}: {word} {tokens}; 'llmctl wait {id}' shows its text"
                )
            }
            JobState::Failed { failure, detail } => {
                let failure = *failure;
                write!(f, "job {id}: error: {}", FailureText { failure, detail })
            }
            JobState::Lost => write!(f, "job {id}: error: {LOST}"),
        }
    }
}

//! Progress of loads and trainings.

use crate::text::Count;
use core::fmt::{self, Display, Formatter};
use protocol::wire::client::{Progress, Stage};

pub(super) const fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Verifying => "verifying",
        Stage::Loading => "loading",
        Stage::Saving => "writing",
    }
}

/// The first line of a stage of loading.
pub(crate) struct StageLine {
    pub(crate) progress: Progress,
    /// The model or data.
    pub(crate) what: &'static str,
}

impl Display for StageLine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Progress { stage, total, .. } = self.progress;
        let total = Count(total, "byte");
        write!(f, "{} the {}, {total}", stage_word(stage), self.what)
    }
}

/// A progress bar's subject and percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    /// A load, or the reading of data.
    Stage(Stage, u64),
    /// A fine-tuning.
    Training(u64),
}

/// The bar of a stage, to be redrawn.
pub(crate) struct ProgressBar {
    pub(crate) stage: Stage,
    pub(crate) percent: u64,
    /// Number of marks.
    pub(crate) steps: u64,
}

/// Columns of a bar besides its marks, including the last one of the row.
pub(crate) const BAR_WORDS: usize = "verifying [] 100 %".len() + 1;

impl Display for ProgressBar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { percent, steps, .. } = *self;
        write!(
            f,
            "{:<9} {}",
            stage_word(self.stage),
            Marks { percent, steps }
        )
    }
}

/// The marks of a bar.
pub(crate) struct Marks {
    pub(crate) percent: u64,
    pub(crate) steps: u64,
}

impl Display for Marks {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for step in 1..=self.steps {
            let done = step.saturating_mul(100) <= self.percent.saturating_mul(self.steps);
            f.write_str(if done { "#" } else { "-" })?;
        }
        write!(f, "] {:>3} %", self.percent)
    }
}

//! Lines about adapters and fine-tuning.

use super::{Count, CountOf, FailureText, Marks, Seconds, SignatureWord, Time};
use core::fmt::{self, Display, Formatter};
use protocol::decimal::Millionths;
use protocol::error::Failure;
use protocol::hash::Hex;
use protocol::name::ModelName;
use protocol::wire::client::{AdapterEntry, AdapterOrigin, Training, Tuned};
use protocol::wire::{AdapterInfo, TrainProgress};

/// Digits of a hash that suffice to tell two files apart.
const SHORT_HASH: usize = 8;

/// A loss, with three digits.
pub(crate) struct Loss(pub(crate) u32);

impl Display for Loss {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let thousandths = self.0 / 1000;
        write!(f, "{}.{:03}", thousandths / 1000, thousandths % 1000)
    }
}

/// `, loss L`, or nothing for an epoch that has just begun and has no loss.
struct AndLoss(u32);

impl Display for AndLoss {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            loss => write!(f, ", loss {}", Loss(loss)),
        }
    }
}

/// A line about an adapter that was loaded.
pub(crate) struct AdapterLine {
    pub(crate) name: ModelName,
    pub(crate) info: AdapterInfo,
}

impl Display for AdapterLine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { name, info } = self;
        write!(
            f,
            "{name}: rank {}, alpha {}, {}, {}, {}",
            info.rank,
            Millionths(u64::from(info.alpha)),
            CountOf(info.matrices.into(), "matrix", "matrices"),
            Count(info.parameters, "parameter"),
            Count(info.bytes, "byte")
        )
    }
}

/// A line of the list of adapters.
pub(crate) struct AdapterEntryLine<'a>(pub(crate) &'a AdapterEntry);

impl Display for AdapterEntryLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let entry = self.0;
        let mark = if entry.loaded { '*' } else { ' ' };
        write!(
            f,
            "{mark} {} ({}, ",
            entry.name,
            Count(entry.file_bytes, "byte")
        )?;
        match entry.origin {
            AdapterOrigin::Store | AdapterOrigin::Disk => {
                write!(f, "{}", SignatureWord(entry.signature))?;
            }
            AdapterOrigin::Device => write!(f, "made here")?,
        }
        if entry.info.rank > 0 {
            write!(f, ", rank {}", entry.info.rank)?;
        }
        if entry.base_sha256 != [0; 32] {
            let base = entry.base_sha256.get(..SHORT_HASH).unwrap_or(&[]);
            write!(f, ", for the model {}", Hex(base))?;
        }
        write!(f, ")")
    }
}

/// The examples so far.
pub(crate) struct ExamplesText {
    pub(crate) count: u32,
    pub(crate) bytes: u32,
    pub(crate) limit: u32,
}

impl Display for ExamplesText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            count,
            bytes,
            limit,
        } = self;
        match count {
            0 => write!(f, "no examples; there is room for {limit} bytes"),
            1 => write!(
                f,
                "1 example, {bytes} of {limit} bytes; 'llmfinetune examples' learns it"
            ),
            _ => write!(
                f,
                "{count} examples, {bytes} of {limit} bytes; 'llmfinetune examples' learns them"
            ),
        }
    }
}

/// The plan of a fine-tuning.
pub(crate) struct TrainingPlan<'a>(pub(crate) &'a TrainProgress);

impl Display for TrainingPlan<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let TrainProgress {
            steps,
            longest,
            alone,
            ..
        } = self.0;
        write!(
            f,
            "fine-tuning: {}, the longest example has {}",
            Count(u64::from(*steps), "step"),
            Count(u64::from(*longest), "token")
        )?;
        if *alone {
            write!(
                f,
                "; requests for text are refused until it is over: memory does not allow both"
            )?;
        }
        Ok(())
    }
}

/// The time left for a training, if it can be estimated.
fn left_us(training: &Training) -> Option<u64> {
    let TrainProgress { step, steps, .. } = training.progress;
    let left = u64::from(steps.saturating_sub(step));
    training
        .elapsed_us
        .saturating_mul(left)
        .checked_div(step.into())
}

/// The bar of a fine-tuning, to be redrawn. It never gets shorter.
pub(crate) struct TrainingBar<'a> {
    pub(crate) training: &'a Training,
    pub(crate) percent: u64,
    /// Number of marks.
    pub(crate) steps: u64,
}

/// The bar of a fine-tuning, without figures.
pub(crate) struct TrainedBar {
    pub(crate) percent: u64,
    pub(crate) steps: u64,
}

impl Display for TrainedBar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { percent, steps } = *self;
        write!(f, "training  {}", Marks { percent, steps })
    }
}

impl Display for TrainingBar<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let TrainProgress {
            step, steps, loss, ..
        } = self.training.progress;
        let bar = TrainedBar {
            percent: self.percent,
            steps: self.steps,
        };
        write!(f, "{bar}  step {step} of {steps}{}", AndLoss(loss))?;
        match left_us(self.training) {
            Some(us) => write!(f, ", {} left", Time(us)),
            None => Ok(()),
        }
    }
}

/// The training in `llmctl status`.
pub(crate) struct TrainingState<'a>(pub(crate) &'a Training);

impl Display for TrainingState<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let TrainProgress {
            step,
            steps,
            loss,
            alone,
            ..
        } = self.0.progress;
        write!(f, "step {step} of {steps}{}", AndLoss(loss))?;
        if let Some(us) = left_us(self.0) {
            write!(f, ", {} left", Time(us))?;
        }
        f.write_str(match alone {
            true => "; requests for text are refused meanwhile",
            false => "; requests for text go on meanwhile",
        })
    }
}

/// The result of a fine-tuning that succeeded.
pub(crate) struct TunedText<'a>(pub(crate) &'a Tuned);

impl Display for TunedText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let tuned = self.0;
        let name = tuned.name;
        writeln!(
            f,
            "made the adapter {name}: {}, {}, loss {}, {} s; {}, sha256 {}",
            Count(tuned.steps.into(), "step"),
            Count(tuned.tokens, "token"),
            Loss(tuned.loss),
            Seconds(tuned.total_us),
            Count(tuned.file_bytes, "byte"),
            Hex(tuned.sha256.get(..SHORT_HASH).unwrap_or(&[]))
        )?;
        match tuned.not_loaded {
            None => writeln!(f, "it is loaded: llminfer \"...\" --adapter {name}")?,
            Some(code) => {
                let failure = Failure::of(code);
                let detail = name.as_str().as_bytes();
                writeln!(f, "it is not loaded: {}", FailureText { failure, detail })?;
            }
        }
        if let Some(code) = tuned.not_on_disk {
            let failure = Failure::over(code, tuned.disk_value, tuned.disk_limit);
            let detail = name.as_str().as_bytes();
            writeln!(
                f,
                "it was not written to the disk: {}",
                FailureText { failure, detail }
            )?;
        }
        match tuned.on_disk.is_empty() {
            true => write!(
                f,
                "the next boot forgets it; 'llmctl adapter export {name}' prints it for 'llmtool adapter import'"
            ),
            false => write!(
                f,
                "it is on the disk, signed by this device: the next boot has it as {}",
                tuned.on_disk
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString as _;

    #[test]
    fn losses_have_three_digits_behind_the_point() {
        assert_eq!(Loss(1_234_567).to_string(), "1.234");
        assert_eq!(Loss(u32::MAX).to_string(), "4294.967");
    }

    #[test]
    fn what_is_left_follows_from_what_was_done() {
        let mut training = Training {
            elapsed_us: 30_000_000,
            ..Training::default()
        };
        training.progress.steps = 100;
        assert_eq!(left_us(&training), None);
        training.progress.step = 25;
        assert_eq!(left_us(&training), Some(90_000_000));
        training.progress.step = 200;
        assert_eq!(left_us(&training), Some(0));
    }
}

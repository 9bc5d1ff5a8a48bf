//! Fine-tuning at the console: the request, its progress and its result.

use crate::console::{Mode, Port};
use crate::state::{Activity, ShellState};
use crate::text::{Bar, TrainingBar, TrainingPlan, TunedText};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_EXAMPLE_BYTES;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{Event, Request, Training};
use sel4_llm_client::Example;

/// A console without a cursor gets another line after this many percent.
const STRIDE: u64 = 10;

impl<R: ReadWords, W: WriteWords> ShellState<'_, R, W> {
    pub(crate) fn fine_tune(&mut self, request: &Request<'_>, port: &mut impl Port) {
        if let Some(request) = self.submit(request, port) {
            self.activity = Activity::Tuning {
                request,
                interrupted: false,
            };
        }
    }

    /// Adds an example, as the line of JSON that audit stores.
    pub(crate) fn add_example(&mut self, text: &[u8], answer: Option<&[u8]>, port: &mut impl Port) {
        let texts = (
            core::str::from_utf8(text),
            answer.map(core::str::from_utf8).transpose(),
        );
        let (text, answer) = match texts {
            (Ok(text), Ok(answer)) => (text, answer),
            (Err(error), _) | (_, Err(error)) => {
                let at = error.valid_up_to() as u64;
                return self.complain_of(Failure::over(ErrorCode::BadExample, at, 0), &[], port);
            }
        };
        let example = match answer {
            Some(answer) => Example::Answer {
                prompt: text,
                answer,
            },
            None => Example::Text(text),
        };
        let mut buffer = [0; MAX_EXAMPLE_BYTES];
        match example.line(&mut buffer) {
            Ok(line) => {
                let text = line.as_bytes();
                self.ask(
                    &Request::Example { text },
                    crate::state::Purpose::Show,
                    port,
                );
            }
            Err(failure) => self.complain_of(failure, &[], port),
        }
    }

    /// Shows the progress: on a terminal in one redrawn line, elsewhere in occasional lines.
    pub(crate) fn show_training(&mut self, training: &Training, port: &mut impl Port) {
        let progress = &training.progress;
        let percent = u64::from(progress.step).saturating_mul(100);
        let percent = percent.checked_div(u64::from(progress.steps));
        let percent = percent.unwrap_or(100).min(100);
        let before = match self.bar {
            Some(Bar::Training(percent)) => Some(percent),
            // The bar of the data that was read.
            _ => {
                self.end_bar(true, port);
                self.print_line(TrainingPlan(progress), port);
                None
            }
        };
        let steps = self.training_steps();
        let bar = TrainingBar {
            training,
            percent,
            steps,
        };
        if self.mode != Mode::Plain {
            self.bar = Some(Bar::Training(percent));
            self.draw_over(bar, port);
        } else if before.is_none_or(|before| percent >= before.saturating_add(STRIDE)) {
            self.bar = Some(Bar::Training(percent));
            if before.is_some() {
                self.print_line(bar, port);
            }
        }
    }

    pub(crate) fn handle_tuning(
        &mut self,
        interrupted: bool,
        event: &Event<'_>,
        port: &mut impl Port,
    ) {
        match *event {
            Event::Tuned(ref tuned) => {
                self.buffers.names.forget_adapters();
                self.answer(TunedText(tuned), port);
            }
            Event::Failed { failure, .. }
                if interrupted && failure.code == ErrorCode::Cancelled =>
            {
                self.answer(
                    "^C: the fine-tuning has ended, and nothing of it is kept",
                    port,
                );
            }
            Event::Failed { failure, detail } => {
                let subject = core::mem::take(&mut self.subject);
                let names_subject = detail.is_empty() && failure.code != ErrorCode::NotPermitted;
                self.complain_of(failure, if names_subject { &subject } else { detail }, port);
            }
            _ => {}
        }
    }
}

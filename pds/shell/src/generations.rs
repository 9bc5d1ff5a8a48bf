//! Generated text of foreground and background requests.

use crate::command::Ask;
use crate::console::{Console, Pieces, Port, Style};
use crate::infer::Said;
use crate::jobs::{Job, JobState};
use crate::printing::about;
use crate::state::{Activity, Purpose, ShellState};
use crate::text::{Closing, FailureText, LOST, SafeText, names_format};
use core::fmt::{Display, Write as _};
use protocol::error::ErrorCode;
use protocol::name::UserName;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{BudgetChange, Event, Request};
use sel4_llm_client::RequestId;

/// Request slots that are left to the user.
const SPARE_PLACES: usize = 4;

/// Whether a failure is about the adapter in the request.
const fn names_adapter(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NoSuchAdapter | ErrorCode::AdapterNotLoaded)
}

impl<R: ReadWords, W: WriteWords> ShellState<'_, R, W> {
    /// Asks once for the loaded model, if the terminal can show a prompt differently from its completion.
    pub(crate) fn ask_for_model(&mut self) {
        // The user's requests take precedence.
        let has_room = self.client.room() > SPARE_PLACES;
        let is_known = self.talks.is_some() || self.asks_for_model.is_some();
        if self.is_ready && self.screen.has_colour() && has_room && !is_known {
            self.asks_for_model = self.client.submit(&Request::Status).ok();
        }
    }

    /// Notes what an event says about the loaded model. Returns whether it answers the shell's own request.
    pub(crate) fn note_model(&mut self, request: RequestId, event: &Event<'_>) -> bool {
        match event {
            Event::Loaded { info, .. } => self.talks = Some(!info.template.is_empty()),
            Event::Status(status) if !status.name.is_empty() => {
                self.talks = Some(!status.model.template.is_empty());
            }
            _ => {}
        }
        self.asks_for_model == Some(request)
    }

    /// Keeps the prompt of a completion, to show it before the first text.
    pub(crate) fn keep_for_echo(&mut self, said: Said, ask: &Ask<'_>, prompt: &[u8]) {
        let completes = match said {
            Said::Raw => true,
            Said::AsTheModelHasIt => ask.system.is_none() && self.talks == Some(false),
            Said::ByUser => false,
        };
        // An answer with a format or choices does not continue the prompt.
        let is_bound = !ask.format.is_empty() || ask.choices.is_some();
        if completes && !is_bound && self.screen.has_colour() {
            // A longer prompt is refused anyway.
            self.buffers.echo = heapless::Vec::from_slice(prompt).unwrap_or_default();
        }
    }

    /// Shows the prompt, now that text follows it.
    fn echo_prompt(&mut self, port: &mut impl Port) {
        let Some(last) = self.buffers.echo.last().copied() else {
            return;
        };
        if let Activity::Generating { at_line_start, .. } = &mut self.activity {
            *at_line_start = last == b'\n';
        }
        let prompt = SafeText(&self.buffers.echo);
        self.print(self.styled(Style::Aside, prompt), port);
        self.buffers.echo.clear();
    }

    pub(crate) fn handle_generation(&mut self, event: &Event<'_>, port: &mut impl Port) {
        match *event {
            Event::Text { text, .. } => {
                self.echo_prompt(port);
                self.print_model_text(text, port);
            }
            Event::Finished(finished) => {
                self.close_generation(Style::Aside, &Closing(finished), port);
                self.become_idle(port);
            }
            Event::Failed { failure, detail } => {
                let (user, subject) = (self.user.name, core::mem::take(&mut self.subject));
                let format = self.asked_format;
                let detail = match detail {
                    [] if names_adapter(failure.code) => &subject,
                    [] if names_format(failure.code) => format.as_str().as_bytes(),
                    _ => about(failure, detail, &user),
                };
                let text = FailureText { failure, detail };
                self.close_generation(Style::Error, &format_args!("error: {text}"), port);
                if failure.code == ErrorCode::QuotaExceeded {
                    self.show_own_budget(port);
                } else {
                    self.go_on_after(failure.code, port);
                }
            }
            _ => {}
        }
    }

    /// Reports how much of the budget is left, and when it is renewed.
    fn show_own_budget(&mut self, port: &mut impl Port) {
        let (user, change) = (UserName::EMPTY, BudgetChange::NONE);
        self.ask(&Request::Budget { user, change }, Purpose::Show, port);
    }

    fn print_model_text(&mut self, text: &[u8], port: &mut impl Port) {
        let mode = self.mode;
        let mut pieces = Pieces::new(Console { port, mode });
        self.sanitiser
            .push(text, &mut |character| pieces.push(character));
        let last = pieces.finish();
        if let (Some(last), Activity::Generating { at_line_start, .. }) = (last, &mut self.activity)
        {
            *at_line_start = last == '\n';
        }
    }

    /// Ends the text of a generation, then writes its closing line.
    fn close_generation(&mut self, style: Style, closing: &impl Display, port: &mut impl Port) {
        let mode = self.mode;
        let mut console = Console { port, mode };
        let mut written = false;
        self.sanitiser.finish(&mut |character| {
            written = true;
            let _ = console.write_char(character);
        });
        let at_start = matches!(
            self.activity,
            Activity::Generating {
                at_line_start: true,
                ..
            }
        );
        if written || !at_start {
            self.print("\n", port);
        }
        self.print_styled(style, closing, port);
    }

    /// Audit will send nothing more for the foreground request.
    pub(crate) fn lose_generation(&mut self, port: &mut impl Port) {
        self.close_generation(Style::Error, &format_args!("error: {LOST}"), port);
        self.become_idle(port);
    }

    // ---- In the background ------------------------------------------------------------------------

    /// Handles an event of a background request. Returns false if it is not one.
    pub(crate) fn handle_job(
        &mut self,
        request: RequestId,
        event: &Event<'_>,
        port: &mut impl Port,
    ) {
        match *event {
            Event::Text { tokens, text } => {
                self.change_job(request, port, |job, mut show| {
                    job.push(tokens, text, &mut show)
                });
            }
            Event::Finished(finished) => {
                self.end_job(request, port, |_| JobState::Finished(finished));
            }
            Event::Failed { failure, detail } => self.end_job(request, port, |job| {
                JobState::failed(
                    failure,
                    match detail {
                        [] if names_format(failure.code) => job.format.as_str().as_bytes(),
                        _ => about(failure, detail, &job.owner),
                    },
                )
            }),
            _ => {}
        }
    }

    /// Audit will send nothing more for this background request, if it is one.
    pub(crate) fn lose_job(&mut self, request: RequestId, port: &mut impl Port) {
        self.end_job(request, port, |_| JobState::Lost);
    }

    /// Changes the job of a request, and shows its new text at once if somebody waits for it. Returns false if there is
    /// no such job.
    fn change_job(
        &mut self,
        request: RequestId,
        port: &mut impl Port,
        change: impl FnOnce(&mut Job, &mut dyn FnMut(char)),
    ) -> bool {
        let Some(job) = self.buffers.jobs.of_request(request) else {
            return false;
        };
        let mut waiting = match &mut self.activity {
            Activity::Waiting {
                request: waited_for,
                at_line_start,
                ..
            } if *waited_for == request => Some(at_line_start),
            _ => None,
        };
        let (mode, shows) = (self.mode, waiting.is_some());
        let mut pieces = Pieces::new(Console { port, mode });
        change(job, &mut |character| {
            if shows {
                pieces.push(character);
            }
        });
        if let (Some(last), Some(at_line_start)) = (pieces.finish(), &mut waiting) {
            **at_line_start = last == '\n';
        }
        true
    }

    fn end_job(
        &mut self,
        request: RequestId,
        port: &mut impl Port,
        state: impl FnOnce(&Job) -> JobState,
    ) {
        let is_job = self.change_job(request, port, |job, mut show| {
            let state = state(job);
            job.end(state, &mut show);
        });
        match self.activity {
            _ if !is_job => {}
            Activity::Waiting {
                request: waited_for,
                job,
                at_line_start,
            } if waited_for == request => self.close_job(job, at_line_start, port),
            _ => self.job_has_ended(port),
        }
    }
}

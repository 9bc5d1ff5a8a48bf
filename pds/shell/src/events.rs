//! Handles audit's events, and finds what each belongs to.

use crate::READY_LINE;
use crate::console::{Mode, Port, Style};
use crate::state::{Activity, Purpose, ShellState};
use crate::text::{
    BAR_WORDS, Bar, FailureText, FaultsText, LOST, ProgressBar, RecoveredText, StageLine,
    TrainedBar, UserText,
};
use core::fmt::{Display, Write as _};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{Event, Progress, Stage};
use sel4_llm_client::{Inbox, Incoming, Link, MAX_WAITING, Notice, RequestId, SubmitError};

/// Most marks of a bar: one for every four percent.
const MAX_BAR_STEPS: usize = 25;

/// Longest redrawn row in bytes. No bar is longer.
const ROW_BYTES: usize = 160;

impl<R: ReadWords, W: WriteWords> ShellState<'_, R, W> {
    pub(crate) fn on_signal(&mut self, inbox: &mut Inbox, port: &mut impl Port) {
        // Bounded, so that lines can run in between. Anything that audit writes later comes with its own signal.
        for _ in 0..MAX_WAITING {
            // The rest is read when there is room for the output.
            if !port.has_room() {
                break;
            }
            let Some(incoming) = self.client.poll(inbox) else {
                break;
            };
            self.handle(&incoming, port);
            self.look_for_interrupt(port);
        }
        self.complain_of_version(port);
    }

    fn handle(&mut self, incoming: &Incoming<'_>, port: &mut impl Port) {
        match incoming {
            Incoming::Notice(Notice::Progress(progress)) => {
                if self.activity == Activity::Booting {
                    self.show_progress(*progress, port);
                }
            }
            Incoming::Part {
                request,
                event: Event::Progress(progress),
            } => {
                if self.current() == Some(*request) {
                    self.show_progress(*progress, port);
                }
            }
            Incoming::Part {
                request,
                event: Event::Training(training),
            } => {
                if self.current() == Some(*request) {
                    self.show_training(training, port);
                }
            }
            Incoming::Notice(notice) => {
                let is_ready = matches!(notice, Notice::Ready(_));
                self.end_bar(is_ready && self.activity == Activity::Booting, port);
                self.handle_notice(notice, port);
            }
            Incoming::Part { request, event } | Incoming::Last { request, event } => {
                let is_its_end = self.current() == Some(*request);
                self.end_bar(is_its_end && !matches!(event, Event::Failed { .. }), port);
                self.handle_event(*request, event, port);
            }
            Incoming::Lost { request } => {
                self.end_bar(false, port);
                self.handle_lost(*request, port);
            }
        }
    }

    /// The request that the current command waits for.
    const fn current(&self) -> Option<RequestId> {
        match self.activity {
            Activity::Asking { request, .. }
            | Activity::Generating { request, .. }
            | Activity::Reading { request, .. }
            | Activity::Watching { request, .. }
            | Activity::Tuning { request, .. }
            | Activity::Exporting { request, .. } => Some(request),
            _ => None,
        }
    }

    fn handle_notice(&mut self, notice: &Notice<'_>, port: &mut impl Port) {
        match *notice {
            Notice::Ready(user) => {
                let is_first = !core::mem::replace(&mut self.is_ready, true);
                if self.activity == Activity::Booting {
                    (self.user, self.default_user) = (user, user.name);
                    self.print_line(READY_LINE, port);
                    self.become_idle(port);
                } else if is_first {
                    self.user = user;
                    self.notice(READY_LINE, port);
                }
            }
            Notice::Fault { fault, count } => self.notice(FaultsText { fault, count }, port),
            Notice::Recovered { after_us, restarts } => {
                self.notice(RecoveredText { after_us, restarts }, port);
            }
            Notice::Failed { failure, detail } => {
                self.notice(FailureText { failure, detail }, port);
            }
            Notice::Restarted => {
                self.is_ready = false;
                (self.talks, self.asks_for_model) = (None, None);
                self.forget_session();
                self.notice("it was restarted: sessions and logins are gone", port);
            }
            // It shows as a bar.
            Notice::Progress(_) => {}
        }
    }

    fn handle_event(&mut self, request: RequestId, event: &Event<'_>, port: &mut impl Port) {
        self.note_turn(request, event);
        if self.note_model(request, event) {
            return;
        }
        if self.activity == Activity::Booting {
            self.begin_before_ready(event, port);
        } else if self.given_up.iter().any(|given_up| *given_up == request) {
            self.end_given_up(request, event, port);
        } else if self.current() != Some(request) {
            self.handle_job(request, event, port);
        } else {
            match self.activity {
                Activity::Generating { .. } => self.handle_generation(event, port),
                Activity::Reading { .. } => self.handle_log(event, port),
                Activity::Watching { .. } => self.handle_watch(event, port),
                Activity::Tuning { interrupted, .. } => {
                    self.handle_tuning(interrupted, event, port)
                }
                Activity::Exporting { .. } => self.handle_export(event, port),
                Activity::Asking { purpose, .. } => self.handle_answer(purpose, event, port),
                _ => {}
            }
        }
    }

    /// Audit will not answer: ends whatever waits for it.
    fn handle_lost(&mut self, request: RequestId, port: &mut impl Port) {
        self.given_up.retain(|given_up| *given_up != request);
        if self.current() != Some(request) {
            return self.lose_job(request, port);
        }
        match self.activity {
            Activity::Generating { .. } => self.lose_generation(port),
            // The user asked no question, so an error would answer none.
            Activity::Asking {
                purpose: Purpose::Complete(_),
                ..
            } => self.activity = Activity::Idle,
            // Its session was to be closed, and is gone.
            Activity::Asking {
                purpose: Purpose::LeaveChat(session),
                ..
            } => self.end_chat(session, None, port),
            _ => self.complain(LOST, port),
        }
    }

    /// Audit has answered the request that Ctrl-C sent before the system was ready.
    fn begin_before_ready(&mut self, event: &Event<'_>, port: &mut impl Port) {
        match *event {
            Event::User(user) => {
                (self.user, self.default_user) = (user, user.name);
                self.answer(
                    "audit takes commands; what needs the model is refused until it is loaded",
                    port,
                );
            }
            Event::Failed { failure, detail } => self.complain_of(failure, detail, port),
            _ => {}
        }
    }

    /// The answer to a login or logout that nobody waits for.
    fn end_given_up(&mut self, request: RequestId, event: &Event<'_>, port: &mut impl Port) {
        self.given_up.retain(|given_up| *given_up != request);
        if let Event::User(user) = *event {
            self.user = user;
            self.notice(format_args!("now {}", UserText(&user)), port);
        }
    }

    /// Reports once that audit speaks another version of the protocol.
    fn complain_of_version(&mut self, port: &mut impl Port) {
        if let Link::OtherVersion { theirs, ours } = self.client.link()
            && !core::mem::replace(&mut self.version_told, true)
        {
            let error = SubmitError::OtherVersion { theirs, ours };
            self.print_styled(Style::Error, format_args!("error: {error}"), port);
        }
    }

    // ---- Progress ---------------------------------------------------------------------------------

    fn show_progress(&mut self, progress: Progress, port: &mut impl Port) {
        let Progress { stage, done, total } = progress;
        let percent = done.saturating_mul(100).checked_div(total);
        let percent = percent.unwrap_or(100).min(100);
        let before = self.bar.replace(Bar::Stage(stage, percent));
        let is_new = !matches!(before, Some(Bar::Stage(before, _)) if before == stage);
        if self.mode == Mode::Plain {
            if is_new {
                let what = match self.activity {
                    _ if stage == Stage::Saving => "adapter",
                    Activity::Tuning { .. } => "data",
                    Activity::Asking {
                        purpose: Purpose::LoadAdapter | Purpose::LoadBeside(_),
                        ..
                    } => "adapter",
                    _ => "model",
                };
                self.print_line(StageLine { progress, what }, port);
            }
        } else if before != self.bar {
            match before {
                Some(before) if is_new => {
                    let now = self.bar.replace(before);
                    self.end_bar(true, port);
                    self.bar = now;
                }
                Some(_) => {}
                // At boot the first bar comes before any prompt, so the terminal has not been asked for its width.
                None => {
                    let question = self.screen.question();
                    self.print(question, port);
                }
            }
            self.draw_bar(&Bar::Stage(stage, percent), port);
        }
    }

    /// Draws a bar over the last one.
    fn draw_bar(&mut self, bar: &Bar, port: &mut impl Port) {
        match *bar {
            Bar::Stage(stage, percent) => {
                let steps = self.bar_steps();
                let bar = ProgressBar {
                    stage,
                    percent,
                    steps,
                };
                self.draw_over(bar, port);
            }
            Bar::Training(percent) => {
                let steps = self.training_steps();
                self.draw_over(TrainedBar { percent, steps }, port);
            }
        }
    }

    /// Marks of a bar: bar and words must fit in one row, even if the terminal has not told its width.
    pub(crate) fn bar_steps(&self) -> u64 {
        const NARROW: usize = 40;
        let columns = match self.mode {
            Mode::Plain => return MAX_BAR_STEPS as u64,
            _ => self.screen.known_columns().unwrap_or(NARROW),
        };
        let steps = columns.saturating_sub(BAR_WORDS).clamp(1, MAX_BAR_STEPS);
        steps as u64
    }

    /// A fine-tuning has fewer marks, because figures follow its bar.
    pub(crate) fn training_steps(&self) -> u64 {
        const MOST: u64 = 16;
        match self.mode {
            Mode::Plain => self.bar_steps(),
            _ => self.bar_steps().min(MOST),
        }
    }

    /// Draws a text over the last one, in one row.
    pub(crate) fn draw_over(&mut self, text: impl Display, port: &mut impl Port) {
        let mut row = heapless::String::<ROW_BYTES>::new();
        // Text that does not fit would not show anyway.
        let _ = write!(row, "{text}");
        let room = self.screen.columns().saturating_sub(1);
        // It is ASCII, so it can be cut anywhere.
        let row = row.get(..room).unwrap_or(&row);
        let stale = core::mem::replace(&mut self.drawn_over, row.len());
        let stale = stale.saturating_sub(row.len());
        self.print(format_args!("\r{row}{:stale$}", ""), port);
    }

    /// Moves to the line after the bar, if there is one. If the work is `done`, completes the bar first, because
    /// progress comes in steps and the last one may be missing.
    pub(crate) fn end_bar(&mut self, done: bool, port: &mut impl Port) {
        let Some(bar) = self.bar.take() else { return };
        if self.mode == Mode::Plain {
            return;
        }
        let last = match bar {
            Bar::Stage(stage, _) => Bar::Stage(stage, 100),
            Bar::Training(_) => Bar::Training(100),
        };
        if done && bar != last {
            self.draw_bar(&last, port);
        }
        self.drawn_over = 0;
        self.print("\n", port);
    }
}

//! What audit's events do.

use crate::READY_LINE;
use crate::console::{CLEAR_SCREEN, Console, Mode, Port, Style};
use crate::jobs::JobState;
use crate::json::StatsJson;
use crate::shell::{Activity, List, Purpose, Session};
use crate::text::{
    BudgetText, Closing, FailureText, FaultsText, LogLine, ModelLine, ProgressBar, RecoveredText,
    SessionLine, SignatureWord, StageLine, StatsText, StatusText, UserText, VerifiedText,
};
use core::fmt::{Display, Write as _};
use protocol::error::{ErrorCode, Failure};
use protocol::name::UserName;
use protocol::record::{Ending, Json, Opening, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Frame, SLOTS};
use protocol::wire::client::{
    BudgetChange, Event, LogExtent, ModelEntry, Progress, Request, Stats, User,
};

/// What a failure is about: the detail, or the user who may not do what was asked for.
pub(crate) fn about<'a>(failure: Failure, detail: &'a [u8], user: &'a UserName) -> &'a [u8] {
    if failure.code == ErrorCode::NotPermitted && detail.is_empty() {
        user.as_str().as_bytes()
    } else {
        detail
    }
}

impl<R: ReadWords, W: WriteWords> Session<'_, R, W> {
    pub(crate) fn on_signal(&mut self, frame: &mut Frame, port: &mut impl Port) {
        self.ring.follow();
        if self.secret_sent {
            self.secret_sent = !self.ring.wipe_read();
        }
        for _ in 0..SLOTS {
            // A violation is dropped: audit is trusted, so there is none.
            if self.ring.receive(frame) != Ok(true) {
                break;
            }
            if let Ok(event) = Event::parse(frame) {
                self.handle(frame.header().request, &event, port);
            }
            self.look_for_interrupt(port);
        }
        if self.ring.take_owed_signal() {
            port.notify_audit();
        }
    }

    /// Number of the request that the command under way waits for.
    const fn current(&self) -> Option<u32> {
        match self.activity {
            Activity::Asking { request, .. }
            | Activity::Generating { request, .. }
            | Activity::Reading { request, .. }
            | Activity::Watching { request, .. } => Some(request),
            _ => None,
        }
    }

    fn handle(&mut self, number: u32, event: &Event<'_>, port: &mut impl Port) {
        let is_current = self.current() == Some(number);
        if let Event::Progress(progress) = *event {
            if is_current || self.activity == Activity::Booting {
                self.show_progress(progress, port);
            }
            return;
        }
        self.end_bar(port);
        match *event {
            Event::Ready(user) => {
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
            Event::Fault { fault, count } => self.notice(FaultsText { fault, count }, port),
            Event::Recovered { after_us, restarts } => {
                self.notice(RecoveredText { after_us, restarts }, port);
            }
            Event::Failed { failure, detail } if number == 0 => {
                self.notice(FailureText { failure, detail }, port);
            }
            _ if self.activity == Activity::Booting => self.begin_before_ready(number, event, port),
            _ if self.given_up.iter().any(|given_up| *given_up == number) => {
                self.end_given_up(number, event, port);
            }
            _ if !is_current => self.handle_job(number, event, port),
            _ => match self.activity {
                Activity::Generating { .. } => self.handle_generation(event, port),
                Activity::Reading { .. } => self.handle_log(event, port),
                Activity::Watching { .. } => self.handle_watch(event, port),
                Activity::Asking { purpose, .. } => self.handle_answer(purpose, event, port),
                _ => {}
            },
        }
    }

    /// Audit has answered what Ctrl-C asked before it said that the system is ready.
    fn begin_before_ready(&mut self, number: u32, event: &Event<'_>, port: &mut impl Port) {
        if !(1..=self.last_request).contains(&number) {
            return;
        }
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

    /// The answer to a login or logout that nobody waits for: it has happened, or it has not.
    fn end_given_up(&mut self, number: u32, event: &Event<'_>, port: &mut impl Port) {
        match *event {
            Event::User(user) => {
                self.user = user;
                self.notice(format_args!("now {}", UserText(&user)), port);
            }
            Event::Failed { .. } => {}
            _ => return,
        }
        self.given_up.retain(|given_up| *given_up != number);
    }

    // ---- Generations ------------------------------------------------------------------------------

    fn handle_generation(&mut self, event: &Event<'_>, port: &mut impl Port) {
        match *event {
            Event::Text { text, .. } => self.print_model_text(text, port),
            Event::Finished(finished) => {
                self.close_generation(Style::Aside, &Closing(finished), port);
                self.become_idle(port);
            }
            Event::Failed { failure, detail } => {
                let user = self.user.name;
                let detail = about(failure, detail, &user);
                let text = FailureText { failure, detail };
                self.close_generation(Style::Error, &format_args!("error: {text}"), port);
                if failure.code == ErrorCode::QuotaExceeded {
                    self.show_own_budget(port);
                } else {
                    self.become_idle(port);
                }
            }
            _ => {}
        }
    }

    /// Says what is left, and until when.
    fn show_own_budget(&mut self, port: &mut impl Port) {
        let (user, change) = (UserName::EMPTY, BudgetChange::NONE);
        self.ask(&Request::Budget { user, change }, Purpose::Show, port);
    }

    fn print_model_text(&mut self, text: &[u8], port: &mut impl Port) {
        let mode = self.mode;
        let mut console = Console { port, mode };
        let mut last = None;
        self.sanitiser.push(text, &mut |character| {
            last = Some(character);
            let _ = console.write_char(character);
        });
        if let (Some(last), Activity::Generating { at_line_start, .. }) = (last, &mut self.activity)
        {
            *at_line_start = last == '\n';
        }
    }

    /// Ends the text of a generation, then writes the line that closes it.
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

    /// An event of a request in the background, if it is one.
    fn handle_job(&mut self, number: u32, event: &Event<'_>, port: &mut impl Port) {
        let Some(job) = self.buffers.jobs.of_request(number) else {
            return;
        };
        let mode = self.mode;
        let mut console = Console { port, mode };
        // Who waits for it sees its text at once.
        let mut line_start = match &mut self.activity {
            Activity::Waiting {
                request,
                at_line_start,
                ..
            } if *request == number => Some(at_line_start),
            _ => None,
        };
        let mut show = |character| {
            if let Some(at_line_start) = &mut line_start {
                **at_line_start = character == '\n';
                let _ = console.write_char(character);
            }
        };
        match *event {
            Event::Text { text, .. } => return job.push(text, &mut show),
            Event::Finished(finished) => job.end(JobState::Finished(finished), &mut show),
            Event::Failed { failure, detail } => {
                let owner = job.owner;
                let state = JobState::failed(failure, about(failure, detail, &owner));
                job.end(state, &mut show);
            }
            _ => return,
        }
        match self.activity {
            Activity::Waiting {
                request,
                job,
                at_line_start,
            } if request == number => self.close_job(job, at_line_start, port),
            _ => self.job_has_ended(port),
        }
    }

    // ---- The log and the counters -----------------------------------------------------------------

    fn handle_log(&mut self, event: &Event<'_>, port: &mut impl Port) {
        let Activity::Reading {
            json, interrupted, ..
        } = self.activity
        else {
            return;
        };
        match *event {
            // An export needs all entries up to the one that its last line names.
            Event::Record { .. } if interrupted && !json => {}
            Event::Record { record, text } => self.show_record(json, &record, text, port),
            Event::LogEnd(extent) => self.end_log(json, &extent, port),
            // The answer to a cancellation.
            Event::Failed { .. } | Event::Done if interrupted => self.become_idle(port),
            Event::Failed { failure, detail } => self.complain_of(failure, detail, port),
            _ => {}
        }
    }

    fn show_record(&mut self, json: bool, record: &Record, text: &[u8], port: &mut impl Port) {
        let Record {
            sequence, previous, ..
        } = *record;
        let shown = &mut self.shown;
        let is_first = shown.entries == 0;
        shown.gaps |= !is_first && sequence != shown.next;
        shown.next = sequence.wrapping_add(1);
        shown.entries = shown.entries.saturating_add(1);
        if !json {
            return self.print_line(LogLine { record, text }, port);
        }
        if is_first {
            let opening = Opening {
                anchor: previous,
                first: sequence,
            };
            self.print_line(opening, port);
        }
        self.print_line(Json { record, text }, port);
    }

    fn end_log(&mut self, json: bool, extent: &LogExtent, port: &mut impl Port) {
        let shown = self.shown;
        if !json {
            let text = format_args!("{} entries", shown.entries);
            self.print_styled(Style::Aside, text, port);
            return self.become_idle(port);
        }
        if shown.entries == 0 {
            let opening = Opening {
                anchor: extent.anchor,
                first: extent.first,
            };
            self.print_line(opening, port);
        }
        let ending = Ending {
            head: extent.head,
            entries: shown.entries,
            // Entries after the last one that was shown are missing too.
            filtered: shown.gaps || (shown.entries > 0 && shown.next != extent.next),
        };
        self.answer(ending, port);
    }

    fn handle_watch(&mut self, event: &Event<'_>, port: &mut impl Port) {
        let Activity::Watching {
            json, interrupted, ..
        } = self.activity
        else {
            return;
        };
        match *event {
            // What comes after a cancellation is the last.
            Event::Stats(_) | Event::Failed { .. } | Event::Done if interrupted => {
                self.become_idle(port);
            }
            Event::Stats(ref stats) => self.show_counters(json, stats, port),
            Event::Failed { failure, detail } => self.complain_of(failure, detail, port),
            Event::Done => self.become_idle(port),
            _ => {}
        }
    }

    fn show_counters(&self, json: bool, stats: &Stats, port: &mut impl Port) {
        if json {
            self.print_line(StatsJson(stats), port);
        } else if self.mode == Mode::Terminal {
            self.print(CLEAR_SCREEN, port);
            self.print_line(StatsText(stats), port);
            self.print_styled(Style::Aside, "every second; Ctrl-C ends", port);
        } else {
            self.print_line(format_args!("{}\n", StatsText(stats)), port);
        }
    }

    // ---- Answers ----------------------------------------------------------------------------------

    fn handle_answer(&mut self, purpose: Purpose, event: &Event<'_>, port: &mut impl Port) {
        match *event {
            Event::Failed { failure, detail } => self.fail(purpose, failure, detail, port),
            Event::Model(entry) => self.take_model(purpose, &entry, port),
            Event::User(user) => self.take_user(purpose, user, port),
            Event::Session(session) => {
                let Purpose::Sessions = purpose else { return };
                self.buffers.names.add_session(session.user, session.name);
                self.print_line(SessionLine(&session), port);
            }
            Event::Listed { count } => self.end_list(purpose, count, port),
            Event::Loaded { name, info } => {
                let name = name.as_str();
                self.answer(format_args!("loaded {}", ModelLine { info, name }), port);
            }
            Event::Status(ref status) => self.answer(StatusText(status), port),
            Event::Stats(ref stats) => match purpose {
                Purpose::StatsJson => self.answer(StatsJson(stats), port),
                _ => self.answer(StatsText(stats), port),
            },
            Event::Budget(ref budget) => self.answer(BudgetText(budget), port),
            Event::LogVerified { extent, broken_at } => {
                let text = VerifiedText { extent, broken_at };
                if broken_at == 0 {
                    self.answer(text, port);
                } else {
                    self.complain(text, port);
                }
            }
            Event::Done => {
                if let Purpose::Close(session) = purpose {
                    let user = self.user.name;
                    self.buffers.names.remove_session(user, session);
                    self.answer(format_args!("closed {session}"), port);
                } else {
                    self.answer("done", port);
                }
            }
            _ => {}
        }
    }

    fn fail(&mut self, purpose: Purpose, failure: Failure, detail: &[u8], port: &mut impl Port) {
        if let Purpose::Complete(_) = purpose {
            // The word stays as it is: nobody asked a question that an error would answer.
            self.activity = Activity::Idle;
            return;
        }
        if let (Purpose::LoginWithout(user), ErrorCode::PassphraseNeeded) = (purpose, failure.code)
        {
            return self.ask_for_passphrase(user, port);
        }
        let subject = core::mem::take(&mut self.subject);
        let names_subject = detail.is_empty() && failure.code != ErrorCode::NotPermitted;
        self.complain_of(failure, if names_subject { &subject } else { detail }, port);
    }

    fn take_model(&mut self, purpose: Purpose, entry: &ModelEntry, port: &mut impl Port) {
        self.buffers.names.add_model(entry.name);
        if purpose == Purpose::Models {
            let mark = if entry.loaded { '*' } else { ' ' };
            let (bytes, name) = (entry.file_bytes, entry.name);
            let signature = SignatureWord(entry.signature);
            self.print_line(
                format_args!("{mark} {name} ({bytes} bytes, {signature})"),
                port,
            );
        }
    }

    fn take_user(&mut self, purpose: Purpose, user: User, port: &mut impl Port) {
        let before = match purpose {
            Purpose::Complete(_) => return self.buffers.names.add_user(user),
            Purpose::LoginWithout(_) | Purpose::Login => "logged in as ",
            Purpose::Logout => "logged out; now ",
            Purpose::WhoAmI => "",
            _ => return,
        };
        self.user = user;
        self.answer(format_args!("{before}{}", UserText(&user)), port);
    }

    fn end_list(&mut self, purpose: Purpose, count: u32, port: &mut impl Port) {
        let names = &mut self.buffers.names;
        match purpose {
            Purpose::Models => {
                names.models_are_known = true;
                self.answer(
                    format_args!("{count} models in the store; * is loaded"),
                    port,
                );
            }
            Purpose::Sessions => self.answer(format_args!("{count} sessions"), port),
            Purpose::Complete(list) => {
                match list {
                    List::Models => names.models_are_known = true,
                    List::Users => names.users_are_known = true,
                }
                self.activity = Activity::Idle;
                self.complete(port);
            }
            _ => self.become_idle(port),
        }
    }

    // ---- Progress ---------------------------------------------------------------------------------

    fn show_progress(&mut self, progress: Progress, port: &mut impl Port) {
        let Progress { stage, done, total } = progress;
        let percent = done.saturating_mul(100).checked_div(total);
        let percent = percent.unwrap_or(100).min(100);
        let before = self.bar.replace((stage, percent));
        let is_new = before.is_none_or(|(before, _)| before != stage);
        if self.mode == Mode::Plain {
            if is_new {
                self.print_line(StageLine(progress), port);
            }
        } else if before != self.bar {
            let end = if is_new && before.is_some() { "\n" } else { "" };
            let bar = ProgressBar { stage, percent };
            self.print(format_args!("{end}\r{bar}"), port);
        }
    }

    /// Goes to the line after the bar, if there is one.
    pub(crate) fn end_bar(&mut self, port: &mut impl Port) {
        if self.bar.take().is_some() && self.mode == Mode::Terminal {
            self.print("\n", port);
        }
    }
}

//! Runs commands.

use crate::command::{Ask, Command};
use crate::console::{Console, Port, Style, Styled, write_line};
use crate::infer::{Said, submit};
use crate::jobs::{Job, MAX_JOBS};
use crate::screen::Colour;
use crate::state::{Activity, Purpose, ShellState, Shown};
use crate::text::{Help, HowToLeave, JobLine};
use crate::words::Words;
use core::fmt::Write as _;
use protocol::error::{ErrorCode, Failure};
use protocol::name::{ModelName, SessionName, UserName};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{BudgetChange, LogQuery, Request};
use safe_text::Sanitiser;
use sel4_llm_client::RequestId;

impl<R: ReadWords, W: WriteWords> ShellState<'_, R, W> {
    /// Runs the command.
    pub(crate) fn run(&mut self, command: &Command<'_>, words: &Words, port: &mut impl Port) {
        let subject = match command {
            Command::Load { model: name, .. } => name.as_str(),
            Command::Close(name) => name.as_str(),
            Command::FineTune { data: name, .. }
            | Command::LoadAdapter(name)
            | Command::DropAdapter(name)
            | Command::ExportAdapter(name) => name.as_str(),
            Command::Infer { ask, .. } | Command::Chat(ask) => ask.adapter.as_str(),
            Command::Login(name) | Command::Budget { user: name, .. } => name.as_str(),
            _ => "",
        };
        // It fits: every name is shorter.
        self.subject = heapless::Vec::from_slice(subject.as_bytes()).unwrap_or_default();
        self.buffers.to_load.clear();
        let (request, purpose) = match *command {
            Command::Empty => return self.become_idle(port),
            Command::Help(topic) => return self.answer(Help(topic), port),
            Command::Colour(colour) => return self.set_colour(colour, port),
            Command::Exit if self.user.name == self.default_user => {
                let name = self.user.name;
                return self.answer(HowToLeave(&name), port);
            }
            Command::Exit => (Request::Logout, Purpose::Logout),
            Command::Halt => (Request::Halt, Purpose::Halt),
            Command::FineTune {
                params,
                data,
                adapter,
            } => {
                let request = Request::FineTune {
                    params,
                    data,
                    adapter,
                };
                return self.fine_tune(&request, port);
            }
            Command::Example { text, answer } => return self.add_example(text, answer, port),
            Command::DropExamples => (Request::DropExamples, Purpose::Show),
            Command::Adapters => (Request::Adapters, Purpose::Adapters),
            Command::LoadAdapter(name) => (Request::LoadAdapter { name }, Purpose::LoadAdapter),
            Command::DropAdapter(name) => {
                (Request::DropAdapter { name }, Purpose::DropAdapter(name))
            }
            Command::ExportAdapter(name) => return self.export(name, port),
            Command::Infer {
                ask,
                raw,
                background,
                prompt,
            } => {
                let said = if raw {
                    Said::Raw
                } else {
                    Said::AsTheModelHasIt
                };
                return if background {
                    self.start_job(&ask, said, prompt, port)
                } else {
                    self.generate(&ask, said, prompt, port)
                };
            }
            Command::Chat(ask) => return self.ask_to_chat(&ask, words, port),
            Command::Formats => (Request::Formats, Purpose::Formats),
            Command::Jobs => return self.list_jobs(port),
            Command::Wait(job) => return self.wait(job, port),
            Command::Cancel(job) => return self.cancel(job, port),
            Command::Audit { query, json } => return self.read_log(query, json, port),
            Command::Stats { json, watch: true } => return self.watch(json, port),
            // Audit knows whether the user needs a passphrase.
            Command::Login(user) => {
                let passphrase = None;
                let request = Request::Login { user, passphrase };
                (request, Purpose::LoginWithout(user))
            }
            Command::Budget {
                user,
                tokens,
                period: period_us,
            } => {
                let change = BudgetChange { tokens, period_us };
                (Request::Budget { user, change }, Purpose::Show)
            }
            Command::Load { model, adapters } => {
                let names = adapters.into_iter().map(core::str::from_utf8);
                let names = names.flatten().filter_map(ModelName::new);
                // There are no more adapters than places.
                self.buffers
                    .to_load
                    .extend(names.filter(|name| !name.is_empty()));
                (Request::Load { name: model }, Purpose::Load)
            }
            Command::Models => (Request::Models, Purpose::Models),
            Command::Status => (Request::Status, Purpose::Show),
            Command::Sessions => (Request::Sessions, Purpose::Sessions),
            Command::Close(session) => (Request::Close { session }, Purpose::Close(session)),
            Command::VerifyAudit => (Request::VerifyLog, Purpose::Show),
            Command::Attest(nonce) => (Request::Attest { nonce }, Purpose::Show),
            Command::Reset => (Request::Stats { watch: false }, Purpose::BeforeReset),
            Command::Logout => (Request::Logout, Purpose::Logout),
            Command::WhoAmI => (Request::WhoAmI, Purpose::WhoAmI),
            Command::Stats { json: false, .. } => (Request::Stats { watch: false }, Purpose::Show),
            Command::Stats { json: true, .. } => {
                (Request::Stats { watch: false }, Purpose::StatsJson)
            }
        };
        self.ask(&request, purpose, port);
    }

    fn set_colour(&mut self, colour: Colour, port: &mut impl Port) {
        self.screen.colour = colour;
        if colour == Colour::Auto {
            self.screen.ask_again();
        }
        let text = match colour {
            Colour::On => "colours are on",
            Colour::Off => "colours are off",
            Colour::Auto if self.screen.has_sequences() => {
                "colours are on: the terminal has told its width"
            }
            Colour::Auto => "colours are on as soon as the terminal tells its width",
        };
        self.answer(text, port);
    }

    fn generate(&mut self, ask: &Ask<'_>, said: Said, prompt: &[u8], port: &mut impl Port) {
        self.asked_format = ask.format;
        let submitted = submit(&mut self.client, ask, said, prompt);
        if let Some(request) = self.submitted(submitted, port) {
            self.begin_generation(request, ask.session);
            self.keep_for_echo(said, ask, prompt);
        }
    }

    /// Shows the text of a request as it arrives.
    pub(crate) fn begin_generation(&mut self, request: RequestId, session: SessionName) {
        self.buffers.names.add_session(self.user.name, session);
        self.sanitiser = Sanitiser::new();
        self.buffers.echo.clear();
        self.activity = Activity::Generating {
            request,
            interrupted: false,
            at_line_start: true,
        };
    }

    fn read_log(&mut self, query: LogQuery, json: bool, port: &mut impl Port) {
        let Some(request) = self.submit(&Request::Log(query), port) else {
            return;
        };
        self.shown = Shown::default();
        self.activity = Activity::Reading {
            request,
            json,
            follow: query.follow,
            interrupted: false,
        };
    }

    fn watch(&mut self, json: bool, port: &mut impl Port) {
        if let Some(request) = self.submit(&Request::Stats { watch: true }, port) {
            self.activity = Activity::Watching {
                request,
                json,
                interrupted: false,
            };
        }
    }

    // ---- Jobs -------------------------------------------------------------------------------------

    fn start_job(&mut self, ask: &Ask<'_>, said: Said, prompt: &[u8], port: &mut impl Port) {
        if !self.buffers.jobs.has_room() {
            let all = MAX_JOBS as u64;
            let failure = Failure::over(ErrorCode::TooManyRequests, all, all);
            return self.complain_of(failure, &[], port);
        }
        let submitted = submit(&mut self.client, ask, said, prompt);
        let Some(request) = self.submitted(submitted, port) else {
            return;
        };
        let user = self.user.name;
        self.buffers.names.add_session(user, ask.session);
        if let Some(id) = self.buffers.jobs.add(request, user, ask.format, prompt) {
            self.answer(
                format_args!("job {id}: under way; 'llmctl wait {id}' shows its text"),
                port,
            );
        }
    }

    fn list_jobs(&mut self, port: &mut impl Port) {
        let (user, mut last) = (self.user.name, 0);
        while let Some(job) = self.buffers.jobs.after(last, user) {
            last = job.id;
            self.print_line(JobLine(job), port);
        }
        if last == 0 {
            self.print_line("no jobs; see 'help jobs'", port);
        }
        self.become_idle(port);
    }

    fn no_such_job(&mut self, id: u32, port: &mut impl Port) {
        self.complain(format_args!("no job {id}; see 'llmctl jobs'"), port);
    }

    /// Shows a job's text so far, and the rest as it arrives.
    fn wait(&mut self, id: u32, port: &mut impl Port) {
        let (mode, user): (_, UserName) = (self.mode, self.user.name);
        let Some(job) = self.buffers.jobs.get(id, user) else {
            return self.no_such_job(id, port);
        };
        let colour = self.screen.has_colour();
        let mut console = Console { port, mode };
        let _ = console.write_str(job.text());
        let at_line_start = job.text().is_empty() || job.text().ends_with('\n');
        if job.dropped > 0 {
            let end = if at_line_start { "" } else { "\n" };
            let (text, style) = (Dropped(job), Style::Aside);
            let styled = Styled {
                colour,
                style,
                text,
            };
            let _ = console.write_str(end);
            write_line(console, self.screen.known_columns(), styled);
        }
        let at_line_start = at_line_start || job.dropped > 0;
        if job.is_running() {
            self.activity = Activity::Waiting {
                request: job.request,
                job: id,
                at_line_start,
            };
        } else {
            self.close_job(id, at_line_start, port);
        }
    }

    /// Writes the closing line of a job that has ended.
    pub(crate) fn close_job(&mut self, id: u32, at_line_start: bool, port: &mut impl Port) {
        if !at_line_start {
            self.print("\n", port);
        }
        if let Some(job) = self.buffers.jobs.get(id, self.user.name) {
            let style = job.style();
            self.print_styled(style, &job.state, port);
        }
        self.buffers.jobs.mark_announced(id);
        self.become_idle(port);
    }

    /// Asks a job to stop: this one, or the newest running one.
    fn cancel(&mut self, id: Option<u32>, port: &mut impl Port) {
        let user = self.user.name;
        let job = match id {
            Some(id) => self.buffers.jobs.get(id, user),
            None => {
                let running = self.buffers.jobs.of(user).filter(|job| job.is_running());
                running.max_by_key(|job| job.id)
            }
        };
        let found = job.map(|job| (job.id, job.request, job.is_running()));
        match (found, id) {
            (None, Some(id)) => self.no_such_job(id, port),
            (None, None) => self.complain("no job is running; see 'llmctl jobs'", port),
            (Some((id, _, false)), _) => {
                self.complain(format_args!("job {id} has ended already"), port);
            }
            (Some((id, request, true)), _) => {
                self.client.cancel(request);
                self.answer(format_args!("job {id}: asked to stop"), port);
            }
        }
    }
}

/// Warns that part of a job's text was dropped.
struct Dropped<'a>(&'a Job);

impl core::fmt::Display for Dropped<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (kept, dropped) = (self.0.text().len(), self.0.dropped);
        write!(
            f,
            "({dropped} more bytes were dropped: a job in the background keeps {kept})"
        )
    }
}

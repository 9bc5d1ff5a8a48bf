//! The shell itself: all its state, driven by input and by audit's signals.

use crate::chat::{Chat, Taken};
use crate::console::{Console, Mode, Port as Output, Style, Styled, write_line};
use crate::editor::{Editor, Row};
use crate::export::Export;
use crate::history::History;
use crate::jobs::Jobs;
use crate::keys::Keys;
use crate::names::Names;
use crate::queue::Queue;
use crate::screen::{PASTE_OFF, PASTE_ON, Screen};
use crate::text::{FailureText, JobNotice};
use crate::transmit::{Port, Transmit};
use crate::words::Words;
use core::fmt::{Display, Write as _};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_ADAPTERS, MAX_NAME_BYTES, MAX_PROMPT_BYTES};
use protocol::name::{FormatName, ModelName, SessionName, UserName};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{Request, Stage, User};
use safe_text::Sanitiser;
use sel4_llm_client::{Client, Endpoint, Inbox, RequestId, SubmitError};

/// Buffers of the shell, 325 KiB, of which two fifths are text of jobs. They are outside [`Shell`] so that a runtime
/// with a small stack can make them a static. New ones are all zeros.
#[derive(Debug)]
pub struct Memory {
    buffers: Buffers,
    client: sel4_llm_client::Memory,
    /// The words of the current line, to which the running command refers.
    words: Words,
    /// The current message from audit, to which the handled event refers.
    inbox: Inbox,
    /// Output that waits to be written.
    output: Transmit,
}

// The size given above.
const _: () = assert!(size_of::<Memory>() <= 326 * 1024);

impl Memory {
    /// New, empty buffers.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buffers: Buffers {
                type_ahead: Queue::new(),
                editor: Editor::new(),
                history: History::new(),
                names: Names::new(),
                jobs: Jobs::new(),
                to_load: heapless::Deque::new(),
                chat_words: Words::new(),
                echo: heapless::Vec::new(),
            },
            client: sel4_llm_client::Memory::new(),
            words: Words::new(),
            inbox: Inbox::new(),
            output: Transmit::new(),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug)]
pub(crate) struct Buffers {
    /// Input that waits for the running command.
    pub(crate) type_ahead: Queue<TYPE_AHEAD_BYTES>,
    pub(crate) editor: Editor,
    pub(crate) history: History,
    pub(crate) names: Names,
    pub(crate) jobs: Jobs,
    /// Adapters that the running command still has to load.
    pub(crate) to_load: heapless::Deque<ModelName, MAX_ADAPTERS>,
    /// The words of the `llmchat` command, whose options apply to each turn of the conversation.
    pub(crate) chat_words: Words,
    /// The prompt of the running completion, until its first text. A refused request does not show it.
    pub(crate) echo: heapless::Vec<u8, MAX_PROMPT_BYTES>,
}

/// Bytes that are read before the running command ends: two lines of the greatest length. If they are full, nothing
/// more is read, and the UART or the pipe holds the sender back. So no script is too long.
const TYPE_AHEAD_BYTES: usize = 2 * crate::MAX_LINE_BYTES;

/// The prompt of a continued line.
const GO_ON: &str = "... ";

/// A list of names that is requested once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Models,
    Users,
    Adapters,
    Formats,
}

/// The purpose of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Show the answer.
    Show,
    /// Show the loaded model.
    Load,
    /// Show the adapters.
    Adapters,
    /// Show the loaded adapter.
    LoadAdapter,
    /// Show this adapter, which a command loads after a model.
    LoadBeside(ModelName),
    /// Drop this adapter.
    DropAdapter(ModelName),
    /// Show counters as JSON.
    StatsJson,
    /// Show the models.
    Models,
    /// Show the formats.
    Formats,
    /// Show the user's sessions.
    Sessions,
    /// Find out whether the model has a chat template.
    Chat,
    /// Read the user's sessions to find a free name for a conversation. These are in use.
    NameChat(Taken),
    /// Read the user's sessions to find out whether a conversation continues this one.
    FindChat {
        session: SessionName,
        has_begun: bool,
    },
    /// Close this session of a conversation that was left.
    LeaveChat(SessionName),
    /// Close this session, and forget its name.
    Close(SessionName),
    /// Log in without a passphrase, or learn that this user needs one.
    LoginWithout(UserName),
    /// Log in.
    Login,
    /// Log out.
    Logout,
    /// Log out at the end of the input.
    EndOfInput,
    /// Ask whether the system may be halted.
    Halt,
    /// Read counters, to find out whether inference is stopped before restarting it.
    BeforeReset,
    /// Ask whether inference may be restarted. It was stopped or not.
    Reset { was_stopped: bool },
    /// Show who is logged in.
    WhoAmI,
    /// Find names for the word being typed.
    Complete(List),
}

/// A progress bar's subject and percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    /// A load, or the reading of data.
    Stage(Stage, u64),
    /// A fine-tuning.
    Training(u64),
}

/// Abandoned requests that may still change who is logged in.
const MAX_GIVEN_UP: usize = 8;

/// What the shell is waiting for. Ctrl-C ends each of these states, whatever audit and inference do. It does so at
/// once, or at the second Ctrl-C if the end of the request is worth seeing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// For the system to be ready.
    Booting,
    /// For a line.
    Idle,
    /// For a line with this user's passphrase.
    Passphrase(UserName),
    /// For the answer to a question.
    Asking {
        request: RequestId,
        purpose: Purpose,
    },
    /// For the text of a generation.
    Generating {
        request: RequestId,
        /// It was asked to stop.
        interrupted: bool,
        /// The text so far ends with a line break.
        at_line_start: bool,
    },
    /// For the rest of a job's text.
    Waiting {
        request: RequestId,
        job: u32,
        at_line_start: bool,
    },
    /// For entries of the log.
    Reading {
        request: RequestId,
        json: bool,
        /// They continue until Ctrl-C.
        follow: bool,
        interrupted: bool,
    },
    /// For counters, every second.
    Watching {
        request: RequestId,
        json: bool,
        interrupted: bool,
    },
    /// For the end of a fine-tuning.
    Tuning {
        request: RequestId,
        /// It was asked to stop.
        interrupted: bool,
    },
    /// For the rest of an adapter's file.
    Exporting {
        request: RequestId,
        /// It was asked to stop.
        interrupted: bool,
    },
    /// For nothing: the system has been halted.
    Halted,
}

/// What the end of the input, or Ctrl-D, still has to do after the running command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing: it has not come.
    NotDue,
    /// Leave the conversation, or otherwise log out.
    Leave,
    /// Report that everything is done.
    Tell,
}

/// The part of the log that was shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) entries: u64,
    /// Sequence number after the last entry.
    pub(crate) next: u64,
    /// Some entries in between were not sent.
    pub(crate) gaps: bool,
}

/// The subject of a failure: its detail, or the user who lacks the permission.
pub(crate) fn about<'a>(failure: Failure, detail: &'a [u8], user: &'a UserName) -> &'a [u8] {
    if failure.code == ErrorCode::NotPermitted && detail.is_empty() {
        user.as_str().as_bytes()
    } else {
        detail
    }
}

/// The shell. There is one per domain, for the domain's life.
pub struct Shell<'m, R, W> {
    session: Session<'m, R, W>,
    words: &'m mut Words,
    inbox: &'m mut Inbox,
    output: &'m mut Transmit,
}

/// Everything except the current line and message.
pub(crate) struct Session<'m, R, W> {
    pub(crate) client: Client<'m, R, W>,
    pub(crate) mode: Mode,
    pub(crate) screen: Screen,
    pub(crate) activity: Activity,
    pub(crate) keys: Keys,
    pub(crate) sanitiser: Sanitiser,
    pub(crate) user: User,
    /// The user at boot. The prompt names only others.
    pub(crate) default_user: UserName,
    /// Whether the loaded model has a chat template, as far as the shell knows. Otherwise it completes texts.
    pub(crate) talks: Option<bool>,
    /// The shell's own request to find that out, for which nobody waits.
    pub(crate) asks_for_model: Option<RequestId>,
    /// Audit has reported that the system is ready. After a Ctrl-C, a prompt may come before that.
    pub(crate) is_ready: bool,
    /// The wrong version of audit has been reported.
    pub(crate) version_told: bool,
    /// Abandoned logins and logouts. They are carried out all the same, so their answers are still read: the prompt
    /// must name the user who is logged in.
    pub(crate) given_up: heapless::Deque<RequestId, MAX_GIVEN_UP>,
    /// The progress bar on display.
    pub(crate) bar: Option<Bar>,
    /// Its width in columns.
    pub(crate) drawn_over: usize,
    /// The part of an adapter that was not printed yet.
    pub(crate) export: Export,
    pub(crate) shown: Shown,
    /// The model, session or user that the running command names. Audit's answer does not repeat it.
    pub(crate) subject: heapless::Vec<u8, MAX_NAME_BYTES>,
    /// The format of the running generation; empty for none.
    pub(crate) asked_format: FormatName,
    /// The current conversation. Without one, lines are commands.
    pub(crate) chat: Option<Chat>,
    pub(crate) ending: Ending,
    pub(crate) buffers: &'m mut Buffers,
}

impl<'m, R: ReadWords, W: WriteWords> Shell<'m, R, W> {
    /// A shell that waits for audit to serve.
    #[must_use]
    pub fn new(ring: Endpoint<R, W>, mode: Mode, memory: &'m mut Memory) -> Self {
        let Memory {
            buffers,
            client,
            words,
            inbox,
            output,
        } = memory;
        Self {
            session: Session {
                client: Client::new(ring, client),
                mode,
                screen: Screen::new(mode),
                activity: Activity::Booting,
                keys: Keys::new(),
                sanitiser: Sanitiser::new(),
                user: User::default(),
                default_user: UserName::EMPTY,
                talks: None,
                asks_for_model: None,
                is_ready: false,
                version_told: false,
                given_up: heapless::Deque::new(),
                bar: None,
                drawn_over: 0,
                export: Export::new(),
                shown: Shown::default(),
                subject: heapless::Vec::new(),
                asked_format: FormatName::EMPTY,
                chat: None,
                ending: Ending::NotDue,
                buffers,
            },
            words,
            inbox,
            output,
        }
    }

    /// Whether there is room for more input. If not, the runtime does not read, so the sender waits and nothing is
    /// lost.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.session.wants_input()
    }

    #[cfg(test)]
    pub(crate) fn session_for_tests(&self) -> &Session<'m, R, W> {
        &self.session
    }

    /// The console has input: reads as much as there is room for, and acts on it.
    pub fn on_input(&mut self, port: &mut impl Port) {
        let mut output = self.output.before(port);
        self.session.on_input(self.words, &mut output);
        self.session.signal_audit(&mut output);
        if output.settle() {
            self.on_signal(port);
        }
    }

    /// The console has room: writes waiting output, and goes on.
    pub fn on_room(&mut self, port: &mut impl Port) {
        self.on_signal(port);
    }

    /// Audit has signalled: reads its ring, and the console in between, because Ctrl-C must not wait until everything
    /// in the ring is printed. Then continues with waiting input.
    pub fn on_signal(&mut self, port: &mut impl Port) {
        loop {
            let mut output = self.output.before(port);
            self.session.on_signal(self.inbox, &mut output);
            self.session.on_input(self.words, &mut output);
            self.session.signal_audit(&mut output);
            if !output.settle() {
                return;
            }
        }
    }
}

impl<R: ReadWords, W: WriteWords> Session<'_, R, W> {
    // ---- Output -----------------------------------------------------------------------------------

    pub(crate) fn print(&self, text: impl Display, port: &mut impl Output) {
        let mode = self.mode;
        // Writing to the console never fails.
        let _ = write!(Console { port, mode }, "{text}");
    }

    /// Writes a line. If the terminal has told its width, the line is wrapped between words.
    pub(crate) fn print_line(&self, text: impl Display, port: &mut impl Output) {
        let mode = self.mode;
        write_line(Console { port, mode }, self.screen.known_columns(), text);
    }

    /// Writes a line for programs, without wrapping.
    pub(crate) fn print_exactly(&self, text: impl Display, port: &mut impl Output) {
        self.print(format_args!("{text}\n"), port);
    }

    /// Applies a style to a text, if the terminal has colours.
    pub(crate) const fn styled<T>(&self, style: Style, text: T) -> Styled<T> {
        let colour = self.screen.has_colour();
        Styled {
            colour,
            style,
            text,
        }
    }

    pub(crate) fn print_styled(&self, style: Style, text: impl Display, port: &mut impl Output) {
        self.print_line(self.styled(style, text), port);
    }

    /// Waits for the next line.
    pub(crate) fn become_idle(&mut self, port: &mut impl Output) {
        self.activity = Activity::Idle;
        self.announce_jobs(port);
        self.ask_for_model();
        self.prompt(port);
    }

    /// Shows the prompt and the line typed so far. The cursor is at the start of a row.
    pub(crate) fn prompt(&mut self, port: &mut impl Output) {
        if self.mode == Mode::Plain || self.ending != Ending::NotDue {
            return;
        }
        let question = self.screen.question();
        self.print(question, port);
        self.prompt_again(port);
    }

    /// Like [`Self::prompt`], but asks the terminal nothing.
    fn prompt_again(&mut self, port: &mut impl Output) {
        if self.screen.has_sequences() {
            self.print(PASTE_ON, port);
        }
        let columns = self.screen.columns();
        let mut indent = self.print_place(port);
        if indent > columns / 2 {
            self.print(format_args!("\n{}", self.styled(Style::Prompt, "> ")), port);
            indent = 2;
        }
        let has_sequences = self.screen.has_sequences();
        self.buffers.editor.begin(Row {
            columns,
            indent,
            has_sequences,
        });
        if !self.buffers.editor.bytes().is_empty() {
            self.draw(port);
        }
    }

    /// Writes the user and the kind of prompt. Returns the width in columns.
    fn print_place(&self, port: &mut impl Output) -> usize {
        if self.buffers.editor.is_continued() {
            self.print(self.styled(Style::Prompt, GO_ON), port);
            return GO_ON.len();
        }
        let name = self.user.name;
        let place = match &self.chat {
            None => "llm",
            Some(chat) if chat.is_named => chat.session.as_str(),
            Some(_) => "chat",
        };
        let indent = place.len().saturating_add("> ".len());
        if name == self.default_user {
            let text = format_args!("{place}> ");
            self.print(self.styled(Style::Prompt, text), port);
            return indent;
        }
        let text = format_args!("{name}@{place}> ");
        self.print(self.styled(Style::Prompt, text), port);
        indent.saturating_add(name.as_str().len()).saturating_add(1)
    }

    /// The terminal has told its width: redraws the prompt with colours and in that width.
    pub(crate) fn adapt(&mut self, port: &mut impl Output) {
        if self.is_at_prompt() && self.ending == Ending::NotDue {
            self.print("\r\x1b[K", port);
            self.prompt_again(port);
            self.ask_for_model();
        }
    }

    /// Ends the row of the prompt. The whole typed line stays visible above.
    pub(crate) fn leave_prompt(&mut self, port: &mut impl Output) {
        let mode = self.mode;
        let console = &mut Console { port, mode };
        let _ = self.buffers.editor.leave(GO_ON, console);
        let _ = console.write_char('\n');
        if self.screen.has_sequences() {
            let _ = console.write_str(PASTE_OFF);
        }
    }

    /// Writes an answer, and waits for the next line.
    pub(crate) fn answer(&mut self, text: impl Display, port: &mut impl Output) {
        self.print_line(text, port);
        self.become_idle(port);
    }

    /// Writes an answer for programs, and waits for the next line.
    pub(crate) fn answer_exactly(&mut self, text: impl Display, port: &mut impl Output) {
        self.print_exactly(text, port);
        self.become_idle(port);
    }

    /// Reports an error, and waits for the next line.
    pub(crate) fn complain(&mut self, error: impl Display, port: &mut impl Output) {
        self.print_styled(Style::Error, format_args!("error: {error}"), port);
        self.become_idle(port);
    }

    pub(crate) fn complain_of(&mut self, failure: Failure, detail: &[u8], port: &mut impl Output) {
        let user = self.user.name;
        let detail = about(failure, detail, &user);
        self.complain(FailureText { failure, detail }, port);
    }

    /// Whether a prompt shows, with or without a started line.
    pub(crate) fn is_at_prompt(&self) -> bool {
        matches!(
            self.activity,
            Activity::Idle
                | Activity::Asking {
                    purpose: Purpose::Complete(_),
                    ..
                }
        )
    }

    /// Writes a line that answers no command.
    pub(crate) fn notice(&mut self, text: impl Display, port: &mut impl Output) {
        let is_in_line = match &mut self.activity {
            Activity::Generating { at_line_start, .. }
            | Activity::Waiting { at_line_start, .. } => !core::mem::replace(at_line_start, true),
            _ => self.is_at_prompt() && self.mode != Mode::Plain,
        };
        if is_in_line {
            self.print("\n", port);
        }
        self.print_styled(Style::Notice, format_args!("audit: {text}"), port);
        if self.is_at_prompt() {
            self.prompt(port);
        }
    }

    /// Announces the user's jobs that have ended. The cursor is at the start of a line.
    fn announce_jobs(&mut self, port: &mut impl Output) {
        let (mode, style) = (self.mode, Style::Notice);
        let (colour, columns) = (self.screen.has_colour(), self.screen.known_columns());
        while let Some(job) = self.buffers.jobs.announce(self.user.name) {
            let text = JobNotice(job);
            let styled = Styled {
                colour,
                style,
                text,
            };
            write_line(Console { port, mode }, columns, styled);
        }
    }

    /// A job has ended: announces it at once if the user is at the prompt.
    pub(crate) fn job_has_ended(&mut self, port: &mut impl Output) {
        let user = self.user.name;
        if self.activity == Activity::Idle && self.buffers.jobs.of(user).any(|job| job.is_news()) {
            if self.mode != Mode::Plain {
                self.print("\n", port);
            }
            self.become_idle(port);
        }
    }

    // ---- Requests ---------------------------------------------------------------------------------

    /// Sends a question to audit, and waits for the answer.
    pub(crate) fn ask(&mut self, request: &Request<'_>, purpose: Purpose, port: &mut impl Output) {
        if let Some(request) = self.submit(request, port) {
            self.activity = Activity::Asking { request, purpose };
        }
    }

    /// Submits a request. If it cannot be sent, says why, and waits for the next line.
    pub(crate) fn submit(
        &mut self,
        request: &Request<'_>,
        port: &mut impl Output,
    ) -> Option<RequestId> {
        let submitted = self.client.submit(request);
        self.submitted(submitted, port)
    }

    /// Returns the submitted request. If it could not be sent, says why.
    pub(crate) fn submitted(
        &mut self,
        submitted: Result<RequestId, SubmitError>,
        port: &mut impl Output,
    ) -> Option<RequestId> {
        match submitted {
            Ok(request) => return Some(request),
            Err(SubmitError::Invalid(failure)) => self.complain_of(failure, &[], port),
            Err(error) => self.complain(error, port),
        }
        None
    }

    /// Signals audit, once for everything that was sent and for the room that reading has made.
    fn signal_audit(&mut self, port: &mut impl Output) {
        if self.client.take_owed_signal() {
            port.notify_audit();
        }
    }

    pub(crate) fn halt(&mut self, port: &mut impl Output) {
        self.activity = Activity::Halted;
        port.halt();
    }
}

//! The shell itself: all state in one struct, driven by input and by audit's signals.

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

/// What the shell keeps in buffers: 325 KiB, two fifths of it text of jobs. It lies outside of [`Shell`] so that a
/// runtime with a small stack can make it a static, and is all zeros when it is new.
#[derive(Debug)]
pub struct Memory {
    buffers: Buffers,
    client: sel4_llm_client::Memory,
    /// The words of the line at hand, which the command that is run refers to.
    words: Words,
    /// What audit has said at hand, which the event that is handled refers to.
    inbox: Inbox,
    /// What waits to be written.
    output: Transmit,
}

// The figure that is promised above.
const _: () = assert!(size_of::<Memory>() <= 326 * 1024);

impl Memory {
    /// Empty buffers.
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
    /// Input that waits for the command under way.
    pub(crate) type_ahead: Queue<TYPE_AHEAD_BYTES>,
    pub(crate) editor: Editor,
    pub(crate) history: History,
    pub(crate) names: Names,
    pub(crate) jobs: Jobs,
    /// Adapters that the command under way loads after what it waits for.
    pub(crate) to_load: heapless::Deque<ModelName, MAX_ADAPTERS>,
    /// The words of the `llmchat` that began the conversation: what they say holds for each of its turns.
    pub(crate) chat_words: Words,
    /// The prompt that the text under way goes on from, until there is text: what is refused goes on from nothing.
    pub(crate) echo: heapless::Vec<u8, MAX_PROMPT_BYTES>,
}

/// Bytes that are read before the command under way is done: two lines of the greatest length. When they are there, nothing
/// more is read, and the UART or the pipe holds the sender back, so no script is too long.
const TYPE_AHEAD_BYTES: usize = 2 * crate::MAX_LINE_BYTES;

/// The prompt of a line that goes on.
const GO_ON: &str = "... ";

/// A list of names that is asked for once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Models,
    Users,
    Adapters,
    Formats,
}

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be shown.
    Show,
    /// The model that was loaded, to be shown.
    Load,
    /// The adapters, to be shown.
    Adapters,
    /// The adapter that was loaded, to be shown.
    LoadAdapter,
    /// This adapter, loaded after a model by the same command, to be shown.
    LoadBeside(ModelName),
    /// The end of this adapter.
    DropAdapter(ModelName),
    /// Counters, to be shown as JSON.
    StatsJson,
    /// The models, to be shown.
    Models,
    /// The formats, to be shown.
    Formats,
    /// One's sessions, to be shown.
    Sessions,
    /// Whether the model can be talked to.
    Chat,
    /// One's sessions, so that a conversation gets a name of its own. These are in use.
    NameChat(Taken),
    /// One's sessions, so that a conversation with this one knows whether it goes on.
    FindChat {
        session: SessionName,
        has_begun: bool,
    },
    /// The end of this session, which was a conversation's.
    LeaveChat(SessionName),
    /// The end of this session, which then is no longer known.
    Close(SessionName),
    /// Who has logged in without a passphrase, or that this user needs one.
    LoginWithout(UserName),
    /// Who has logged in.
    Login,
    /// Who is left after a logout.
    Logout,
    /// Who is left after the logout that the end of the input is.
    EndOfInput,
    /// Whether the system may be halted.
    Halt,
    /// Counters, which say whether inference is stopped, before it is started again.
    BeforeReset,
    /// Whether inference may be started again, which was stopped or not.
    Reset { was_stopped: bool },
    /// Who is logged in.
    WhoAmI,
    /// Names for the word that is being typed.
    Complete(List),
}

/// What a progress bar is about, and its percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    /// A load or the reading of data.
    Stage(Stage, u64),
    /// A fine-tuning.
    Training(u64),
}

/// Requests whose wait was given up and that may still change who is logged in.
const MAX_GIVEN_UP: usize = 8;

/// What the shell is waiting for. Each of these states is left by Ctrl-C, whatever audit and inference do: at once, or,
/// where the end of what is under way is worth seeing, by a second one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Audit's word that the system is ready.
    Booting,
    /// A line.
    Idle,
    /// A line that is this user's passphrase.
    Passphrase(UserName),
    /// The answer to a question.
    Asking {
        request: RequestId,
        purpose: Purpose,
    },
    /// The text of a generation.
    Generating {
        request: RequestId,
        /// It has been asked to stop.
        interrupted: bool,
        /// The text so far ends a line.
        at_line_start: bool,
    },
    /// The rest of a job's text.
    Waiting {
        request: RequestId,
        job: u32,
        at_line_start: bool,
    },
    /// Entries of the log.
    Reading {
        request: RequestId,
        json: bool,
        /// They do not end by themselves.
        follow: bool,
        interrupted: bool,
    },
    /// Counters, every second.
    Watching {
        request: RequestId,
        json: bool,
        interrupted: bool,
    },
    /// The end of a fine-tuning.
    Tuning {
        request: RequestId,
        /// It has been asked to stop.
        interrupted: bool,
    },
    /// The rest of an adapter's file.
    Exporting {
        request: RequestId,
        /// It has been asked to stop.
        interrupted: bool,
    },
    /// Nothing: the system is over.
    Halted,
}

/// What the end of the input, or Ctrl-D, still asks for once the command under way is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It has not come.
    NotDue,
    /// To leave the conversation, or else to log out.
    Leave,
    /// To say that all is done.
    Tell,
}

/// What was shown of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) entries: u64,
    /// Sequence number that follows on the last entry.
    pub(crate) next: u64,
    /// Some in between were not sent.
    pub(crate) gaps: bool,
}

/// What a failure is about: the detail, or the user who may not do what was asked for.
pub(crate) fn about<'a>(failure: Failure, detail: &'a [u8], user: &'a UserName) -> &'a [u8] {
    if failure.code == ErrorCode::NotPermitted && detail.is_empty() {
        user.as_str().as_bytes()
    } else {
        detail
    }
}

/// The shell. One per domain, for the domain's life.
pub struct Shell<'m, R, W> {
    session: Session<'m, R, W>,
    words: &'m mut Words,
    inbox: &'m mut Inbox,
    output: &'m mut Transmit,
}

/// Everything but the line and the message at hand.
pub(crate) struct Session<'m, R, W> {
    pub(crate) client: Client<'m, R, W>,
    pub(crate) mode: Mode,
    pub(crate) screen: Screen,
    pub(crate) activity: Activity,
    pub(crate) keys: Keys,
    pub(crate) sanitiser: Sanitiser,
    pub(crate) user: User,
    /// Who is logged in at boot; the prompt names others.
    pub(crate) default_user: UserName,
    /// Whether the loaded model can be talked to, as far as the shell has been told. Otherwise it completes texts.
    pub(crate) talks: Option<bool>,
    /// What asks for that, which nobody waits for.
    pub(crate) asks_for_model: Option<RequestId>,
    /// Audit has said that the system is ready. A prompt may come before that, after a Ctrl-C.
    pub(crate) is_ready: bool,
    /// It was said that audit speaks another version of the protocol.
    pub(crate) version_told: bool,
    /// Logins and logouts that nobody waits for any more. They are done all the same, so their answers are still read: the
    /// prompt must name the user who is logged in.
    pub(crate) given_up: heapless::Deque<RequestId, MAX_GIVEN_UP>,
    /// What the progress bar shows.
    pub(crate) bar: Option<Bar>,
    /// Columns that it takes.
    pub(crate) drawn_over: usize,
    /// What of an adapter was not printed yet.
    pub(crate) export: Export,
    pub(crate) shown: Shown,
    /// What the command under way names: a model, a session, a user. Audit does not repeat it.
    pub(crate) subject: heapless::Vec<u8, MAX_NAME_BYTES>,
    /// The format that the text under way is bound to; empty for none.
    pub(crate) asked_format: FormatName,
    /// The conversation that lines are said in; without one they are commands.
    pub(crate) chat: Option<Chat>,
    pub(crate) ending: Ending,
    pub(crate) buffers: &'m mut Buffers,
}

impl<'m, R: ReadWords, W: WriteWords> Shell<'m, R, W> {
    /// A shell that waits for audit to begin.
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

    /// Whether there is room for more input. Without it the runtime does not read, so that the
    /// sender is held back and nothing is lost.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.session.wants_input()
    }

    #[cfg(test)]
    pub(crate) fn session_for_tests(&self) -> &Session<'m, R, W> {
        &self.session
    }

    /// The console has input: reads what there is room for, and does what it says.
    pub fn on_input(&mut self, port: &mut impl Port) {
        let mut output = self.output.before(port);
        self.session.on_input(self.words, &mut output);
        self.session.signal_audit(&mut output);
        if output.settle() {
            self.on_signal(port);
        }
    }

    /// The console has room: writes what has waited, and goes on.
    pub fn on_room(&mut self, port: &mut impl Port) {
        self.on_signal(port);
    }

    /// Audit has signalled: reads its ring, and the console in between, since a Ctrl-C must not wait for the printing of
    /// all that is in the ring. Then does what input has waited for.
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
        // The console never fails.
        let _ = write!(Console { port, mode }, "{text}");
    }

    /// Writes a line; on a terminal that has said how wide it is, in rows that end between words.
    pub(crate) fn print_line(&self, text: impl Display, port: &mut impl Output) {
        let mode = self.mode;
        write_line(Console { port, mode }, self.screen.known_columns(), text);
    }

    /// Writes a line that a program may read: as it is, however long.
    pub(crate) fn print_exactly(&self, text: impl Display, port: &mut impl Output) {
        self.print(format_args!("{text}\n"), port);
    }

    /// A text in a style, if the terminal has colours.
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

    /// Shows where to type, and what has been typed already. The cursor stands at the beginning of a row.
    pub(crate) fn prompt(&mut self, port: &mut impl Output) {
        if self.mode == Mode::Plain || self.ending != Ending::NotDue {
            return;
        }
        let question = self.screen.question();
        self.print(question, port);
        self.prompt_again(port);
    }

    /// As [`Self::prompt`], and asks the terminal nothing.
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

    /// Writes who types where; how many columns that takes.
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

    /// The terminal has said how wide it is: the prompt that shows is drawn anew, in its colours and its width.
    pub(crate) fn adapt(&mut self, port: &mut impl Output) {
        if self.is_at_prompt() && self.ending == Ending::NotDue {
            self.print("\r\x1b[K", port);
            self.prompt_again(port);
            self.ask_for_model();
        }
    }

    /// Ends the row of the prompt: what was typed there is left above, whole.
    pub(crate) fn leave_prompt(&mut self, port: &mut impl Output) {
        let mode = self.mode;
        let console = &mut Console { port, mode };
        let _ = self.buffers.editor.leave(GO_ON, console);
        let _ = console.write_char('\n');
        if self.screen.has_sequences() {
            let _ = console.write_str(PASTE_OFF);
        }
    }

    /// Answers with a text, and waits for the next line.
    pub(crate) fn answer(&mut self, text: impl Display, port: &mut impl Output) {
        self.print_line(text, port);
        self.become_idle(port);
    }

    /// Answers with a text that a program may read, and waits for the next line.
    pub(crate) fn answer_exactly(&mut self, text: impl Display, port: &mut impl Output) {
        self.print_exactly(text, port);
        self.become_idle(port);
    }

    /// Says why something is not done, and waits for the next line.
    pub(crate) fn complain(&mut self, error: impl Display, port: &mut impl Output) {
        self.print_styled(Style::Error, format_args!("error: {error}"), port);
        self.become_idle(port);
    }

    pub(crate) fn complain_of(&mut self, failure: Failure, detail: &[u8], port: &mut impl Output) {
        let user = self.user.name;
        let detail = about(failure, detail, &user);
        self.complain(FailureText { failure, detail }, port);
    }

    /// Whether a prompt and perhaps the beginning of a line show.
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

    /// Writes a line that no command has asked for.
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

    /// Tells of jobs of the user that have ended, with the cursor at the beginning of a line.
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

    /// A job has ended: tells of it at once if the user has nothing else to look at.
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

    /// Asks audit, and waits for the answer.
    pub(crate) fn ask(&mut self, request: &Request<'_>, purpose: Purpose, port: &mut impl Output) {
        if let Some(request) = self.submit(request, port) {
            self.activity = Activity::Asking { request, purpose };
        }
    }

    /// Submits a request. If that cannot be done, says why, and waits for the next line.
    pub(crate) fn submit(
        &mut self,
        request: &Request<'_>,
        port: &mut impl Output,
    ) -> Option<RequestId> {
        let submitted = self.client.submit(request);
        self.submitted(submitted, port)
    }

    /// The request that was submitted, if it was.
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

    /// Has audit look at what was sent, and at the room that reading has made: once for all that was done.
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

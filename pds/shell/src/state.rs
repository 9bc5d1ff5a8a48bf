//! The state of the shell: what it waits for, why, and all that it keeps from one line to the next.

use crate::armour::Armour;
use crate::console::Mode;
use crate::conversation::{Chat, Taken};
use crate::editor::Editor;
use crate::history::History;
use crate::jobs::Jobs;
use crate::keys::Keys;
use crate::names::Names;
use crate::queue::Queue;
use crate::screen::Screen;
use crate::text::Bar;
use crate::words::Words;
use protocol::limits::{MAX_ADAPTERS, MAX_NAME_BYTES, MAX_PROMPT_BYTES};
use protocol::name::{FormatName, ModelName, SessionName, UserName};
use protocol::wire::client::User;
use safe_text::Sanitiser;
use sel4_llm_client::{Client, RequestId};

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

impl Buffers {
    pub(crate) const fn new() -> Self {
        Self {
            type_ahead: Queue::new(),
            editor: Editor::new(),
            history: History::new(),
            names: Names::new(),
            jobs: Jobs::new(),
            to_load: heapless::Deque::new(),
            chat_words: Words::new(),
            echo: heapless::Vec::new(),
        }
    }
}

/// Bytes that are read before the running command ends: two lines of the greatest length. If they are full, nothing
/// more is read, and the UART or the pipe holds the sender back. So no script is too long.
const TYPE_AHEAD_BYTES: usize = 2 * crate::MAX_LINE_BYTES;

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

/// The state of the shell, except the current line and message.
pub(crate) struct ShellState<'m, R, W> {
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
    pub(crate) export: Armour,
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

impl<'m, R, W> ShellState<'m, R, W> {
    /// The state at boot.
    pub(crate) fn new(client: Client<'m, R, W>, mode: Mode, buffers: &'m mut Buffers) -> Self {
        Self {
            client,
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
            export: Armour::new(),
            shown: Shown::default(),
            subject: heapless::Vec::new(),
            asked_format: FormatName::EMPTY,
            chat: None,
            ending: Ending::NotDue,
            buffers,
        }
    }
}

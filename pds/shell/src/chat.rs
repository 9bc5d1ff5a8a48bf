//! A conversation on the console: `llmchat`.
//!
//! Every line is said to the model as a turn of a session, until the user leaves. The rule that keeps it honest: a line
//! is sent as a segment with the user's role, never as a text to complete. If the model has no chat template, or
//! another one without a template was loaded meanwhile, the turn is refused.

use crate::command::{Ask, Command};
use crate::console::{Port, Style};
use crate::conversation::{Chat, Taken};
use crate::history::Place;
use crate::infer::{Said, check, submit};
use crate::parse::parse;
use crate::state::{Activity, Purpose, ShellState};
use crate::suggest::nearest;
use crate::table::{CHAT_COMMANDS, LEAVING};
use crate::text::{CHAT_HELP, FailureText, Untrusted};
use crate::words::Words;
use core::fmt::{self, Display, Formatter};
use protocol::error::{ErrorCode, Failure};
use protocol::name::SessionName;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{self, Event, Request, SessionState, Status};
use sel4_llm_client::RequestId;

/// The command that began the conversation.
fn command(words: &Words) -> Option<Ask<'_>> {
    match parse(words) {
        Ok(Command::Chat(ask)) => Some(ask),
        _ => None,
    }
}

impl<R: ReadWords, W: WriteWords> ShellState<'_, R, W> {
    // ---- The beginning ----------------------------------------------------------------------------

    /// Asks whether the model has a chat template, if these options are valid.
    pub(crate) fn ask_to_chat(&mut self, ask: &Ask<'_>, words: &Words, port: &mut impl Port) {
        // Invalid options would be invalid in every turn.
        if let Err(failure) = check(&mut self.client, ask) {
            return self.complain_of(failure, &[], port);
        }
        self.buffers.chat_words.copy(words);
        self.ask(&Request::Status, Purpose::Chat, port);
    }

    /// Begins the conversation if the model has a chat template.
    pub(crate) fn meet(&mut self, status: &Status, port: &mut impl Port) {
        let name = status.name.as_str().as_bytes();
        if name.is_empty() {
            return self.complain_of(Failure::of(ErrorCode::NoModel), &[], port);
        }
        if status.model.template.is_empty() {
            return self.complain_of(Failure::of(ErrorCode::NoTemplate), name, port);
        }
        let ask = command(&self.buffers.chat_words);
        let session = ask.map_or(SessionName::EMPTY, |ask| ask.session);
        if session.is_empty() {
            // Its name must differ from those of all other sessions.
            let purpose = Purpose::NameChat(Taken::default());
            return self.ask(&Request::Sessions, purpose, port);
        }
        if ask.is_some_and(|ask| ask.system.is_some()) {
            // A system text can only come before the first turn.
            let has_begun = false;
            let purpose = Purpose::FindChat { session, has_begun };
            return self.ask(&Request::Sessions, purpose, port);
        }
        self.begin_chat(session, true, true, port);
    }

    /// Notes whether this is the session that the conversation shall continue, and whether it has had a turn.
    pub(crate) fn note_session(&mut self, sought: SessionName, found: &client::SessionEntry) {
        let holds = matches!(found.state, SessionState::Idle | SessionState::Active);
        if let Activity::Asking { purpose, .. } = &mut self.activity
            && found.name == sought
            && holds
        {
            let has_begun = true;
            *purpose = Purpose::FindChat {
                session: sought,
                has_begun,
            };
        }
    }

    /// Begins a conversation with a session of this name, or continues it.
    pub(crate) fn begin_found_chat(
        &mut self,
        session: SessionName,
        has_begun: bool,
        port: &mut impl Port,
    ) {
        if has_begun {
            self.print_styled(Style::Aside, LateSystem(session), port);
        }
        self.begin_chat(session, true, !has_begun, port);
    }

    /// Notes that one of the user's sessions has this name.
    pub(crate) fn note_name(&mut self, mut taken: Taken, name: &SessionName) {
        taken.add(name);
        if let Activity::Asking { purpose, .. } = &mut self.activity {
            *purpose = Purpose::NameChat(taken);
        }
    }

    /// Begins a conversation that closes its session when the user leaves.
    pub(crate) fn begin_unnamed_chat(&mut self, taken: Taken, port: &mut impl Port) {
        self.begin_chat(taken.free_name(), false, true, port);
    }

    fn begin_chat(
        &mut self,
        session: SessionName,
        is_named: bool,
        begins: bool,
        port: &mut impl Port,
    ) {
        self.chat = Some(Chat {
            session,
            is_named,
            begins,
            last: None,
        });
        self.buffers.history.enter(Place::Chat);
        let text = "say something; Ctrl-C stops the answer, /exit or Ctrl-D leaves";
        self.print_styled(Style::Aside, text, port);
        self.become_idle(port);
    }

    // ---- Turns ------------------------------------------------------------------------------------

    /// Runs a line of the conversation: a command, or something to say to the model.
    pub(crate) fn run_chat_line(&mut self, chat: Chat, line: &[u8], port: &mut impl Port) {
        match line.trim_ascii() {
            [] => self.become_idle(port),
            b"/exit" => self.leave_chat(chat, port),
            b"/help" => self.answer(CHAT_HELP, port),
            [b'/', b'/', ..] => {
                // A first slash means that a second one is said.
                let slash = line.iter().position(|byte| *byte == b'/');
                let after = slash.map_or(0, |slash| slash.saturating_add(1));
                self.say(chat, line.get(after..).unwrap_or(&[]), port);
            }
            [b'/', ..] => {
                let (typed, more) = first_word(line);
                let word = Untrusted(typed);
                let name = typed.get(1..).unwrap_or(&[]);
                let is_leaving = LEAVING.iter().any(|other| other.as_bytes() == name);
                let meant = is_leaving.then_some("/exit");
                match meant.or_else(|| nearest(typed, CHAT_COMMANDS.iter().copied())) {
                    Some(known) if known.as_bytes() == typed => self.complain(
                        format_args!(
                            "'{}' cannot follow {known}, which stands alone; begin the line with // to say it",
                            Untrusted(more)
                        ),
                        port,
                    ),
                    Some(nearest) => self.complain(
                        format_args!("no command '{word}' in a conversation; did you mean '{nearest}'? \
                                      Begin the line with // to say it"),
                        port,
                    ),
                    None => self.complain(
                        format_args!("no command '{word}' in a conversation; see /help, or begin the line with // to say it"),
                        port,
                    ),
                }
            }
            _ => self.say(chat, line, port),
        }
    }

    fn say(&mut self, mut chat: Chat, line: &[u8], port: &mut impl Port) {
        let Some(ask) = command(&self.buffers.chat_words) else {
            // The options were valid when the conversation began.
            return self.leave_chat(chat, port);
        };
        let ask = Ask {
            session: chat.session,
            system: ask.system.filter(|_| chat.begins),
            ..ask
        };
        self.asked_format = ask.format;
        let adapter = ask.adapter.as_str().as_bytes();
        self.subject = heapless::Vec::from_slice(adapter).unwrap_or_default();
        let submitted = submit(&mut self.client, &ask, Said::ByUser, line);
        if let Some(request) = self.submitted(submitted, port) {
            chat.last = Some(request);
            self.chat = Some(chat);
            self.begin_generation(request, chat.session);
        }
    }

    /// Notes what the end of a turn means for the session, even if nobody waits for it.
    pub(crate) fn note_turn(&mut self, request: RequestId, event: &Event<'_>) {
        let Some(chat) = self.chat.as_mut().filter(|chat| chat.last == Some(request)) else {
            return;
        };
        match event {
            Event::Finished(_) => chat.begins = false,
            Event::Failed { failure, .. } if has_ended(failure.code) => chat.begins = true,
            // A job of the same user has started it meanwhile.
            Event::Failed { failure, .. } if failure.code == ErrorCode::SegmentRole => {
                chat.begins = false;
            }
            _ => {}
        }
    }

    /// Audit was restarted: the session is gone.
    pub(crate) const fn forget_session(&mut self) {
        if let Some(chat) = &mut self.chat {
            chat.begins = true;
        }
    }

    /// After a turn was refused or has failed: waits for the next line, if there can be one.
    pub(crate) fn go_on_after(&mut self, code: ErrorCode, port: &mut impl Port) {
        match self.chat {
            Some(chat) if ends_chat(code) => self.leave_chat(chat, port),
            Some(_) if code == ErrorCode::SegmentRole => {
                let text = "--system is left out from now on: say that again";
                self.print_styled(Style::Aside, text, port);
                self.become_idle(port);
            }
            Some(_) if has_ended(code) => {
                let text = "the next line starts the conversation again";
                self.print_styled(Style::Aside, text, port);
                self.become_idle(port);
            }
            _ => self.become_idle(port),
        }
    }

    // ---- The end ----------------------------------------------------------------------------------

    /// Returns to commands, and closes the session unless the user has named it.
    pub(crate) fn leave_chat(&mut self, chat: Chat, port: &mut impl Port) {
        self.chat = None;
        self.buffers.chat_words.wipe();
        self.buffers.history.enter(Place::Command);
        if chat.is_named || chat.last.is_none() {
            return self.become_idle(port);
        }
        let session = chat.session;
        self.ask(
            &Request::Close { session },
            Purpose::LeaveChat(session),
            port,
        );
    }

    /// The session of a conversation that was left has been closed, or cannot be.
    pub(crate) fn end_chat(
        &mut self,
        session: SessionName,
        failure: Option<Failure>,
        port: &mut impl Port,
    ) {
        match failure {
            // No turn got far enough to start one.
            None
            | Some(Failure {
                code: ErrorCode::NoSuchSession,
                ..
            }) => {
                let user = self.user.name;
                self.buffers.names.remove_session(user, session);
                self.become_idle(port);
            }
            Some(failure) => {
                let text = FailureText {
                    failure,
                    detail: &[],
                };
                self.complain(
                    format_args!(
                        "{text}; 'llmctl close {session}' ends the conversation's session"
                    ),
                    port,
                );
            }
        }
    }
}

/// Warns that the system text of a conversation is not used.
struct LateSystem(SessionName);

impl Display for LateSystem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(session) = self;
        write!(
            f,
            "the session '{session}' has begun, so --system is ignored; after 'llmctl close {session}' it can \
             start again"
        )
    }
}

/// The first word of a line, and the rest.
fn first_word(line: &[u8]) -> (&[u8], &[u8]) {
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace);
    let (word, more) = end
        .and_then(|at| line.split_at_checked(at))
        .unwrap_or((line, &[]));
    (word, more.trim_ascii())
}

/// Whether the session was already gone before this request was refused. The next turn then starts it.
const fn has_ended(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::SessionEvicted | ErrorCode::SessionLost)
}

/// Whether every turn would be refused like this, because of the options of `llmchat` or the model.
const fn ends_chat(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NoTemplate
            | ErrorCode::NoSystem
            | ErrorCode::UnknownFormat
            | ErrorCode::FormatNotAllowed
            | ErrorCode::FormatNeeded
            | ErrorCode::FormatNotSpelled
            | ErrorCode::NoSuchAdapter
            | ErrorCode::AdapterNotLoaded
            | ErrorCode::OtherAdapter
            | ErrorCode::MaxTokens
            | ErrorCode::NotPermitted
    )
}

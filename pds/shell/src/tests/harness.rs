//! A console and audit's end of the ring.

pub(super) use crate::screen::{PASTE_OFF, PASTE_ON, QUESTION};
pub(super) use crate::{HALT_LINE, Memory, Mode, Port, READY_LINE, Shell};
pub(super) use protocol::error::{ErrorCode, Failure};
pub(super) use protocol::name::Name;
pub(super) use protocol::ring::Frame;
pub(super) use protocol::wire::FinishReason;
pub(super) use protocol::wire::client::{Event, Finished, Request, Stats, Status, User};
pub(super) use std::format;
pub(super) use std::string::{String, ToString};
pub(super) use std::vec::Vec;

use protocol::testing::{TestEndpoint, TestRegion, all_of_endpoints};
use std::boxed::Box;
use std::collections::VecDeque;

#[derive(Default)]
pub(super) struct Terminal {
    pub(super) input: VecDeque<u8>,
    pub(super) output: Vec<u8>,
    pub(super) signals: usize,
    /// Number of writes.
    pub(super) writes: usize,
    /// How often everything was reported done.
    pub(super) input_done: usize,
    pub(super) halted: bool,
    /// Bytes until it is full; unlimited if `None`.
    pub(super) room: Option<usize>,
    /// After it was full, it has room for everything by the next time that the shell looks.
    pub(super) catches_up: bool,
    /// Whether the shell wants to be called when there is room.
    pub(super) wants_room: bool,
}

impl Port for Terminal {
    fn notify_audit(&mut self) {
        self.signals += 1;
    }
    fn write(&mut self, bytes: &[u8]) -> usize {
        let taken = self.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        self.room = self.room.map(|room| room - taken);
        self.output.extend(&bytes[..taken]);
        self.writes += 1;
        if self.catches_up && taken < bytes.len() {
            self.room = None;
        }
        taken
    }
    fn want_room(&mut self, wanted: bool) {
        self.wants_room = wanted;
    }
    fn read(&mut self) -> Option<u8> {
        self.input.pop_front()
    }
    fn input_done(&mut self) {
        self.input_done += 1;
    }
    fn halt(&mut self) {
        self.halted = true;
    }
}

pub(super) struct System {
    pub(super) shell: Shell<'static, TestRegion, TestRegion>,
    pub(super) terminal: Terminal,
    pub(super) audit: TestEndpoint,
    /// The region that the shell writes.
    pub(super) region: TestRegion,
    /// The region that audit writes.
    pub(super) theirs: TestRegion,
}

/// A request as audit saw it: its number and its debug text.
pub(super) type Asked = Vec<(u32, String)>;

pub(super) fn name<const N: usize>(text: &str) -> Name<N> {
    Name::new(text).unwrap()
}

pub(super) fn user(text: &str, has_passphrase: u32) -> User {
    User {
        name: name(text),
        role: name("reader"),
        permissions: 1,
        has_passphrase,
    }
}

impl System {
    /// A shell that has heard nothing from audit.
    pub(super) fn off(mode: Mode) -> Self {
        let (mut audit, end, region, theirs) = all_of_endpoints();
        audit.lead(1);
        let memory = Box::leak(Box::new(Memory::new()));
        Self {
            shell: Shell::new(end, mode, memory),
            terminal: Terminal::default(),
            audit,
            region,
            theirs,
        }
    }

    pub(super) fn boot(mode: Mode) -> Self {
        let mut system = Self::off(mode);
        system.say(0, &Event::Ready(user("guest", 0)));
        if mode == Mode::Terminal {
            system.type_in("\x1b[24;80R");
            let number = system.asked_for("Status");
            let mut status = Status {
                name: name("default"),
                ..Status::default()
            };
            status.model.template = name("chatml");
            system.say(number, &Event::Status(status));
        }
        system
    }

    pub(super) fn plain() -> Self {
        let mut system = Self::boot(Mode::Plain);
        assert_eq!(system.output(), format!("{READY_LINE}\n"));
        system
    }

    /// A terminal with a prompt.
    pub(super) fn terminal() -> Self {
        let mut system = Self::boot(Mode::Terminal);
        assert!(system.output().ends_with("\x1b[1mllm> \x1b[0m"));
        system
    }

    pub(super) fn say(&mut self, number: u32, event: &Event<'_>) {
        let mut frame = Frame::new();
        event.write(number, &mut frame);
        self.audit.send(&frame).unwrap();
        self.shell.on_signal(&mut self.terminal);
    }

    pub(super) fn type_in(&mut self, text: impl AsRef<[u8]>) {
        self.terminal.input.extend(text.as_ref());
        self.shell.on_input(&mut self.terminal);
    }

    /// The output since the last call, without questions and settings for the terminal.
    pub(super) fn output(&mut self) -> String {
        let mut output = self.all_output();
        for sequence in [QUESTION, PASTE_ON, PASTE_OFF] {
            output = output.replace(sequence, "");
        }
        output
    }

    pub(super) fn all_output(&mut self) -> String {
        String::from_utf8(core::mem::take(&mut self.terminal.output)).unwrap()
    }

    pub(super) fn asked(&mut self) -> Asked {
        let (mut frame, mut asked) = (Frame::new(), Vec::new());
        while self.audit.receive(&mut frame).unwrap() {
            let request = Request::parse(&frame).unwrap();
            let text = match request {
                Request::Infer {
                    params,
                    session,
                    adapter,
                    format,
                    parts,
                } => {
                    let with = match adapter.is_empty() {
                        true => String::new(),
                        false => format!(" with {adapter}"),
                    };
                    let form = match format.is_empty() {
                        true => String::new(),
                        false => format!(" as {format}"),
                    };
                    format!("{} {session:?} {parts:?}{with}{form}", params.max_tokens)
                }
                Request::Login { user, passphrase } => {
                    let passphrase = passphrase.map(|bytes| String::from_utf8_lossy(bytes));
                    format!("Login {user} {passphrase:?}")
                }
                Request::Example { text } => {
                    format!("Example {}", String::from_utf8_lossy(text))
                }
                other => format!("{other:?}"),
            };
            asked.push((frame.header().request, text));
        }
        self.shell.on_signal(&mut self.terminal);
        asked
    }

    /// The number of the request, which must be the only one.
    pub(super) fn asked_for(&mut self, text: &str) -> u32 {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert_eq!(asked[0].1, text);
        asked[0].0
    }

    /// Types a line that must send one request, and returns its number.
    pub(super) fn request(&mut self, line: &str) -> u32 {
        self.type_in(format!("{line}\n"));
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{line}: {asked:?}");
        asked[0].0
    }

    pub(super) fn token(&mut self, number: u32, text: &[u8]) {
        self.say(number, &Event::Text { tokens: 1, text });
    }

    pub(super) fn fail(&mut self, number: u32, failure: Failure, detail: &[u8]) {
        self.say(number, &Event::Failed { failure, detail });
    }

    /// Lists users: guest, and admin with a passphrase.
    pub(super) fn list_users(&mut self, number: u32) {
        self.say(number, &Event::User(user("guest", 0)));
        self.say(number, &Event::User(user("admin", 1)));
        self.say(number, &Event::Listed { count: 2 });
    }

    /// Types `login`, up to the question for the passphrase.
    pub(super) fn begin_login(&mut self, who: &str) {
        let number = self.request(&format!("login {who}"));
        self.fail(number, Failure::of(ErrorCode::PassphraseNeeded), b"");
    }

    /// Logs in with the passphrase "secret".
    pub(super) fn log_in(&mut self, who: &str) {
        self.begin_login(who);
        let number = self.request("secret");
        self.say(number, &Event::User(user(who, 1)));
    }
}

pub(super) fn finished(reason: FinishReason) -> Event<'static> {
    Event::Finished(Finished {
        reason,
        prompt_tokens: 5,
        generated_tokens: 48,
        turn: 1,
        first_token_us: 210_000,
        total_us: 4_000_000,
        held_us: 0,
    })
}

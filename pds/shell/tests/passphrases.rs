//! A passphrase leaves nothing behind in the shell's memory.
//!
//! This is a separate crate, because looking at memory as bytes is unsafe, which the shell forbids.

use protocol::error::{ErrorCode, Failure};
use protocol::name::UserName;
use protocol::ring::Frame;
use protocol::testing::{TestEndpoint, TestRegion, endpoints};
use protocol::wire::client::{Event, Request, User};
use shell::{Memory, Mode, Port, Shell};
use std::collections::VecDeque;
use std::mem::MaybeUninit;

/// Bytes that occur in nothing else here: no command, name, text or message.
const PASSPHRASE: &str = "\u{f1}\u{f2}\u{f3}Q~Q~Z^Z^";
const TRACES: &[u8] = b"\xb1\xb2\xb3Q~Z^";

#[derive(Default)]
struct Terminal {
    input: VecDeque<u8>,
    output: Vec<u8>,
}

impl Port for Terminal {
    fn notify_audit(&mut self) {}
    fn write(&mut self, bytes: &[u8]) -> usize {
        self.output.extend(bytes);
        bytes.len()
    }
    fn want_room(&mut self, _: bool) {}
    fn read(&mut self) -> Option<u8> {
        self.input.pop_front()
    }
    fn input_done(&mut self) {}
    fn halt(&mut self) {}
}

/// A shell's memory in an allocation that was all zeros, so all of its bytes can be read.
struct Zeroed(Box<MaybeUninit<Memory>>);

impl Zeroed {
    fn new() -> Self {
        let mut memory = Box::new(MaybeUninit::<Memory>::zeroed());
        // SAFETY: the pointer is the box's, and all zeros are a valid `Memory::new`, which the assertion below checks.
        let new = unsafe { memory.assume_init_mut() };
        assert_eq!(format!("{new:?}"), format!("{:?}", Memory::new()));
        Self(memory)
    }

    fn memory(&mut self) -> &mut Memory {
        // SAFETY: `new` has initialised it.
        unsafe { self.0.assume_init_mut() }
    }

    fn traces(&self) -> Vec<(usize, u8)> {
        let start = self.0.as_ptr().cast::<u8>();
        (0..size_of::<Memory>())
            .filter_map(|at| {
                // SAFETY: inside the box, to which no reference exists, and all of whose bytes were zeroed before.
                let byte = unsafe { start.wrapping_add(at).read_volatile() };
                TRACES.contains(&byte).then_some((at, byte))
            })
            .collect()
    }
}

struct System<'m> {
    shell: Shell<'m, TestRegion, TestRegion>,
    terminal: Terminal,
    audit: TestEndpoint,
}

impl<'m> System<'m> {
    fn new(memory: &'m mut Memory) -> Self {
        let (mut audit, end, _) = endpoints();
        audit.lead(1);
        let mut system = Self {
            shell: Shell::new(end, Mode::Terminal, memory),
            terminal: Terminal::default(),
            audit,
        };
        system.say(0, &Event::Ready(user("guest", 0)));
        system
    }

    fn say(&mut self, number: u32, event: &Event<'_>) {
        let mut frame = Frame::new();
        event.write(number, &mut frame);
        self.audit.send(&frame).unwrap();
        self.shell.on_signal(&mut self.terminal);
    }

    fn type_in(&mut self, text: &str) {
        self.terminal.input.extend(text.as_bytes());
        self.shell.on_input(&mut self.terminal);
    }

    /// The number of the next login that the shell requests, and its passphrase.
    fn login(&mut self) -> Option<(u32, Option<Vec<u8>>)> {
        let mut frame = Frame::new();
        while self.audit.receive(&mut frame).unwrap() {
            if let Ok(Request::Login { passphrase, .. }) = Request::parse(&frame) {
                return Some((frame.header().request, passphrase.map(<[u8]>::to_vec)));
            }
        }
        None
    }

    fn need_passphrase(&mut self) {
        let (number, passphrase) = self.login().expect("a login");
        assert_eq!(passphrase, None);
        let failure = Failure::of(ErrorCode::PassphraseNeeded);
        self.say(
            number,
            &Event::Failed {
                failure,
                detail: b"",
            },
        );
    }
}

fn user(name: &str, has_passphrase: u32) -> User {
    User {
        name: UserName::new(name).unwrap(),
        role: UserName::new("reader").unwrap(),
        permissions: 1,
        has_passphrase,
    }
}

#[test]
fn after_a_login_no_byte_of_the_passphrase_is_in_the_shells_memory() {
    let mut memory = Zeroed::new();
    assert_eq!(memory.traces(), []);
    let mut system = System::new(memory.memory());
    // Typed ahead, so it waits in the queue; with keys that delete and move.
    system.type_in(&format!(
        "login admin\r{PASSPHRASE}Z\x7f^\x08Q~\x15{PASSPHRASE}\r"
    ));
    system.need_passphrase();
    let (number, passphrase) = system.login().expect("a login");
    assert_eq!(passphrase.as_deref(), Some(PASSPHRASE.as_bytes()));
    system.say(number, &Event::User(user("admin", 1)));
    system.type_in("whoami\r");
    assert_eq!(memory.traces(), []);
}

#[test]
fn nor_after_one_that_was_given_up_was_too_long_or_stood_on_the_line_of_the_command() {
    let long = PASSPHRASE.repeat(20);
    for rest in [
        format!("{PASSPHRASE}\x03"),
        format!("{long}\r"),
        // Cancelled while it waits in the queue.
        String::new(),
    ] {
        let mut memory = Zeroed::new();
        let mut system = System::new(memory.memory());
        system.type_in("login admin\r");
        if rest.is_empty() {
            system.type_in(&format!("{PASSPHRASE}\x03"));
        } else {
            system.need_passphrase();
            system.type_in(&rest);
        }
        assert_eq!(system.login().and_then(|(_, passphrase)| passphrase), None);
        assert_eq!(memory.traces(), [], "{rest:?}");
    }
    let mut memory = Zeroed::new();
    let mut system = System::new(memory.memory());
    system.type_in(&format!("login admin {PASSPHRASE}\r"));
    assert!(system.login().is_none());
    assert_eq!(memory.traces(), []);
}

#[test]
fn nor_in_the_line_that_history_puts_aside() {
    for keys in ["\x1b[A\x03", "\x1b[A\x1b[B\r", "\x1b[A\r"] {
        let mut memory = Zeroed::new();
        {
            let mut system = System::new(memory.memory());
            system.type_in("help\r");
            system.type_in(&format!("login admin {PASSPHRASE}"));
            system.type_in(keys);
        }
        assert_eq!(memory.traces(), [], "{keys:?}");
    }
}

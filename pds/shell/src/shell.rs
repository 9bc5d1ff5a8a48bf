//! The shell itself: all state in one struct, driven by input and by audit's signals.

use crate::READY_LINE;
use crate::command::{Command, Words};
use crate::input::{Edit, INTERRUPT, Line, TypeAhead};
use crate::sanitise::Sanitiser;
use crate::text::{
    Closing, FailureText, FaultText, Help, ModelLine, RecoveredText, StatsText, StatusText,
    Untrusted,
};
use core::fmt::{self, Display, Write as _};
use protocol::error::Failure;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, SLOTS};
use protocol::wire::{self, Event, Request};

/// What the shell needs from its runtime.
pub trait Port {
    /// Tells audit to look at its ring.
    fn notify_audit(&mut self);
    /// Writes to the console.
    fn write(&mut self, bytes: &[u8]);
    /// The next byte of the console, if there is one. The end of the input is byte 0x04.
    fn read(&mut self) -> Option<u8>;
    /// Ends the session.
    fn halt(&mut self);
}

/// What is at the other end of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A terminal in raw mode: the shell echoes, prompts, and ends lines with `\r\n`.
    Terminal,
    /// A pipe: lines come in, text goes out.
    Plain,
}

/// What is asked for at the beginning of a line.
const PROMPT: &str = "llm> ";

/// What the shell is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    /// Audit's word that the system is ready.
    Booting,
    /// A line.
    Idle,
    /// The answer to a question.
    Asking(u32),
    /// The text of a generation.
    Generating {
        request: u32,
        /// It has been asked to stop.
        interrupted: bool,
        /// The text so far ends a line.
        at_line_start: bool,
    },
    /// Nothing: the session is over.
    Halted,
}

/// The shell. One per domain, for the domain's life.
pub struct Shell<R, W> {
    session: Session<R, W>,
    /// The message at hand. Beside the rest, so that what handles it can change that.
    incoming: Frame,
}

/// Everything but the message at hand.
struct Session<R, W> {
    ring: Endpoint<R, W>,
    mode: Mode,
    activity: Activity,
    type_ahead: TypeAhead,
    line: Line,
    words: Words,
    sanitiser: Sanitiser,
    last_request: u32,
    /// The input is over; end the session when the command under way is done.
    input_over: bool,
    outgoing: Frame,
}

/// The console as a place to format to.
struct Console<'p, P> {
    port: &'p mut P,
    mode: Mode,
}

impl<P: Port> fmt::Write for Console<'_, P> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive('\n') {
            match part.strip_suffix('\n') {
                Some(line) if self.mode == Mode::Terminal => {
                    self.port.write(line.as_bytes());
                    self.port.write(b"\r\n");
                }
                _ => self.port.write(part.as_bytes()),
            }
        }
        Ok(())
    }
}

impl<R: ReadWords, W: WriteWords> Shell<R, W> {
    /// A shell that waits for audit to begin.
    #[must_use]
    pub const fn new(ring: Endpoint<R, W>, mode: Mode) -> Self {
        Self {
            session: Session {
                ring,
                mode,
                activity: Activity::Booting,
                type_ahead: TypeAhead::new(),
                line: Line::new(),
                words: Words::new(),
                sanitiser: Sanitiser::new(),
                last_request: 0,
                input_over: false,
                outgoing: Frame::new(),
            },
            incoming: Frame::new(),
        }
    }

    /// Whether there is room for more input. Without it the runtime does not read, so that the
    /// sender is held back and nothing is lost.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        !self.session.type_ahead.is_full()
    }

    /// The console has input: reads what there is room for, and does what it says.
    pub fn on_input(&mut self, port: &mut impl Port) {
        self.session.on_input(port);
    }

    /// Audit has signalled: reads its ring, then what input has waited for.
    pub fn on_signal(&mut self, port: &mut impl Port) {
        self.session.on_signal(&mut self.incoming, port);
    }
}

impl<R: ReadWords, W: WriteWords> Session<R, W> {
    fn on_input(&mut self, port: &mut impl Port) {
        while !self.type_ahead.is_full() {
            match port.read() {
                Some(INTERRUPT) => self.interrupt(port),
                Some(byte) => self.type_ahead.push(byte),
                None => break,
            }
            self.run_lines(port);
        }
    }

    fn on_signal(&mut self, frame: &mut Frame, port: &mut impl Port) {
        self.ring.follow();
        for _ in 0..SLOTS {
            // A violation is dropped: audit is trusted, so there is none.
            if self.ring.receive(frame) != Ok(true) {
                break;
            }
            if let Ok(event) = Event::parse(frame) {
                self.handle(frame.header().request, &event, port);
            }
        }
        if self.ring.take_owed_signal() {
            port.notify_audit();
        }
        self.run_lines(port);
        self.on_input(port);
    }

    // ---- Output -------------------------------------------------------------------------------

    fn print(&self, text: impl Display, port: &mut impl Port) {
        // The console never fails.
        let _ = write!(
            Console {
                port,
                mode: self.mode
            },
            "{text}"
        );
    }

    fn print_line(&self, text: impl Display, port: &mut impl Port) {
        let _ = writeln!(
            Console {
                port,
                mode: self.mode
            },
            "{text}"
        );
    }

    fn become_idle(&mut self, port: &mut impl Port) {
        self.activity = Activity::Idle;
        if self.mode == Mode::Terminal && !self.input_over {
            self.print(PROMPT, port);
        }
    }

    /// Writes a line that no command has asked for.
    fn notice(&mut self, text: impl Display, port: &mut impl Port) {
        match &mut self.activity {
            Activity::Generating { at_line_start, .. } if !*at_line_start => {
                *at_line_start = true;
                self.print("\n", port);
            }
            Activity::Idle if self.mode == Mode::Terminal => self.print("\n", port),
            _ => {}
        }
        self.print_line(format_args!("audit: {text}"), port);
        if self.activity == Activity::Idle {
            self.become_idle(port);
            let typed = core::str::from_utf8(self.line.bytes()).unwrap_or("");
            if self.mode == Mode::Terminal {
                self.print(typed, port);
            }
        }
    }

    // ---- Input --------------------------------------------------------------------------------

    /// Ctrl-C: ends the generation under way, and forgets what was typed.
    fn interrupt(&mut self, port: &mut impl Port) {
        self.type_ahead.clear();
        self.line.clear();
        match self.activity {
            Activity::Generating {
                request,
                interrupted: false,
                at_line_start,
            } => {
                self.activity = Activity::Generating {
                    request,
                    interrupted: true,
                    at_line_start,
                };
                self.send(request, &Request::Cancel, port);
            }
            Activity::Idle => {
                self.print_line("^C", port);
                self.become_idle(port);
            }
            _ => {}
        }
    }

    /// Edits and runs lines for as long as no command is under way.
    fn run_lines(&mut self, port: &mut impl Port) {
        while self.activity == Activity::Idle {
            if self.input_over {
                self.halt(port);
                return;
            }
            let Some(byte) = self.type_ahead.pop() else {
                return;
            };
            let echo = self.mode == Mode::Terminal;
            match self.line.push(byte) {
                Edit::None => {}
                Edit::Added(byte) => {
                    if echo {
                        port.write(&[byte]);
                    }
                }
                Edit::Erased(columns) => {
                    for _ in 0..columns {
                        if echo {
                            port.write(b"\x08 \x08");
                        }
                    }
                }
                Edit::Complete => self.run_line(port),
                Edit::EndOfInput => {
                    self.input_over = true;
                    self.run_line(port);
                }
            }
        }
    }

    /// Runs the line that is complete.
    fn run_line(&mut self, port: &mut impl Port) {
        if self.mode == Mode::Terminal {
            self.print("\n", port);
        }
        let mut words = core::mem::replace(&mut self.words, Words::new());
        if let Some(bytes) = self.line.too_long() {
            let limit = crate::input::MAX_LINE_BYTES;
            self.print_line(
                format_args!("error: the line has {bytes} bytes, at most {limit} are allowed"),
                port,
            );
            self.become_idle(port);
        } else {
            match words.split(self.line.bytes()) {
                Ok(()) => match words.command() {
                    Ok(command) => self.run(&command, port),
                    Err(error) => self.complain(error, port),
                },
                Err(error) => self.complain(error, port),
            }
        }
        self.line.clear();
        self.words = words;
    }

    fn complain(&mut self, error: impl Display, port: &mut impl Port) {
        self.print_line(format_args!("error: {error}"), port);
        self.become_idle(port);
    }

    fn run(&mut self, command: &Command<'_>, port: &mut impl Port) {
        let request = match *command {
            Command::Empty => return self.become_idle(port),
            Command::Help(topic) => {
                self.print_line(Help(topic), port);
                return self.become_idle(port);
            }
            Command::Exit => return self.halt(port),
            Command::Infer { params, prompt } => {
                // A prompt that is too long fits no message; all else audit decides.
                if let Err(failure) = wire::check_prompt(prompt) {
                    return self.complain(
                        FailureText {
                            failure,
                            detail: &[],
                        },
                        port,
                    );
                }
                Request::Infer { params, prompt }
            }
            Command::Load(name) => {
                if let Err(failure) = wire::check_name(name) {
                    return self.complain(
                        FailureText {
                            failure,
                            detail: &[],
                        },
                        port,
                    );
                }
                Request::Load { name }
            }
            Command::Models => Request::Models,
            Command::Status => Request::Status,
            Command::Stats => Request::Stats,
            Command::Cancel => Request::Cancel,
        };
        self.last_request = self.last_request.wrapping_add(1).max(1);
        let number = self.last_request;
        self.activity = match request {
            Request::Infer { .. } => {
                self.sanitiser = Sanitiser::new();
                Activity::Generating {
                    request: number,
                    interrupted: false,
                    at_line_start: true,
                }
            }
            _ => Activity::Asking(number),
        };
        self.send(number, &request, port);
    }

    fn send(&mut self, number: u32, request: &Request<'_>, port: &mut impl Port) {
        request.write(number, &mut self.outgoing);
        match self.ring.send(&self.outgoing) {
            Ok(()) => port.notify_audit(),
            Err(error) => self.complain(format_args!("audit takes no requests: {error}"), port),
        }
    }

    fn halt(&mut self, port: &mut impl Port) {
        self.activity = Activity::Halted;
        port.halt();
    }

    // ---- Events -------------------------------------------------------------------------------

    /// Whether an event belongs to the command under way.
    fn is_current(&self, number: u32) -> bool {
        match self.activity {
            Activity::Asking(request) | Activity::Generating { request, .. } => request == number,
            _ => false,
        }
    }

    fn handle(&mut self, number: u32, event: &Event<'_>, port: &mut impl Port) {
        match *event {
            Event::Ready => {
                if self.activity == Activity::Booting {
                    self.print_line(READY_LINE, port);
                    self.become_idle(port);
                }
            }
            Event::Fault(fault) => self.notice(FaultText(fault), port),
            Event::Recovered { after_us, restarts } => {
                self.notice(RecoveredText { after_us, restarts }, port);
            }
            Event::Failed { failure, detail } if number == 0 => {
                self.notice(FailureText { failure, detail }, port);
            }
            _ if !self.is_current(number) => {}
            Event::Token { text, .. } => self.print_model_text(text, port),
            Event::Finished(finished) => self.close_generation(&Closing(finished), port),
            Event::Failed { failure, detail } => self.fail(failure, detail, port),
            Event::Model { entry, name } => {
                let mark = if entry.loaded == 1 { '*' } else { ' ' };
                let (bytes, name) = (entry.file_bytes, Untrusted(name.as_bytes()));
                self.print_line(format_args!("{mark} {name} ({bytes} bytes)"), port);
            }
            Event::Listed { count } => {
                self.answer(
                    format_args!("{count} models in the store; * is loaded"),
                    port,
                );
            }
            Event::Loaded { info, name } => {
                self.answer(format_args!("loaded {}", ModelLine { info, name }), port);
            }
            Event::Status { status, model } => self.answer(StatusText { status, model }, port),
            Event::Stats(stats) => self.answer(StatsText(stats), port),
        }
    }

    fn answer(&mut self, text: impl Display, port: &mut impl Port) {
        self.print_line(text, port);
        self.become_idle(port);
    }

    fn print_model_text(&mut self, text: &[u8], port: &mut impl Port) {
        let mut console = Console {
            port,
            mode: self.mode,
        };
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
    fn close_generation(&mut self, closing: &impl Display, port: &mut impl Port) {
        let mut console = Console {
            port,
            mode: self.mode,
        };
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
        self.answer(closing, port);
    }

    fn fail(&mut self, failure: Failure, detail: &[u8], port: &mut impl Port) {
        let text = FailureText { failure, detail };
        if matches!(self.activity, Activity::Generating { .. }) {
            self.close_generation(&format_args!("error: {text}"), port);
        } else {
            self.complain(text, port);
        }
    }
}

//! A person at a terminal of some size: tests compare the *screen*, not the bytes.
//!
//! The terminal is the `vt100` crate. It does not answer queries, so this module does, as a terminal of that size
//! would: for the cursor's position (`ESC [6n`) and its type (`ESC [c`). [`Term::Dumb`] answers nothing, and a control
//! sequence sent to it fails the test, because it would be visible.
//!
//! To add a case to `tests/console.rs`:
//!
//! ```no_run
//! use sel4_llm_tests::person::{Person, Term};
//! let mut person = Person::start(40, Term::Xterm);   // the shell's prompt shows
//! person.type_in("whoami\r");
//! person.wait_for("guest");                           // until it is on the screen
//! person.wait_for_prompt();                           // until the last line is a prompt
//! assert!(person.text().contains("\nguest (reader"));  // scrollback and screen, trailing spaces removed
//! person.leave();                                     // Ctrl-], and the status must be 0
//! ```
//!
//! A line wrapped by the terminal itself is one line of [`Person::text`] and several of [`Person::rows`].

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use expectrl::process::unix::WaitStatus;
use expectrl::session::{OsSession, Session as Console};
use expectrl::{Eof, Expect as _};

use crate::{PATIENCE, waiting};

/// Rows of the terminal.
const ROWS: u16 = 24;
/// Rows kept after scrolling off the top: more than a test prints.
const SCROLLBACK: usize = 4000;
/// Interval between two looks at the console.
const TICK: Duration = Duration::from_millis(5);
/// Silence after which the screen is not expected to change any more. An emulated system on a busy machine is
/// slow to answer a key.
const QUIET: Duration = Duration::from_millis(400);

/// What a terminal can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// It supports control sequences and answers queries.
    Xterm,
    /// It supports only carriage return, backspace and line feed.
    Dumb,
}

/// What the terminal sends to the system.
#[derive(Debug, Default)]
struct Answers(Vec<u8>);

impl vt100::Callbacks for Answers {
    fn unhandled_csi(
        &mut self,
        screen: &mut vt100::Screen,
        first: Option<u8>,
        _: Option<u8>,
        parameters: &[&[u16]],
        last: char,
    ) {
        match (first, parameters, last) {
            (None, [[6]], 'n') => {
                let (row, column) = screen.cursor_position();
                let answer = format!("\x1b[{};{}R", row + 1, column + 1);
                self.0.extend(answer.into_bytes());
            }
            (None, _, 'c') => self.0.extend(b"\x1b[?62;22c"),
            _ => {}
        }
    }
}

/// A person and their terminal.
pub struct Person {
    session: OsSession,
    terminal: vt100::Parser<Answers>,
    term: Term,
    /// Bytes per second that the terminal accepts; `None` for no limit.
    rate: Option<u32>,
    /// All bytes accepted so far.
    taken: Vec<u8>,
    since: Instant,
}

fn size(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("a terminal has rows and columns")
}

impl Person {
    /// Starts the system at a terminal of this many columns, and waits for the prompt.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(columns: u16, term: Term) -> Self {
        Self::start_of("SEL4_LLM_RUN", columns, term)
    }

    /// Like [`Self::start`], for the system that this environment variable names.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_of(variable: &str, columns: u16, term: Term) -> Self {
        let mut person = Self::launch(variable, columns, term);
        person.wait_for("sel4-llm is ready.");
        person.wait_for_prompt();
        person.settle();
        person
    }

    /// Like [`Self::start_of`], without waiting.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn launch(variable: &str, columns: u16, term: Term) -> Self {
        let mut command = crate::command(variable);
        command.env(
            "TERM",
            match term {
                Term::Xterm => "xterm-256color",
                Term::Dumb => "dumb",
            },
        );
        let mut session = Console::spawn(command).expect("the system starts");
        let process = session.get_process_mut();
        process
            .set_window_size(columns, ROWS)
            .expect("the terminal has a size");
        Self {
            session,
            terminal: vt100::Parser::new_with_callbacks(
                size(ROWS),
                size(columns),
                SCROLLBACK,
                Answers::default(),
            ),
            term,
            rate: None,
            taken: Vec::new(),
            since: Instant::now(),
        }
    }

    /// From now on, the terminal is a serial line with this bit rate, ten bits per byte.
    pub const fn slow_down(&mut self, baud: u32) {
        self.rate = Some(baud / 10);
    }

    /// Resizes the window to another width.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn resize(&mut self, columns: u16) {
        self.terminal.set_size(size(ROWS), size(columns));
        let process = self.session.get_process_mut();
        process
            .set_window_size(columns, ROWS)
            .expect("the terminal has a size");
    }

    // ---- Hands ------------------------------------------------------------------------------------

    /// Types keys.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn type_in(&mut self, keys: impl AsRef<[u8]>) {
        self.session.send(keys).expect("the terminal takes input");
    }

    /// Pastes as a terminal does: in brackets if the shell asked for them, with line breaks as the Enter key.
    pub fn paste(&mut self, text: &str) {
        self.look();
        let text = text.replace('\n', "\r");
        if self.terminal.screen().bracketed_paste() {
            self.type_in(format!("\x1b[200~{text}\x1b[201~"));
        } else {
            self.type_in(text);
        }
    }

    // ---- Eyes -------------------------------------------------------------------------------------

    /// Processes new output and lets the terminal answer. Returns whether there was any.
    ///
    /// # Panics
    /// A dumb terminal got a control sequence.
    pub fn look(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let most = match self.rate {
            None => bytes.len(),
            // What a line of that speed transmits between two looks.
            Some(rate) => {
                let carried = u128::from(rate) * self.since.elapsed().as_millis() / 1000;
                usize::try_from(carried).unwrap_or(0).min(bytes.len())
            }
        };
        if most == 0 {
            return false;
        }
        let Ok(count @ 1..) = self.session.try_read(&mut bytes[..most]) else {
            self.since = Instant::now();
            return false;
        };
        self.since = Instant::now();
        let came = &bytes[..count];
        self.taken.extend(came);
        if self.term == Term::Dumb {
            assert!(
                !came.contains(&0x1b),
                "a dumb terminal got {:?}",
                String::from_utf8_lossy(came)
            );
        }
        self.terminal.process(came);
        let answers = std::mem::take(&mut self.terminal.callbacks_mut().0);
        if !answers.is_empty() && self.term == Term::Xterm {
            self.type_in(answers);
        }
        true
    }

    /// Looks until a condition holds.
    ///
    /// # Panics
    /// It never holds.
    pub fn wait_until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        loop {
            let came = self.look();
            if so(self) {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "no {what} on the screen:\n{}",
                self.text()
            );
            if !came {
                std::thread::sleep(TICK);
            }
        }
    }

    /// Looks until `text` is, or was, on the screen.
    ///
    /// # Panics
    /// It does not appear.
    pub fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |person| person.text().contains(text));
    }

    /// Looks until the last line is an empty prompt.
    ///
    /// # Panics
    /// There is no prompt.
    pub fn wait_for_prompt(&mut self) {
        self.wait_until("prompt", |person| {
            let text = person.text();
            let last = text.lines().next_back().unwrap_or_default();
            last.ends_with("llm>") || last.ends_with("chat>")
        });
    }

    /// Types a command and returns the output between its line and the next prompt.
    ///
    /// # Panics
    /// It is not answered.
    pub fn ask(&mut self, command: &str) -> String {
        let before = self.text().lines().count();
        self.type_in(format!("{command}\r"));
        self.wait_until(command, |person| {
            let text = person.text();
            let prompt = text.lines().next_back().unwrap_or_default();
            text.lines().count() > before && prompt.ends_with("llm>")
        });
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[before..lines.len() - 1].join("\n")
    }

    /// Looks until nothing changes any more.
    pub fn settle(&mut self) {
        let mut last = Instant::now();
        while last.elapsed() < QUIET {
            if self.look() {
                last = Instant::now();
            } else {
                std::thread::sleep(TICK);
            }
        }
    }

    /// Everything visible, including what scrolled away. A line wrapped by the terminal is one line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut screen = self.terminal.screen().clone();
        let (_, columns) = screen.size();
        let mut text = String::new();
        screen.set_scrollback(usize::MAX);
        let mut above = screen.scrollback();
        // The rows above one at a time, then the screen as a whole.
        loop {
            let wrapped = |row| screen.row_wrapped(row);
            if above == 0 {
                for (row, line) in (0..).zip(screen.rows(0, columns.get())) {
                    text.push_str(&line);
                    if !wrapped(row) {
                        text.push('\n');
                    }
                }
                break;
            }
            if let Some(line) = screen.rows(0, columns.get()).next() {
                text.push_str(&line);
                if !wrapped(0) {
                    text.push('\n');
                }
            }
            above -= 1;
            screen.set_scrollback(above);
        }
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// The rows of the screen as shown, without empty ones at the end.
    #[must_use]
    pub fn rows(&self) -> Vec<String> {
        let screen = self.terminal.screen();
        let (_, columns) = screen.size();
        let mut rows: Vec<String> = screen
            .rows(0, columns.get())
            .map(|row| row.trim_end().to_owned())
            .collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    /// Row and column of the cursor, from 0.
    #[must_use]
    pub fn cursor(&self) -> (u16, u16) {
        self.terminal.screen().cursor_position()
    }

    /// The screen itself, for colours and modes.
    #[must_use]
    pub fn screen(&self) -> &vt100::Screen {
        self.terminal.screen()
    }

    /// Whether any cell of the screen has a colour or an emphasis.
    #[must_use]
    pub fn has_colour(&self) -> bool {
        let screen = self.terminal.screen();
        let (rows, columns) = screen.size();
        (0..rows.get()).any(|row| {
            (0..columns.get()).any(|column| {
                screen.cell(row, column).is_some_and(|cell| {
                    cell.bold() || cell.dim() || cell.fgcolor() != vt100::Color::Default
                })
            })
        })
    }

    /// Whether all cells of this text are dimmed. It must be on one row.
    #[must_use]
    pub fn is_dim(&self, text: &str) -> bool {
        let screen = self.terminal.screen();
        let (_, columns) = screen.size();
        (0..).zip(screen.rows(0, columns.get())).any(|(row, line)| {
            let Some(at) = line.find(text) else {
                return false;
            };
            let start = line[..at].chars().count();
            (start..start + text.chars().count()).all(|column| {
                let column = u16::try_from(column).unwrap_or(u16::MAX);
                screen.cell(row, column).is_some_and(vt100::Cell::dim)
            })
        })
    }

    /// All bytes received so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.taken
    }

    // ---- The end ----------------------------------------------------------------------------------

    /// Leaves with Ctrl-], which the runtime handles itself, and waits for the end.
    ///
    /// # Panics
    /// It does not end, or has a status other than 0.
    pub fn leave(mut self) {
        self.type_in("\x1d");
        waiting::wait_for(&mut self.session, &Eof, PATIENCE).expect("the end of the output");
        match self.session.get_process().wait() {
            Ok(WaitStatus::Exited(_, 0)) => {}
            other => panic!("ended as {other:?}"),
        }
    }
}

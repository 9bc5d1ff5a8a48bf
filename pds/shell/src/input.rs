//! What keys do: the line, its history, its completion, Ctrl-C.

use crate::command::{BUDGET_OPTIONS, COMMANDS, CONTROLS};
use crate::complete::{Candidates, Source, source};
use crate::console::{CLEAR_SCREEN, Console, Mode, Port, Style};
use crate::keys::{END_OF_INPUT, INTERRUPT, Key, Keys};
use crate::shell::{Activity, Buffers, List, Purpose, Session};
use crate::suggest::nearest;
use crate::text::BootText;
use crate::words::Words;
use core::fmt::Write as _;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_PASSPHRASE_BYTES;
use protocol::name::UserName;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::Request;

/// Places in the ring that a line needs: its request, and the cancellation of it.
const PLACES: usize = 2;

/// Keys that one byte completes at most.
const KEYS: usize = 4;

/// Longest word that is completed.
const LONGEST_WORD: usize = 64;

impl<R: ReadWords, W: WriteWords> Session<'_, R, W> {
    pub(crate) fn on_input(&mut self, words: &mut Words, port: &mut impl Port) {
        self.run_lines(words, port);
        while !self.buffers.type_ahead.is_full() {
            let Some(byte) = port.read() else { break };
            self.take(byte, port);
            self.run_lines(words, port);
        }
    }

    /// Reads what was typed while a command is under way; a Ctrl-C in it acts at once.
    pub(crate) fn look_for_interrupt(&mut self, port: &mut impl Port) {
        while !self.is_at_prompt() && !self.buffers.type_ahead.is_full() {
            let Some(byte) = port.read() else { break };
            self.take(byte, port);
        }
    }

    fn take(&mut self, byte: u8, port: &mut impl Port) {
        match byte {
            INTERRUPT => self.interrupt(port),
            _ => self.buffers.type_ahead.push(byte),
        }
    }

    /// Ctrl-C: ends what is under way, and forgets what was typed.
    fn interrupt(&mut self, port: &mut impl Port) {
        self.buffers.type_ahead.clear();
        self.keys = Keys::new();
        match &mut self.activity {
            Activity::Booting => self.ask_before_ready(port),
            // These have an end that is worth seeing: what it cost, the line that makes an export verifiable.
            Activity::Generating {
                request,
                interrupted: interrupted @ false,
                ..
            }
            | Activity::Reading {
                request,
                follow: true,
                interrupted: interrupted @ false,
                ..
            }
            | Activity::Watching {
                request,
                interrupted: interrupted @ false,
                ..
            } => {
                *interrupted = true;
                let request = *request;
                self.send(request, &Request::Cancel, port);
            }
            // Whoever asks twice does not want to wait for it.
            Activity::Generating { at_line_start, .. } => {
                let end = if *at_line_start { "" } else { "\n" };
                self.answer(format_args!("{end}^C"), port);
            }
            Activity::Reading {
                follow: true,
                interrupted: true,
                ..
            }
            | Activity::Watching { .. } => self.answer("^C", port),
            Activity::Reading { request, .. } => {
                let request = *request;
                self.give_up(request, port);
                self.answer("^C", port);
            }
            Activity::Asking { request, purpose } => {
                let (request, purpose) = (*request, *purpose);
                self.give_up(request, port);
                self.end_bar(port);
                match purpose {
                    Purpose::Complete(_) => self.drop_line(port),
                    Purpose::Load => self.answer(
                        "^C: asked audit to stop the load; 'llmctl status' says which model is loaded",
                        port,
                    ),
                    Purpose::LoginWithout(_) | Purpose::Login | Purpose::Logout => {
                        self.remember_given_up(request);
                        self.answer("^C: 'whoami' says who is logged in", port);
                    }
                    _ => self.answer("^C", port),
                }
            }
            Activity::Waiting {
                job, at_line_start, ..
            } => {
                let end = if *at_line_start { "" } else { "\n" };
                let job = *job;
                self.answer(format_args!("{end}job {job} goes on"), port);
            }
            Activity::Idle => self.drop_line(port),
            Activity::Passphrase(_) => {
                self.buffers.editor.clear();
                self.answer("^C", port);
            }
            Activity::Halted => {}
        }
    }

    /// Drops the line that is being typed.
    fn drop_line(&mut self, port: &mut impl Port) {
        self.buffers.editor.end();
        self.draw(port);
        self.buffers.editor.clear();
        self.buffers.history.leave();
        if self.ring.free() < PLACES {
            self.answer(
                "^C: audit has not read what it was asked; commands wait until it does",
                port,
            );
        } else {
            self.answer("^C", port);
        }
    }

    /// Asks audit to stop what is under way. Nobody waits for the answer: when it comes, its number is nobody's.
    fn give_up(&mut self, request: u32, port: &mut impl Port) {
        Request::Cancel.write(request, &mut self.buffers.outgoing);
        // A line is run only while there is room for this, too. Without it the answer is as little waited for.
        if self.ring.send(&self.buffers.outgoing).is_ok() {
            port.notify_audit();
        }
    }

    fn remember_given_up(&mut self, request: u32) {
        if self.given_up.is_full() {
            self.given_up.pop_front();
        }
        let _ = self.given_up.push_back(request);
    }

    /// Ctrl-C before the system is ready: says what is waited for, and asks audit something that it always answers. If it
    /// does, there is a prompt, also if its word that the system is ready was lost.
    fn ask_before_ready(&mut self, port: &mut impl Port) {
        if self.bar.is_some() && self.mode == Mode::Terminal {
            self.print("\n", port);
        }
        self.print_styled(Style::Notice, BootText(self.bar), port);
        self.ring.follow();
        if self.ring.free() >= PLACES {
            let number = self.next_request();
            self.send(number, &Request::WhoAmI, port);
        }
    }

    /// Edits and runs lines for as long as no command is under way.
    fn run_lines(&mut self, words: &mut Words, port: &mut impl Port) {
        while matches!(self.activity, Activity::Idle | Activity::Passphrase(_)) {
            if self.input_over && self.activity == Activity::Idle {
                self.halt(port);
                return;
            }
            let byte = match self.buffers.type_ahead.peek() {
                Some(byte) => byte,
                // The passphrase's line was not ended either.
                None if self.input_over => END_OF_INPUT,
                None => return,
            };
            // Audit signals when it has read, and then this goes on. Until then a line can be edited.
            if may_ask(byte) && self.ring.free() < PLACES {
                return;
            }
            self.buffers.type_ahead.pop();
            let mut pressed = heapless::Vec::<Key, KEYS>::new();
            self.keys.push(byte, &mut |key| {
                let _ = pressed.push(key);
            });
            for key in pressed {
                match self.activity {
                    Activity::Passphrase(user) => self.press_secretly(&key, user, port),
                    _ => self.press(key, words, port),
                }
            }
        }
    }

    fn draw(&mut self, port: &mut impl Port) {
        if self.mode == Mode::Terminal {
            let mode = self.mode;
            let _ = self.buffers.editor.draw(&mut Console { port, mode });
        }
    }

    fn press(&mut self, key: Key, words: &mut Words, port: &mut impl Port) {
        let (mode, is_terminal) = (self.mode, self.mode == Mode::Terminal);
        let Buffers {
            editor, history, ..
        } = &mut *self.buffers;
        match key {
            Key::Typed(text) => {
                editor.insert(&text);
                if is_terminal {
                    let _ = editor.draw_typed(text.len(), &mut Console { port, mode });
                }
                return;
            }
            Key::Enter => return self.run_line(words, port),
            Key::EndOfInput => {
                self.input_over = true;
                return self.run_line(words, port);
            }
            Key::Backspace => editor.backspace(),
            Key::KillToStart => editor.kill_to_start(),
            Key::KillWord => editor.kill_word(),
            Key::Tab if !is_terminal => editor.insert(b"\t"),
            // A pipe has lines and no keys.
            _ if !is_terminal => return,
            Key::Tab => return self.complete(port),
            Key::Left => editor.left(),
            Key::Right => editor.right(),
            Key::Home => editor.home(),
            Key::End => editor.end(),
            Key::WordLeft => editor.word_left(),
            Key::WordRight => editor.word_right(),
            Key::Delete => editor.delete(),
            Key::KillToEnd => editor.kill_to_end(),
            Key::Up => {
                if let Some(line) = history.older(editor.bytes()) {
                    editor.set(line);
                }
            }
            Key::Down => {
                if let Some(line) = history.newer() {
                    editor.set(line);
                }
            }
            Key::ClearScreen => {
                self.print(CLEAR_SCREEN, port);
                return self.prompt(port);
            }
        }
        self.draw(port);
    }

    /// Runs the line that is complete.
    fn run_line(&mut self, words: &mut Words, port: &mut impl Port) {
        if self.mode == Mode::Terminal {
            self.print("\n", port);
        }
        let Buffers {
            editor, history, ..
        } = &mut *self.buffers;
        if let Some(bytes) = editor.too_long() {
            editor.clear();
            let limit = crate::MAX_LINE_BYTES;
            return self.complain(
                format_args!("the line has {bytes} bytes, at most {limit} are allowed"),
                port,
            );
        }
        if self.mode == Mode::Terminal && !may_hold_a_passphrase(editor.bytes()) {
            history.add(editor.bytes());
        }
        history.leave();
        let split = words.split(editor.bytes());
        editor.clear();
        match split.and_then(|()| crate::command::parse(words)) {
            Ok(command) => self.run(&command, port),
            Err(error) => self.complain(error, port),
        }
        words.wipe();
    }

    // ---- Passphrases ------------------------------------------------------------------------------

    /// A key of a passphrase: nothing shows, and nothing is kept.
    fn press_secretly(&mut self, key: &Key, user: UserName, port: &mut impl Port) {
        let editor = &mut self.buffers.editor;
        match key {
            Key::Typed(text) => editor.insert(text),
            Key::Tab => editor.insert(b"\t"),
            Key::Backspace => editor.backspace(),
            Key::KillToStart => editor.kill_to_start(),
            Key::Enter | Key::EndOfInput => {
                self.input_over |= *key == Key::EndOfInput;
                if self.mode == Mode::Terminal {
                    self.print("\n", port);
                }
                self.log_in(user, port);
            }
            _ => {}
        }
    }

    /// Sends user and passphrase, which is the line.
    fn log_in(&mut self, user: UserName, port: &mut impl Port) {
        let editor = &mut self.buffers.editor;
        let len = editor.too_long().unwrap_or(editor.bytes().len());
        if len > MAX_PASSPHRASE_BYTES {
            editor.clear();
            let limit = MAX_PASSPHRASE_BYTES as u64;
            let failure = Failure::over(ErrorCode::PassphraseLength, len as u64, limit);
            return self.complain_of(failure, &[], port);
        }
        let number = self.next_request();
        self.activity = Activity::Asking {
            request: number,
            purpose: Purpose::Login,
        };
        let passphrase = Some(self.buffers.editor.bytes());
        Request::Login { user, passphrase }.write(number, &mut self.buffers.outgoing);
        self.buffers.editor.clear();
        self.transmit(port);
        self.secret_sent = true;
        self.buffers.outgoing.wipe();
    }

    /// Waits for the user's passphrase, which is the next line.
    pub(crate) fn ask_for_passphrase(&mut self, user: UserName, port: &mut impl Port) {
        self.activity = Activity::Passphrase(user);
        if self.mode == Mode::Terminal {
            self.print("passphrase: ", port);
        }
    }

    // ---- Completion -------------------------------------------------------------------------------

    /// Tab: completes the word before the cursor as far as that is possible, else lists what there is.
    pub(crate) fn complete(&mut self, port: &mut impl Port) {
        let before = self.buffers.editor.before_cursor();
        let (source, start) = source(before);
        let word = before.get(start..).unwrap_or(&[]);
        let Ok(typed) = heapless::Vec::<u8, LONGEST_WORD>::from_slice(word) else {
            return;
        };
        let names = &self.buffers.names;
        match source {
            Source::Models if !names.models_are_known => {
                return self.ask(&Request::Models, Purpose::Complete(List::Models), port);
            }
            Source::Users | Source::UsersOrOptions if !names.users_are_known => {
                return self.ask(&Request::Users, Purpose::Complete(List::Users), port);
            }
            _ => {}
        }
        let mut candidates = Candidates::new(&typed);
        let user = self.user.name;
        each(source, self.buffers, user, &mut |word| {
            candidates.offer(word)
        });
        let extension = candidates.extension();
        if candidates.count > 1 && extension.is_empty() {
            self.print("\n", port);
            let mut console = Console {
                port,
                mode: self.mode,
            };
            each(source, self.buffers, user, &mut |word| {
                if candidates.fits(word) {
                    let _ = write!(console, "{word}  ");
                }
            });
            self.print("\n", port);
            return self.prompt(port);
        }
        self.buffers.editor.insert(extension);
        if candidates.count == 1 {
            self.buffers.editor.insert(b" ");
        }
        self.draw(port);
    }
}

/// Gives every word of `source` to `take`.
fn each(source: Source, buffers: &Buffers, user: UserName, take: &mut dyn FnMut(&str)) {
    let names = &buffers.names;
    match source {
        Source::Nowhere => {}
        Source::Words(words) => words.iter().for_each(|word| take(word)),
        Source::Topics => COMMANDS.iter().chain(CONTROLS).for_each(|word| take(word)),
        Source::Models => names.models.iter().for_each(|name| take(name.as_str())),
        Source::Users => names.users.iter().for_each(|user| take(user.name.as_str())),
        Source::UsersOrOptions => {
            names.users.iter().for_each(|user| take(user.name.as_str()));
            BUDGET_OPTIONS.iter().for_each(|word| take(word));
        }
        Source::Sessions => names.sessions(user).for_each(|name| take(name.as_str())),
        Source::Jobs => {
            for job in buffers.jobs.of(user) {
                let mut number = heapless::String::<10>::new();
                // A u32 has ten digits at most.
                let _ = write!(number, "{}", job.id);
                take(&number);
            }
        }
    }
}

/// Whether a key may send a request: the end of a line, or Tab.
const fn may_ask(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b'\t' | END_OF_INPUT)
}

/// Whether more follows on the name after what was meant as `login`. It is no command, but it must not be kept.
fn may_hold_a_passphrase(line: &[u8]) -> bool {
    let mut words = line
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty());
    let is_login = words
        .next()
        .is_some_and(|word| nearest(word, COMMANDS) == Some("login"));
    is_login && words.nth(1).is_some()
}

//! Handles keys: the line, its history, passphrases.

use crate::console::{CLEAR_SCREEN, Console, Mode, Port};
use crate::keys::{END_OF_INPUT, INTERRUPT, Key};
use crate::quotes::{End, end};
use crate::screen::{Answer, HELD_BYTES};
use crate::state::{Activity, Buffers, Ending, Purpose, ShellState};
use crate::suggest::nearest;
use crate::table::COMMANDS;
use crate::text::HowToLeave;
use crate::words::Words;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_PASSPHRASE_BYTES;
use protocol::name::UserName;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::Request;

/// Most keys that one byte can complete.
const KEYS: usize = 4;

impl<R: ReadWords, W: WriteWords> ShellState<'_, R, W> {
    pub(crate) fn on_input(&mut self, words: &mut Words, port: &mut impl Port) {
        self.run_lines(words, port);
        while self.wants_input() {
            let Some(byte) = port.read() else { break };
            self.take(byte, port);
            self.run_lines(words, port);
        }
    }

    /// Reads input while a command runs. A Ctrl-C in it acts at once.
    pub(crate) fn look_for_interrupt(&mut self, port: &mut impl Port) {
        while !self.is_at_prompt() && self.wants_input() {
            let Some(byte) = port.read() else { break };
            self.take(byte, port);
        }
    }

    /// Whether there is room for all keys that one more byte can complete.
    pub(crate) const fn wants_input(&self) -> bool {
        self.buffers.type_ahead.room() >= HELD_BYTES
    }

    fn take(&mut self, byte: u8, port: &mut impl Port) {
        match byte {
            INTERRUPT => self.interrupt(port),
            _ => {
                let keys = &mut self.buffers.type_ahead;
                // There is room, as checked above.
                let mut give = |key| {
                    let _ = keys.push(key);
                };
                if self.screen.filter(byte, &mut give) == Answer::NewWidth {
                    self.adapt(port);
                }
            }
        }
    }

    /// Edits and runs lines while no command is running.
    fn run_lines(&mut self, words: &mut Words, port: &mut impl Port) {
        while matches!(self.activity, Activity::Idle | Activity::Passphrase(_)) && port.has_room() {
            if self.ending != Ending::NotDue && self.activity == Activity::Idle {
                if self.client.room() == 0 {
                    return;
                }
                self.end_input(port);
                continue;
            }
            let byte = match self.buffers.type_ahead.peek() {
                Some(byte) => byte,
                // The line of the passphrase was not ended either.
                None if self.ending != Ending::NotDue => END_OF_INPUT,
                None => return,
            };
            // Continues once audit has read and signals. Until then a line can be edited.
            if may_ask(byte) && self.client.room() == 0 {
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

    pub(crate) fn draw(&mut self, port: &mut impl Port) {
        if self.mode != Mode::Plain {
            let mode = self.mode;
            let _ = self.buffers.editor.draw(&mut Console { port, mode });
        }
    }

    fn press(&mut self, key: Key, words: &mut Words, port: &mut impl Port) {
        let (mode, is_terminal) = (self.mode, self.mode != Mode::Plain);
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
            // In the middle of a line it deletes, as in other shells. A quote that is still open at the end of the
            // input would wait for ever.
            Key::EndOfInput
                if is_terminal && !editor.bytes().is_empty() && !editor.is_continued() =>
            {
                editor.delete()
            }
            Key::EndOfInput => {
                self.ending = Ending::Leave;
                return self.run_line(words, port);
            }
            Key::Backspace => editor.backspace(),
            Key::KillToStart => editor.kill_to_start(),
            Key::KillWord => editor.kill_word(),
            Key::Tab if !is_terminal => editor.insert(b"\t"),
            // A pipe has lines but no keys.
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
            // The rows above cannot be taken back.
            Key::Up | Key::Down if editor.is_continued() => return,
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
                self.screen.ask_again();
                let has_sequences = self.screen.has_sequences();
                self.print(if has_sequences { CLEAR_SCREEN } else { "\n" }, port);
                return self.prompt(port);
            }
        }
        self.draw(port);
    }

    /// Runs the complete line.
    fn run_line(&mut self, words: &mut Words, port: &mut impl Port) {
        let is_terminal = self.mode != Mode::Plain;
        if is_terminal {
            self.leave_prompt(port);
        }
        let editor = &mut self.buffers.editor;
        let is_open = self.chat.is_none() && end(editor.bytes()) == End::Quote;
        if is_terminal && is_open && editor.has_room() && self.ending == Ending::NotDue {
            editor.go_on();
            return self.prompt(port);
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
        let is_said = self.chat.is_some();
        if is_terminal && (is_said || !may_hold_a_passphrase(editor.bytes())) {
            history.add(editor.bytes());
        }
        history.leave();
        if let Some(chat) = self.chat {
            words.take_whole(editor.bytes());
            editor.clear();
            self.run_chat_line(chat, words.iter().next().unwrap_or(&[]), port);
            return words.wipe();
        }
        let split = words.split(editor.bytes());
        editor.clear();
        match split.and_then(|()| crate::parse::parse(words)) {
            Ok(command) => self.run(&command, words, port),
            Err(error) => self.complain(error, port),
        }
        words.wipe();
    }

    // ---- The end of the input ---------------------------------------------------------------------

    /// Carries out Ctrl-D, now that no command is running: it ends one thing at a time. It never ends the system. Only
    /// a user with the permission may halt that, or whoever runs the system.
    fn end_input(&mut self, port: &mut impl Port) {
        let is_over = core::mem::replace(&mut self.ending, Ending::Tell) == Ending::Tell;
        match self.chat {
            _ if is_over => {
                self.ending = Ending::NotDue;
                port.input_done();
                self.prompt(port);
            }
            Some(chat) => self.leave_chat(chat, port),
            None if self.user.name == self.default_user => {
                self.ending = Ending::NotDue;
                port.input_done();
                if self.mode != Mode::Plain {
                    self.print_line(HowToLeave(&self.user.name), port);
                }
                self.prompt(port);
            }
            None => self.ask(&Request::Logout, Purpose::EndOfInput, port),
        }
    }

    // ---- Passphrases ------------------------------------------------------------------------------

    /// Handles a key of a passphrase: nothing shows, and nothing is kept.
    fn press_secretly(&mut self, key: &Key, user: UserName, port: &mut impl Port) {
        let editor = &mut self.buffers.editor;
        match key {
            // The line end of a paste.
            Key::Typed(text) if text == b"\n" => {}
            Key::Typed(text) => editor.insert(text),
            Key::Tab => editor.insert(b"\t"),
            Key::Backspace => editor.backspace(),
            Key::KillToStart => editor.kill_to_start(),
            Key::Enter => {
                if self.mode != Mode::Plain {
                    self.print("\n", port);
                }
                self.log_in(user, port);
            }
            Key::EndOfInput => {
                editor.clear();
                self.ending = Ending::Tell;
                let start = if self.mode != Mode::Plain { "\n" } else { "" };
                self.answer(format_args!("{start}no login: cancelled"), port);
            }
            _ => {}
        }
    }

    /// Sends the user's name with the line as passphrase.
    fn log_in(&mut self, user: UserName, port: &mut impl Port) {
        let editor = &mut self.buffers.editor;
        let len = editor.too_long().unwrap_or(editor.bytes().len());
        if len > MAX_PASSPHRASE_BYTES {
            editor.clear();
            let limit = MAX_PASSPHRASE_BYTES as u64;
            let failure = Failure::over(ErrorCode::PassphraseLength, len as u64, limit);
            return self.complain_of(failure, &[], port);
        }
        let passphrase = Some(self.buffers.editor.bytes());
        let submitted = self.client.login(user, passphrase);
        self.buffers.editor.clear();
        if let Some(request) = self.submitted(submitted, port) {
            let purpose = Purpose::Login;
            self.activity = Activity::Asking { request, purpose };
        }
    }

    /// Waits for the user's passphrase, which is the next line.
    pub(crate) fn ask_for_passphrase(&mut self, user: UserName, port: &mut impl Port) {
        self.activity = Activity::Passphrase(user);
        if self.mode != Mode::Plain {
            self.print("passphrase: ", port);
        }
    }
}

/// Whether a key may send a request: a line end or Tab.
const fn may_ask(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b'\t' | END_OF_INPUT)
}

/// Whether the line looks like `login` with more than a name after it. It is not a valid command, but must not be kept.
fn may_hold_a_passphrase(line: &[u8]) -> bool {
    let mut words = line
        .split(|byte| matches!(byte, b' ' | b'\t' | b'\n'))
        .filter(|word| !word.is_empty());
    let is_login = words
        .next()
        .is_some_and(|word| nearest(word, COMMANDS.iter().copied()) == Some("login"));
    is_login && words.nth(1).is_some()
}

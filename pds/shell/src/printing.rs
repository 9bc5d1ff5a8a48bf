//! Writes to the console: lines, answers, notices and the prompt.

use crate::console::{Console, Mode, Port, Style, Styled, write_line};
use crate::editor::Row;
use crate::screen::{PASTE_OFF, PASTE_ON};
use crate::state::{Activity, Ending, Purpose, ShellState};
use crate::text::{FailureText, JobNotice};
use core::fmt::{Display, Write as _};
use protocol::error::{ErrorCode, Failure};
use protocol::name::UserName;
use protocol::region::{ReadWords, WriteWords};

/// The prompt of a continued line.
const GO_ON: &str = "... ";

/// The subject of a failure: its detail, or the user who lacks the permission.
pub(crate) fn about<'a>(failure: Failure, detail: &'a [u8], user: &'a UserName) -> &'a [u8] {
    if failure.code == ErrorCode::NotPermitted && detail.is_empty() {
        user.as_str().as_bytes()
    } else {
        detail
    }
}

impl<R: ReadWords, W: WriteWords> ShellState<'_, R, W> {
    pub(crate) fn print(&self, text: impl Display, port: &mut impl Port) {
        let mode = self.mode;
        // Writing to the console never fails.
        let _ = write!(Console { port, mode }, "{text}");
    }

    /// Writes a line. If the terminal has told its width, the line is wrapped between words.
    pub(crate) fn print_line(&self, text: impl Display, port: &mut impl Port) {
        let mode = self.mode;
        write_line(Console { port, mode }, self.screen.known_columns(), text);
    }

    /// Writes a line for programs, without wrapping.
    pub(crate) fn print_exactly(&self, text: impl Display, port: &mut impl Port) {
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

    pub(crate) fn print_styled(&self, style: Style, text: impl Display, port: &mut impl Port) {
        self.print_line(self.styled(style, text), port);
    }

    /// Waits for the next line.
    pub(crate) fn become_idle(&mut self, port: &mut impl Port) {
        self.activity = Activity::Idle;
        self.announce_jobs(port);
        self.ask_for_model();
        self.prompt(port);
    }

    /// Shows the prompt and the line typed so far. The cursor is at the start of a row.
    pub(crate) fn prompt(&mut self, port: &mut impl Port) {
        if self.mode == Mode::Plain || self.ending != Ending::NotDue {
            return;
        }
        let question = self.screen.question();
        self.print(question, port);
        self.prompt_again(port);
    }

    /// Like [`Self::prompt`], but asks the terminal nothing.
    fn prompt_again(&mut self, port: &mut impl Port) {
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
    fn print_place(&self, port: &mut impl Port) -> usize {
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
    pub(crate) fn adapt(&mut self, port: &mut impl Port) {
        if self.is_at_prompt() && self.ending == Ending::NotDue {
            self.print("\r\x1b[K", port);
            self.prompt_again(port);
            self.ask_for_model();
        }
    }

    /// Ends the row of the prompt. The whole typed line stays visible above.
    pub(crate) fn leave_prompt(&mut self, port: &mut impl Port) {
        let mode = self.mode;
        let console = &mut Console { port, mode };
        let _ = self.buffers.editor.leave(GO_ON, console);
        let _ = console.write_char('\n');
        if self.screen.has_sequences() {
            let _ = console.write_str(PASTE_OFF);
        }
    }

    /// Writes an answer, and waits for the next line.
    pub(crate) fn answer(&mut self, text: impl Display, port: &mut impl Port) {
        self.print_line(text, port);
        self.become_idle(port);
    }

    /// Writes an answer for programs, and waits for the next line.
    pub(crate) fn answer_exactly(&mut self, text: impl Display, port: &mut impl Port) {
        self.print_exactly(text, port);
        self.become_idle(port);
    }

    /// Reports an error, and waits for the next line.
    pub(crate) fn complain(&mut self, error: impl Display, port: &mut impl Port) {
        self.print_styled(Style::Error, format_args!("error: {error}"), port);
        self.become_idle(port);
    }

    pub(crate) fn complain_of(&mut self, failure: Failure, detail: &[u8], port: &mut impl Port) {
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
    pub(crate) fn notice(&mut self, text: impl Display, port: &mut impl Port) {
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
    fn announce_jobs(&mut self, port: &mut impl Port) {
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
    pub(crate) fn job_has_ended(&mut self, port: &mut impl Port) {
        let user = self.user.name;
        if self.activity == Activity::Idle && self.buffers.jobs.of(user).any(|job| job.is_news()) {
            if self.mode != Mode::Plain {
                self.print("\n", port);
            }
            self.become_idle(port);
        }
    }
}

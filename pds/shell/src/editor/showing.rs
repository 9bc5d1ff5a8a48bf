//! Drawing the line on a terminal.
//!
//! The line may be wider than the terminal. While it is typed, one row shows a window of it, with a mark if more is
//! hidden ([`MORE_LEFT`], [`MORE_RIGHT`]). When it is run, all of it is written, in as many rows as needed, so it can
//! be read afterwards. No row reaches the last column, because terminals differ in what a character there does.

use super::Editor;
use super::units::{back_by, columns, first_unit, units, width_of};
use core::fmt::{self, Write};

/// Mark for hidden text to the left.
const MORE_LEFT: char = '<';
/// Mark for hidden text to the right.
const MORE_RIGHT: char = '>';

/// Fewest columns of a window: two marks, a wide character and the cursor.
const FEWEST: usize = 6;

/// The place for the line on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Columns of the terminal.
    pub(crate) columns: usize,
    /// Columns of the prompt.
    pub(crate) indent: usize,
    /// Whether the terminal understands control sequences. Otherwise it has only a backspace.
    pub(crate) has_sequences: bool,
}

/// The visible part of the line.
#[derive(Debug)]
pub(super) struct Window {
    /// As in [`Row`]. A copied `Row` would bring padding bytes along, and the tests search the shell's memory for
    /// traces of passphrases.
    columns: usize,
    indent: usize,
    has_sequences: bool,
    /// First visible byte.
    pub(super) left: usize,
    /// Columns from the start of the window to the terminal's cursor.
    column: usize,
    /// Columns that show something.
    drawn: usize,
    /// Text is hidden to the right.
    has_more: bool,
}

impl Window {
    pub(super) const fn new() -> Self {
        Self {
            columns: 0,
            indent: 0,
            has_sequences: false,
            left: 0,
            column: 0,
            drawn: 0,
            has_more: false,
        }
    }

    const fn width(&self) -> usize {
        let width = self.columns.saturating_sub(self.indent).saturating_sub(1);
        if width < FEWEST { FEWEST } else { width }
    }

    /// Moves the terminal's cursor back.
    fn back(&self, columns: usize, out: &mut impl Write) -> fmt::Result {
        match columns {
            0 => Ok(()),
            _ if self.has_sequences => write!(out, "\x1b[{columns}D"),
            _ => (0..columns).try_for_each(|_| out.write_char('\x08')),
        }
    }

    /// Clears the window from the terminal's cursor, at `column`, to its end.
    fn erase_from(&self, column: usize, out: &mut impl Write) -> fmt::Result {
        if self.has_sequences {
            return out.write_str("\x1b[K");
        }
        let stale = self.drawn.saturating_sub(column);
        (0..stale).try_for_each(|_| out.write_char(' '))?;
        self.back(stale, out)
    }
}

impl Editor {
    /// The terminal's cursor is after a new prompt, and nothing of the line shows yet.
    pub(crate) const fn begin(&mut self, row: Row) {
        let window = &mut self.window;
        (window.columns, window.indent) = (row.columns, row.indent);
        window.has_sequences = row.has_sequences;
        window.left = self.entered;
        (window.column, window.drawn) = (0, 0);
        window.has_more = false;
    }

    /// Columns for text in a window that begins at `left`: the last one is for the cursor or a mark.
    const fn room(&self, left: usize) -> usize {
        let lead = if left > self.entered { 2 } else { 1 };
        self.window.width().saturating_sub(lead)
    }

    /// Draws the last `typed` bytes after they were inserted, and the rest of the line if they are not at its end.
    pub(crate) fn draw_typed(&mut self, typed: usize, out: &mut impl Write) -> fmt::Result {
        let start = self.cursor.saturating_sub(typed);
        let text = self.bytes.get(start..self.cursor).unwrap_or(&[]);
        let column = self.window.column.saturating_add(columns(text));
        let is_hidden = start < self.window.left || column >= self.window.width();
        if self.cursor < self.bytes.len() || is_hidden || self.window.has_more {
            return self.draw(out);
        }
        (self.window.column, self.window.drawn) = (column, column);
        units(text).try_for_each(|(_, shown)| out.write_char(shown))
    }

    /// Draws the line again, from the terminal's cursor.
    pub(crate) fn draw(&mut self, out: &mut impl Write) -> fmt::Result {
        self.window.back(self.window.column, out)?;
        self.scroll();
        let left = self.window.left;
        let (mut drawn, room) = (0, self.room(left));
        let lead = usize::from(left > self.entered);
        if lead > 0 {
            out.write_char(MORE_LEFT)?;
        }
        self.window.has_more = false;
        for (_, shown) in units(self.bytes.get(left..).unwrap_or(&[])) {
            let after = width_of(shown).saturating_add(drawn);
            if after > room {
                self.window.has_more = true;
                break;
            }
            out.write_char(shown)?;
            drawn = after;
        }
        drawn = drawn.saturating_add(lead);
        if self.window.has_more {
            out.write_char(MORE_RIGHT)?;
            drawn = drawn.saturating_add(1);
        }
        self.window.erase_from(drawn, out)?;
        self.window.drawn = drawn;
        let before = columns(self.bytes.get(left..self.cursor).unwrap_or(&[]));
        self.window.column = before.saturating_add(lead);
        self.window
            .back(drawn.saturating_sub(self.window.column), out)
    }

    /// Moves the window so that it contains the cursor.
    fn scroll(&mut self) {
        let (start, whole) = (self.entered, self.room(self.entered));
        let line = self.bytes.get(start..).unwrap_or(&[]);
        // This avoids measuring a whole long line at each key: a character has at most four bytes.
        if line.len() <= whole.saturating_mul(4) && columns(line) <= whole {
            self.window.left = start;
            return;
        }
        let left = self.window.left;
        let at_cursor = first_unit(self.after_cursor()).map_or(0, |(_, shown)| width_of(shown));
        let shown = self.bytes.get(left..self.cursor).unwrap_or(&[]);
        let is_left_of_it = self.cursor < left || (self.cursor == left && left > start);
        let room = self.room(left);
        let is_right_of_it = || {
            shown.len().saturating_add(at_cursor) > room
                && columns(shown).saturating_add(at_cursor) > room
        };
        let before = self.editable();
        if is_left_of_it {
            self.window.left = start.saturating_add(back_by(before, room / 4));
        } else if is_right_of_it() {
            // Includes the columns for the character under the cursor.
            let columns = room.saturating_sub(room / 4).saturating_sub(2);
            self.window.left = start.saturating_add(back_by(before, columns));
        }
    }

    /// Leaves the whole line on the terminal, with the cursor after it. `go_on` is shown at the start of each row after
    /// a line break.
    pub(crate) fn leave(&mut self, go_on: &str, out: &mut impl Write) -> fmt::Result {
        let line = self.bytes.get(self.entered..).unwrap_or(&[]);
        let is_whole =
            self.window.left == self.entered && !self.window.has_more && !line.contains(&b'\n');
        if is_whole {
            let is_at_end = self.cursor == self.bytes.len();
            self.cursor = self.bytes.len();
            return if is_at_end { Ok(()) } else { self.draw(out) };
        }
        self.window.back(self.window.column, out)?;
        self.window.erase_from(0, out)?;
        let last = self.window.columns.saturating_sub(1);
        let mut column = self.window.indent;
        for (_, shown) in units(line) {
            if shown == super::units::LINE_BREAK {
                write!(out, "\n{go_on}")?;
                column = go_on.len();
                continue;
            }
            let after = column.saturating_add(width_of(shown));
            if after > last {
                out.write_char('\n')?;
                column = width_of(shown);
            } else {
                column = after;
            }
            out.write_char(shown)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

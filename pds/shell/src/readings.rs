//! The log and the counters: answers that come row by row, some of them until Ctrl-C.

use crate::console::{CLEAR_SCREEN, Port, Style};
use crate::json::StatsJson;
use crate::state::{Activity, ShellState};
use crate::text::{CountOf, LogLine, StatsText};
use log_export::{Ending, Line, Opening};
use protocol::record::Record;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{Event, LogExtent, Stats};

impl<R: ReadWords, W: WriteWords> ShellState<'_, R, W> {
    pub(crate) fn handle_log(&mut self, event: &Event<'_>, port: &mut impl Port) {
        let Activity::Reading {
            json, interrupted, ..
        } = self.activity
        else {
            return;
        };
        match *event {
            // An export needs all entries up to the one that its last line names.
            Event::Record { .. } if interrupted && !json => {}
            Event::Record { record, text } => self.show_record(json, &record, text, port),
            Event::LogEnd(extent) => self.end_log(json, &extent, port),
            // The answer to a cancellation.
            Event::Failed { .. } | Event::Done if interrupted => self.become_idle(port),
            Event::Failed { failure, detail } => self.complain_of(failure, detail, port),
            _ => {}
        }
    }

    fn show_record(&mut self, json: bool, record: &Record, text: &[u8], port: &mut impl Port) {
        let Record {
            sequence, previous, ..
        } = *record;
        let shown = &mut self.shown;
        let is_first = shown.entries == 0;
        shown.gaps |= !is_first && sequence != shown.next;
        shown.next = sequence.wrapping_add(1);
        shown.entries = shown.entries.saturating_add(1);
        if !json {
            return self.print_line(LogLine { record, text }, port);
        }
        if is_first {
            let opening = Opening {
                anchor: previous,
                first: sequence,
            };
            self.print_exactly(opening, port);
        }
        self.print_exactly(Line { record, text }, port);
    }

    fn end_log(&mut self, json: bool, extent: &LogExtent, port: &mut impl Port) {
        let shown = self.shown;
        if !json {
            let text = CountOf(shown.entries, "entry", "entries");
            self.print_styled(Style::Aside, text, port);
            return self.become_idle(port);
        }
        if shown.entries == 0 {
            let opening = Opening {
                anchor: extent.anchor,
                first: extent.first,
            };
            self.print_exactly(opening, port);
        }
        let ending = Ending {
            head: extent.head,
            entries: shown.entries,
            // Entries after the last one shown are missing, too.
            filtered: shown.gaps || (shown.entries > 0 && shown.next != extent.next),
        };
        self.answer_exactly(ending, port);
    }

    pub(crate) fn handle_watch(&mut self, event: &Event<'_>, port: &mut impl Port) {
        let Activity::Watching {
            json, interrupted, ..
        } = self.activity
        else {
            return;
        };
        match *event {
            // The first event after a cancellation is the last.
            Event::Stats(_) | Event::Failed { .. } | Event::Done if interrupted => {
                self.become_idle(port);
            }
            Event::Stats(ref stats) => self.show_counters(json, stats, port),
            Event::Failed { failure, detail } => self.complain_of(failure, detail, port),
            Event::Done => self.become_idle(port),
            _ => {}
        }
    }

    fn show_counters(&self, json: bool, stats: &Stats, port: &mut impl Port) {
        if json {
            self.print_exactly(StatsJson(stats), port);
        } else if self.screen.has_sequences() {
            self.print(CLEAR_SCREEN, port);
            self.print_line(StatsText(stats), port);
            self.print_styled(Style::Aside, "every second; Ctrl-C ends", port);
        } else {
            self.print_line(format_args!("{}\n", StatsText(stats)), port);
        }
    }
}

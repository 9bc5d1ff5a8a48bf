//! Exports an adapter as lines of text: see [`protocol::armour`].

use crate::console::Port;
use crate::shell::{Activity, Session};
use base64ct::{Base64, Encoding as _};
use protocol::armour::{BEGIN, COLUMNS, Closing, END, LINE_BYTES};
use protocol::error::ErrorCode;
use protocol::name::ModelName;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{Event, Request};

/// State of an export.
#[derive(Debug)]
pub(crate) struct Export {
    /// Bytes that do not fill a line yet.
    rest: heapless::Vec<u8, LINE_BYTES>,
    /// Bytes received.
    bytes: u64,
    has_begun: bool,
}

impl Export {
    pub(crate) const fn new() -> Self {
        Self {
            rest: heapless::Vec::new(),
            bytes: 0,
            has_begun: false,
        }
    }

    /// Takes more of the file, and passes each full line to `line`.
    fn push(&mut self, bytes: &[u8], line: &mut dyn FnMut(&str)) {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        for byte in bytes {
            // There is room, because full lines were taken out.
            let _ = self.rest.push(*byte);
            if self.rest.is_full() {
                self.finish(line);
            }
        }
    }

    /// Passes the last line to `line`, if there is one.
    fn finish(&mut self, line: &mut dyn FnMut(&str)) {
        let mut text = [0; COLUMNS];
        if !self.rest.is_empty() {
            // The text of a full line fits in the buffer.
            line(Base64::encode(&self.rest, &mut text).unwrap_or(""));
        }
        self.rest.clear();
    }
}

impl<R: ReadWords, W: WriteWords> Session<'_, R, W> {
    pub(crate) fn export(&mut self, name: ModelName, port: &mut impl Port) {
        let Some(request) = self.submit(&Request::ExportAdapter { name }, port) else {
            return;
        };
        self.export = Export::new();
        self.activity = Activity::Exporting {
            request,
            interrupted: false,
        };
    }

    pub(crate) fn handle_export(&mut self, event: &Event<'_>, port: &mut impl Port) {
        match *event {
            Event::AdapterPart { offset, bytes } => {
                if offset != self.export.bytes {
                    // `import` would refuse it anyway, but without this reason.
                    let missing = self.export.bytes;
                    self.end_export(port);
                    return self.complain(
                        format_args!(
                            "the export is incomplete: it continues at byte {offset}, not {missing}"
                        ),
                        port,
                    );
                }
                self.begin_export(port);
                self.print_export(port, |export, line| export.push(bytes, line));
            }
            Event::Exported(ref exported) => {
                self.begin_export(port);
                self.print_export(port, Export::finish);
                self.print_exactly(Closing(exported), port);
                self.answer_exactly(END, port);
            }
            Event::Done => self.answer("^C: the export is incomplete", port),
            Event::Failed { failure, detail } => {
                let subject = core::mem::take(&mut self.subject);
                let names_subject = detail.is_empty() && failure.code != ErrorCode::NotPermitted;
                self.complain_of(failure, if names_subject { &subject } else { detail }, port);
            }
            _ => {}
        }
    }

    fn begin_export(&mut self, port: &mut impl Port) {
        if !core::mem::replace(&mut self.export.has_begun, true) {
            self.print_exactly(BEGIN, port);
        }
    }

    /// Ends the export.
    fn end_export(&mut self, port: &mut impl Port) {
        if let Activity::Exporting { request, .. } = self.activity {
            self.client.abandon(request);
        }
        self.print_export(port, Export::finish);
    }

    fn print_export<P: Port>(
        &mut self,
        port: &mut P,
        change: impl FnOnce(&mut Export, &mut dyn FnMut(&str)),
    ) {
        let mut export = core::mem::replace(&mut self.export, Export::new());
        change(&mut export, &mut |line| self.print_exactly(line, port));
        self.export = export;
    }
}

//! Exports an adapter as lines of text.

use crate::armour::Armour;
use crate::console::Port;
use crate::state::{Activity, ShellState};
use protocol::armour::{BEGIN, Closing, END};
use protocol::error::ErrorCode;
use protocol::name::ModelName;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{Event, Request};

impl<R: ReadWords, W: WriteWords> ShellState<'_, R, W> {
    pub(crate) fn export(&mut self, name: ModelName, port: &mut impl Port) {
        let Some(request) = self.submit(&Request::ExportAdapter { name }, port) else {
            return;
        };
        self.export = Armour::new();
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
                self.print_export(port, Armour::finish);
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
        self.print_export(port, Armour::finish);
    }

    fn print_export<P: Port>(
        &mut self,
        port: &mut P,
        change: impl FnOnce(&mut Armour, &mut dyn FnMut(&str)),
    ) {
        let mut export = core::mem::replace(&mut self.export, Armour::new());
        change(&mut export, &mut |line| self.print_exactly(line, port));
        self.export = export;
    }
}

//! Ctrl-C: no state of the shell blocks the console, whatever audit and inference do.

use crate::console::{Mode, PLAIN, Port, Style};
use crate::keys::Keys;
use crate::state::{Activity, Ending, Purpose, ShellState};
use crate::text::BootText;
use protocol::region::{ReadWords, WriteWords};
use sel4_llm_client::RequestId;

impl<R: ReadWords, W: WriteWords> ShellState<'_, R, W> {
    /// Handles Ctrl-C: stops the current command, and drops what was typed.
    pub(crate) fn interrupt(&mut self, port: &mut impl Port) {
        self.buffers.type_ahead.clear();
        self.keys = Keys::new();
        self.ending = Ending::NotDue;
        self.screen.interrupt();
        let has_dropped = port.drop_unwritten();
        if has_dropped {
            self.begin_row_after_dropping(port);
        }
        match &mut self.activity {
            Activity::Booting => self.ask_before_ready(port),
            // The end of these is worth seeing: their cost, or the line that makes an export verifiable.
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
            }
            | Activity::Tuning {
                request,
                interrupted: interrupted @ false,
            }
            | Activity::Exporting {
                request,
                interrupted: interrupted @ false,
            } => {
                *interrupted = true;
                self.client.cancel(*request);
                if has_dropped {
                    self.print_line("^C", port);
                }
            }
            // A second Ctrl-C means that the user does not want to wait.
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
            Activity::Tuning { request, .. } | Activity::Exporting { request, .. } => {
                self.client.abandon(*request);
                self.end_bar(false, port);
                self.answer("^C", port);
            }
            Activity::Reading { request, .. } => {
                self.client.abandon(*request);
                self.answer("^C", port);
            }
            Activity::Asking { request, purpose } => {
                let (request, purpose) = (*request, *purpose);
                self.stop_asking(request, purpose);
                self.end_bar(false, port);
                match purpose {
                    Purpose::Complete(_) => self.drop_line(has_dropped, port),
                    Purpose::LoadAdapter | Purpose::LoadBeside(_) => self.answer(
                        "^C: asked audit to stop the load; 'llmctl adapters' says which are loaded",
                        port,
                    ),
                    Purpose::Load => self.answer(
                        "^C: asked audit to stop the load; 'llmctl status' says which model is loaded",
                        port,
                    ),
                    Purpose::LoginWithout(_)
                    | Purpose::Login
                    | Purpose::Logout
                    | Purpose::EndOfInput => {
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
            Activity::Idle => self.drop_line(has_dropped, port),
            Activity::Passphrase(_) => {
                self.buffers.editor.clear();
                self.answer("^C", port);
            }
            Activity::Halted => {}
        }
    }

    /// The output was dropped, perhaps in the middle of a control sequence or of a row. Begins a new row without
    /// colour.
    fn begin_row_after_dropping(&mut self, port: &mut impl Port) {
        self.bar = None;
        self.drawn_over = 0;
        if let Activity::Generating { at_line_start, .. }
        | Activity::Waiting { at_line_start, .. } = &mut self.activity
        {
            *at_line_start = true;
        }
        self.print(if self.screen.has_colour() { PLAIN } else { "" }, port);
        self.print("\n", port);
    }

    /// Drops the line being typed.
    fn drop_line(&mut self, has_dropped: bool, port: &mut impl Port) {
        // The prompt may have been dropped, too.
        if !has_dropped {
            self.buffers.editor.end();
            self.draw(port);
        }
        self.buffers.editor.clear();
        self.buffers.history.leave();
        if self.client.room() == 0 {
            self.answer(
                "^C: audit has not read earlier requests; commands wait until it does",
                port,
            );
        } else {
            self.answer("^C", port);
        }
    }

    /// Asks audit to stop answering. Only the answer to a login or logout still matters, because it may have happened.
    fn stop_asking(&mut self, request: RequestId, purpose: Purpose) {
        if !matches!(
            purpose,
            Purpose::LoginWithout(_) | Purpose::Login | Purpose::Logout | Purpose::EndOfInput
        ) {
            self.client.abandon(request);
            return;
        }
        self.client.cancel(request);
        if self.given_up.is_full() {
            self.given_up.pop_front();
        }
        let _ = self.given_up.push_back(request);
    }

    /// Ctrl-C before the system is ready: says what the shell waits for, and sends audit a request that it always
    /// answers. The answer brings a prompt, even if audit's event that the system is ready was lost.
    fn ask_before_ready(&mut self, port: &mut impl Port) {
        if self.bar.is_some() && self.mode != Mode::Plain {
            self.print("\n", port);
        }
        self.print_styled(Style::Notice, BootText(self.bar), port);
        if self.client.in_flight().next().is_none() {
            // Before audit serves, nobody can answer.
            let _ = self.client.who_am_i();
        }
    }
}

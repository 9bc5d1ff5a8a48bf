//! Reports to audit.

use super::{Port, Service};
use crate::convert;
use crate::failure;
use crate::tuning::Sending;
use llm_core::backend::LlmBackend;
use llm_core::generate::{GenerateError, Step};
use protocol::limits::MAX_PIECE_BYTES;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::engine::Report;

impl<'s, R: ReadWords, W: WriteWords, B: LlmBackend> Service<'s, R, W, B> {
    /// Sends `report`, or keeps it until there is room. The caller has made sure that none is kept.
    pub(super) fn send(&mut self, request: u32, report: &Report<'_>, port: &mut impl Port) {
        report.write(request, &mut self.outgoing);
        self.send_written(port);
    }

    /// Sends the report in the frame, or keeps it.
    fn send_written(&mut self, port: &mut impl Port) {
        self.unsent = true;
        self.flush(port);
    }

    /// Sends the kept report, if there is one. Returns true if none is left.
    pub(super) fn flush(&mut self, port: &mut impl Port) -> bool {
        if self.unsent && self.ring.send(&self.outgoing).is_ok() {
            self.unsent = false;
            port.notify_audit();
        }
        !self.unsent
    }

    /// Sends the next part of a trained adapter, or reports its end. Returns false if there is none.
    pub(super) fn send_part(&mut self, port: &mut impl Port) -> bool {
        let Some(tuning) = self.tuning.as_mut().filter(|tuning| tuning.is_sending()) else {
            return false;
        };
        let request = tuning.request;
        match tuning.next(&self.backend, &mut self.part) {
            Sending::Part(offset) => {
                let bytes = &self.part;
                Report::Part { offset, bytes }.write(request, &mut self.outgoing);
                self.send_written(port);
            }
            Sending::Over => {
                let trained = tuning.trained(false);
                self.tuning = None;
                self.backend.end_training();
                self.send(request, &Report::Trained(trained), port);
            }
        }
        true
    }

    /// Reports the result of a session's step to audit.
    pub(super) fn report(
        &mut self,
        session: usize,
        step: Result<Step, GenerateError>,
        port: &mut impl Port,
    ) {
        let Some(slot) = self.requests.get_mut(session) else {
            return;
        };
        let Some(request) = *slot else {
            return;
        };
        match step {
            Ok(Step::Prefill { .. }) => {}
            Ok(Step::Token { id }) => {
                // If a malicious model makes a text too long for a report, it is cut between characters.
                let text = cut(&self.text, MAX_PIECE_BYTES).as_bytes();
                Report::Token { id, text }.write(request, &mut self.outgoing);
                self.send_written(port);
            }
            Ok(Step::Finished {
                reason,
                prompt_tokens,
                generated,
            }) => {
                *slot = None;
                let report = Report::Finished {
                    reason: convert::reason(reason),
                    prompt_tokens,
                    generated_tokens: generated,
                };
                self.send(request, &report, port);
            }
            Err(error) => {
                *slot = None;
                self.fail(request, failure::of_generate(error), "", port);
            }
        }
    }
}

/// The longest prefix of `text` with at most `max` bytes, cut between characters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

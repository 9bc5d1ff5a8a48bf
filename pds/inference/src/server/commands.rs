//! Commands from audit.

use super::{Cost, Port, Service};
use crate::{convert, failure};
use llm_core::backend::LlmBackend;
use llm_core::generate::{GenerateError, Turn};
use protocol::error::{ErrorCode, Failure};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Frame, SLOTS};
use protocol::wire::engine::{Command, Report};

impl<'s, R: ReadWords, W: WriteWords, B: LlmBackend> Service<'s, R, W, B> {
    /// Reads at most a ring full of commands, while there is room for their answers, and stops after one that takes
    /// time: a cancel must not wait for many. Returns true if there may be more.
    pub(super) fn read_commands(&mut self, incoming: &mut Frame, port: &mut impl Port) -> bool {
        let mut more = true;
        for _ in 0..SLOTS {
            if self.unsent {
                break;
            }
            // A violation is dropped. There is none, because audit is trusted.
            if self.ring.receive(incoming) != Ok(true) {
                more = false;
                break;
            }
            if self.handle_command(incoming, port) == Cost::Large {
                break;
            }
        }
        if self.ring.take_owed_signal() {
            port.notify_audit();
        }
        more
    }

    fn handle_command(&mut self, frame: &Frame, port: &mut impl Port) -> Cost {
        let request = frame.header().request;
        let mut cost = Cost::Small;
        let answer = match Command::parse(frame) {
            Ok(Command::Infer {
                params,
                session,
                client,
                user,
                fresh,
                keep,
                credit,
                adapter,
                format,
                user_defined,
                parts,
            }) => {
                cost = Cost::Large;
                let turn = Turn {
                    client: client as usize,
                    owner: user,
                    fresh,
                    keep,
                    credit,
                    user_defined,
                    // The parse has checked that it is a place plus one.
                    adapter: adapter.checked_sub(1).map(|place| place as u8),
                    ..Turn::first(session as usize)
                };
                self.infer(request, turn, format, &parts, &params, port)
            }
            Ok(Command::Cancel) => self.cancel(request, port),
            Ok(Command::Credit { tokens }) => {
                self.grant(request, tokens);
                Ok(())
            }
            Ok(Command::Load {
                offset,
                bytes,
                context,
            }) => {
                self.backend.set_context(context as usize);
                self.load(request, offset, bytes, port);
                cost = Cost::Large;
                Ok(())
            }
            Ok(Command::Status) => {
                let holdings = convert::holdings(&self.backend.usage(), &self.backend.occupancy());
                self.send(request, &Report::Holdings(holdings), port);
                Ok(())
            }
            Ok(Command::Drop { session }) => match self.backend.forget(session as usize) {
                // Without a model there is nothing to forget.
                Ok(()) | Err(GenerateError::NoModel) => Ok(()),
                Err(error) => Err(failure::of_generate(error)),
            },
            Ok(Command::Adapter {
                place,
                source,
                offset,
                bytes,
                base,
            }) => {
                let file = self.part_of(source, offset, bytes);
                self.load_adapter(request, place as usize, file, &base, port);
                cost = Cost::Large;
                Ok(())
            }
            Ok(Command::DropAdapter { place }) => {
                self.drop_adapter(request, place as usize, port);
                Ok(())
            }
            Ok(Command::Train {
                params,
                source,
                offset,
                bytes,
                base,
                room,
            }) => {
                let data = self.part_of(source, offset, bytes);
                self.train(request, data, &params, base, room, port);
                cost = Cost::Large;
                Ok(())
            }
            Err(_) => Err(Failure::of(ErrorCode::Unsupported)),
        };
        if let Err(failure) = answer {
            self.fail(request, failure, "", port);
        }
        cost
    }
}

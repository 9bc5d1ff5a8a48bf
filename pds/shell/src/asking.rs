//! Answers to questions: single events and lists.

use crate::console::{Port, Style};
use crate::json::StatsJson;
use crate::printing::about;
use crate::state::{Activity, List, Purpose, ShellState};
use crate::text::{
    AdapterEntryLine, AdapterLine, BudgetText, Count, ExamplesText, FailureText, FormatLine,
    Listed, ModelLine, ResetText, SessionLine, SignatureWord, StatsText, StatusText, TemplateText,
    UserText, VerifiedText,
};
use log_export::AttestationLine;
use protocol::error::{ErrorCode, Failure};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{AdapterEntry, Event, FormatEntry, ModelEntry, Request, User};

impl<R: ReadWords, W: WriteWords> ShellState<'_, R, W> {
    pub(crate) fn handle_answer(
        &mut self,
        purpose: Purpose,
        event: &Event<'_>,
        port: &mut impl Port,
    ) {
        match *event {
            Event::Failed { failure, detail } => self.fail(purpose, failure, detail, port),
            Event::Model(entry) => self.take_model(purpose, &entry, port),
            Event::User(user) => self.take_user(purpose, user, port),
            Event::Session(session) => {
                self.buffers.names.add_session(session.user, session.name);
                match purpose {
                    Purpose::Sessions => self.print_line(SessionLine(&session), port),
                    Purpose::NameChat(taken) if session.user == self.user.name => {
                        self.note_name(taken, &session.name);
                    }
                    Purpose::FindChat {
                        session: sought, ..
                    } if session.user == self.user.name => {
                        self.note_session(sought, &session);
                    }
                    _ => {}
                }
            }
            Event::Format(ref entry) => self.take_format(purpose, entry, port),
            Event::Listed { count } => self.end_list(purpose, count, port),
            Event::Loaded { name, info } => {
                let name = name.as_str();
                let model = ModelLine { info, name };
                let template = TemplateText(&info);
                self.print_line(format_args!("loaded {model}; template {template}"), port);
                self.load_next(port);
            }
            Event::Adapter(ref entry) => self.take_adapter(purpose, entry, port),
            Event::AdapterLoaded { name, info } => {
                let text = AdapterLine { name, info };
                self.print_line(format_args!("loaded {text}"), port);
                self.load_next(port);
            }
            Event::Examples {
                count,
                bytes,
                limit,
            } => {
                let text = ExamplesText {
                    count,
                    bytes,
                    limit,
                };
                self.answer(text, port);
            }
            Event::Status(ref status) => match purpose {
                Purpose::Chat => self.meet(status, port),
                _ => self.answer(StatusText(status), port),
            },
            Event::Stats(ref stats) => match purpose {
                Purpose::StatsJson => self.answer_exactly(StatsJson(stats), port),
                Purpose::BeforeReset => {
                    let was_stopped = stats.stopped != 0;
                    self.ask(&Request::Reset, Purpose::Reset { was_stopped }, port);
                }
                _ => self.answer(StatsText(stats), port),
            },
            Event::Budget(ref budget) => self.answer(BudgetText(budget), port),
            // Unwrapped, because `llmtool audit verify` reads it.
            Event::Attested(ref attestation) => {
                self.answer_exactly(AttestationLine(attestation), port)
            }
            Event::LogVerified { extent, broken_at } => {
                let text = VerifiedText { extent, broken_at };
                if broken_at == 0 {
                    self.answer(text, port);
                } else {
                    self.complain(text, port);
                }
            }
            Event::Done => {
                if let Purpose::LeaveChat(session) = purpose {
                    self.end_chat(session, None, port);
                } else if let Purpose::Close(session) = purpose {
                    let user = self.user.name;
                    self.buffers.names.remove_session(user, session);
                    self.answer(format_args!("closed {session}"), port);
                } else if let Purpose::DropAdapter(adapter) = purpose {
                    self.buffers.names.forget_adapters();
                    self.answer(format_args!("dropped {adapter}"), port);
                } else if let Purpose::Reset { was_stopped } = purpose {
                    self.answer(ResetText { was_stopped }, port);
                } else if purpose == Purpose::Halt {
                    self.print_line("halted", port);
                    self.halt(port);
                } else {
                    self.answer("done", port);
                }
            }
            _ => {}
        }
    }

    fn fail(&mut self, purpose: Purpose, failure: Failure, detail: &[u8], port: &mut impl Port) {
        if let Purpose::Complete(_) = purpose {
            // The word stays as it is: the user asked no question, so an error would answer none.
            self.activity = Activity::Idle;
            return;
        }
        if let (Purpose::LoginWithout(user), ErrorCode::PassphraseNeeded) = (purpose, failure.code)
        {
            return self.ask_for_passphrase(user, port);
        }
        if let Purpose::LeaveChat(session) = purpose {
            return self.end_chat(session, Some(failure), port);
        }
        if let Purpose::LoadBeside(adapter) = purpose {
            let user = self.user.name;
            let detail = about(failure, detail, &user);
            let text = FailureText { failure, detail };
            self.print_styled(Style::Error, format_args!("error: {adapter}: {text}"), port);
            return self.load_next(port);
        }
        let subject = core::mem::take(&mut self.subject);
        let names_subject = detail.is_empty() && failure.code != ErrorCode::NotPermitted;
        self.complain_of(failure, if names_subject { &subject } else { detail }, port);
    }

    /// Loads the next adapter that the current command names, if there is one.
    fn load_next(&mut self, port: &mut impl Port) {
        match self.buffers.to_load.pop_front() {
            Some(name) => {
                let request = Request::LoadAdapter { name };
                self.ask(&request, Purpose::LoadBeside(name), port);
            }
            None => self.become_idle(port),
        }
    }

    fn take_model(&mut self, purpose: Purpose, entry: &ModelEntry, port: &mut impl Port) {
        self.buffers.names.add_model(entry.name);
        if purpose == Purpose::Models {
            let mark = if entry.loaded { '*' } else { ' ' };
            let (bytes, name) = (Count(entry.file_bytes, "byte"), entry.name);
            let signature = SignatureWord(entry.signature);
            self.print_line(format_args!("{mark} {name} ({bytes}, {signature})"), port);
        }
    }

    fn take_adapter(&mut self, purpose: Purpose, entry: &AdapterEntry, port: &mut impl Port) {
        self.buffers.names.add_adapter(entry.name);
        if purpose == Purpose::Adapters {
            self.print_line(AdapterEntryLine(entry), port);
        }
    }

    fn take_format(&mut self, purpose: Purpose, entry: &FormatEntry, port: &mut impl Port) {
        self.buffers.names.add_format(entry.name);
        if purpose == Purpose::Formats {
            self.print_line(FormatLine(entry), port);
        }
    }

    fn take_user(&mut self, purpose: Purpose, user: User, port: &mut impl Port) {
        let before = match purpose {
            Purpose::Complete(_) => return self.buffers.names.add_user(user),
            Purpose::LoginWithout(_) | Purpose::Login => "logged in as ",
            // The user before this answer is only known now, because the answer to an abandoned request may have come
            // in between.
            Purpose::Logout if self.user.name == self.default_user => {
                "nobody has logged in, so nobody is logged out; you are "
            }
            Purpose::Logout | Purpose::EndOfInput => "logged out; now ",
            Purpose::WhoAmI => "",
            _ => return,
        };
        self.user = user;
        self.answer(format_args!("{before}{}", UserText(&user)), port);
    }

    fn end_list(&mut self, purpose: Purpose, count: u32, port: &mut impl Port) {
        let names = &mut self.buffers.names;
        let count = u64::from(count);
        match purpose {
            Purpose::Models => {
                names.models_are_known = true;
                self.answer(
                    Listed {
                        count: Count(count, "model"),
                        of: "",
                        mark: "* is loaded",
                    },
                    port,
                );
            }
            Purpose::Adapters => {
                names.adapters_are_known = true;
                self.answer(
                    Listed {
                        count: Count(count, "adapter"),
                        of: "",
                        mark: "* is loaded",
                    },
                    port,
                );
            }
            Purpose::Formats => {
                names.formats_are_known = true;
                self.answer(
                    Listed {
                        count: Count(count, "format"),
                        of: " in the policy",
                        mark: "* marks those you may use",
                    },
                    port,
                );
            }
            Purpose::Sessions => self.answer(Count(count, "session"), port),
            Purpose::NameChat(taken) => self.begin_unnamed_chat(taken, port),
            Purpose::FindChat { session, has_begun } => {
                self.begin_found_chat(session, has_begun, port);
            }
            Purpose::Complete(list) => {
                match list {
                    List::Models => names.models_are_known = true,
                    List::Users => names.users_are_known = true,
                    List::Adapters => names.adapters_are_known = true,
                    List::Formats => names.formats_are_known = true,
                }
                self.activity = Activity::Idle;
                self.complete(port);
            }
            _ => self.become_idle(port),
        }
    }
}

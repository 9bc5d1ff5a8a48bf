//! Logins, logouts and budgets.

use super::Monitor;
use crate::files::FilesEnd;
use crate::ledger::model_name;
use crate::repeats::Reason;
use crate::shares::ENTRY;
use protocol::error::{ErrorCode, Failure};
use protocol::name::{ModelName, UserName};
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{BudgetChange, Event};

impl<R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'_, R, W, F> {
    pub(super) fn log_in(
        &mut self,
        client: usize,
        id: u32,
        name: UserName,
        passphrase: Option<&[u8]>,
        now: u64,
    ) {
        if passphrase.is_none() && self.gate.access.needs_passphrase(&name) {
            // A question, not an attempt: nothing is counted or written down.
            return self.tell_failure(client, id, Failure::of(ErrorCode::PassphraseNeeded));
        }
        // A hash of a passphrase is more than a wake-up should do besides.
        self.work.spend_all();
        let known = self.gate.access.find(&name).is_some();
        let passphrase = passphrase.unwrap_or_default();
        match self.gate.access.log_in(client, &name, passphrase, now) {
            Ok(user) => {
                if let Some(peer) = self.clients.get_mut(client) {
                    peer.becomes(user);
                    // They were asked for by whoever was there before.
                    while peer.end_list(None, &self.ledger.log) {}
                }
                let record = self.record_of_client(client, Kind::Login);
                // A passphrase and a hash's pause are what it has cost; without one, nothing.
                self.record_coming(user, Reason::Login, record, now);
                let user = self.gate.describe(user);
                self.clients.tell(client, id, &Event::User(user));
            }
            Err(failure) => {
                let record = Record {
                    // What is no user's name may be a passphrase, typed at the wrong moment.
                    name: match known {
                        true => model_name(&name),
                        false => ModelName::EMPTY,
                    },
                    ..self.record_of_client(client, Kind::LoginFailed)
                };
                self.refuse(client, id, failure, record, now);
            }
        }
    }

    pub(super) fn log_out(&mut self, client: usize, id: u32, now: u64) {
        let user = self.clients.user(client);
        let record = self.record_of_client(client, Kind::Logout);
        self.record_coming(user, Reason::Logout, record, now);
        if let Some(peer) = self.clients.get_mut(client) {
            while peer.end_list(None, &self.ledger.log) {}
            peer.logs_out();
        }
        let user = self.gate.describe(self.clients.user(client));
        self.clients.tell(client, id, &Event::User(user));
    }

    /// Writes down that a user has come or gone: each time, if that costs a passphrase.
    fn record_coming(&mut self, user: usize, reason: Reason, record: Record, now: u64) {
        let each = self.gate.access.has_passphrase(user);
        self.ledger
            .record_repeat(user, reason, record, each, &mut self.work, now);
    }

    pub(super) fn budget(
        &mut self,
        client: usize,
        id: u32,
        name: &UserName,
        change: BudgetChange,
        now: u64,
    ) -> Result<(), Failure> {
        let user = self.clients.user(client);
        let of = self.gate.budget_of(user, name, &change)?;
        if !change.is_none() {
            self.ledger.take_share(user, ENTRY, now)?;
            self.gate.accounts.change(of, change, now);
        }
        let name = self.gate.access.name(of);
        let budget = self.gate.accounts.budget(of, name, now);
        if !change.is_none() {
            let record = Record {
                name: model_name(&name),
                value: budget.tokens,
                limit: budget.period_us,
                ..self.record_of_client(client, Kind::Budget)
            };
            self.record(record, now);
        }
        self.clients.tell(client, id, &Event::Budget(budget));
        Ok(())
    }
}

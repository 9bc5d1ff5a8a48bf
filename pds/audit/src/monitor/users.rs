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
            // The client only wants to know whether a passphrase is needed. Nothing is counted or recorded.
            return self.tell_failure(client, id, Failure::of(ErrorCode::PassphraseNeeded));
        }
        // Hashing a passphrase is work enough for a wake-up.
        self.work.spend_all();
        let known = self.gate.access.find(&name).is_some();
        let passphrase = passphrase.unwrap_or_default();
        match self.gate.access.log_in(client, &name, passphrase, now) {
            Ok(user) => {
                if let Some(peer) = self.clients.get_mut(client) {
                    peer.becomes(user);
                    // The previous user asked for these lists.
                    while peer.end_list(None, &self.ledger.log) {}
                }
                let record = self.record_of_client(client, Kind::Login);
                // A login with a passphrase has cost a hash and a pause; one without has cost nothing.
                self.record_coming(user, Reason::Login, record, now);
                let user = self.gate.describe(user);
                self.clients.tell(client, id, &Event::User(user));
            }
            Err(failure) => {
                let record = Record {
                    // An unknown user name may be a passphrase typed at the wrong moment, so it is not recorded.
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

    /// Records a login or logout: every one if it needs a passphrase, otherwise ever more rarely.
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

//! Exports of adapters, and examples that a user types in.

use crate::files::FilesEnd;
use crate::monitor::Monitor;
use crate::shares::ENTRY;
use protocol::adapters::EXAMPLES_BYTES;
use protocol::error::{ErrorCode, Failure};
use protocol::name::ModelName;
use protocol::policy::Permission;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::Event;
use sha2::{Digest, Sha256};

impl<'m, R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'m, R, W, F> {
    /// A user asks for the file of an adapter made here.
    pub(in crate::monitor) fn export(
        &mut self,
        client: usize,
        id: u32,
        name: ModelName,
        now: u64,
    ) -> Result<(), Failure> {
        let user = self.clients.user(client);
        self.gate.access.require(user, Permission::FineTune)?;
        let Some(made) = self.shelf.find(name).copied() else {
            return Err(Failure::of(
                match self.is_of_disk(name) || self.is_in_store(name) {
                    true => ErrorCode::NotOfDevice,
                    false => ErrorCode::NoSuchAdapter,
                },
            ));
        };
        self.ledger.take_share(user, ENTRY, now)?;
        let list = crate::lists::ListKind::Export {
            id: made.id,
            offset: 0,
        };
        if let Err(failure) = self.list(client, id, list) {
            self.ledger.give_back(user, ENTRY);
            return Err(failure);
        }
        let record = Record {
            name,
            adapter_sha256: made.sha256,
            model_sha256: made.base,
            value: made.space.bytes as u64,
            ..self.record_of_client(client, Kind::Export)
        };
        self.record(record, now);
        Ok(())
    }

    /// Checks that the examples may change: no training in flight reads them.
    fn require_examples(&self, client: usize) -> Result<usize, Failure> {
        let user = self.clients.user(client);
        self.gate.access.require(user, Permission::FineTune)?;
        match self.table.iter().any(|it| it.running_tuning().is_some()) {
            true => Err(Failure::of(ErrorCode::Training)),
            false => Ok(user),
        }
    }

    /// Adds an example. Its text is logged like a prompt, so that a training on it can be repeated.
    pub(in crate::monitor) fn add_example(
        &mut self,
        client: usize,
        id: u32,
        text: &[u8],
        now: u64,
    ) -> Result<(), Failure> {
        let user = self.require_examples(client)?;
        let kept: &[u8] = match self.gate.policy().keep_prompts {
            1 => text,
            _ => &[],
        };
        let share = ENTRY.saturating_add(kept.len() as u64);
        self.ledger.take_share(user, share, now)?;
        if let Err(failure) = self.shelf.add_example(text) {
            self.ledger.give_back(user, share);
            return Err(failure);
        }
        self.work.spend(text.len());
        let record = Record {
            prompt_bytes: u32::try_from(text.len()).unwrap_or(u32::MAX),
            prompt_sha256: Sha256::digest(text).into(),
            value: self.shelf.examples().bytes as u64,
            ..self.record_of_client(client, Kind::Example)
        };
        self.ledger.record_with(record, kept, &mut self.work, now);
        self.tell_examples(client, id);
        Ok(())
    }

    pub(in crate::monitor) fn drop_examples(
        &mut self,
        client: usize,
        id: u32,
        now: u64,
    ) -> Result<(), Failure> {
        let user = self.require_examples(client)?;
        self.ledger.take_share(user, ENTRY, now)?;
        self.shelf.drop_examples();
        let record = self.record_of_client(client, Kind::Example);
        self.record(record, now);
        self.tell_examples(client, id);
        Ok(())
    }

    fn tell_examples(&mut self, client: usize, id: u32) {
        let event = Event::Examples {
            count: self.shelf.example_count(),
            bytes: u32::try_from(self.shelf.examples().bytes).unwrap_or(u32::MAX),
            limit: u32::try_from(EXAMPLES_BYTES).unwrap_or(u32::MAX),
        };
        self.clients.tell(client, id, &event);
    }
}

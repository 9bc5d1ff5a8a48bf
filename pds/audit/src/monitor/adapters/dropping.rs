//! Dropping adapters.

use crate::files::FilesEnd;
use crate::monitor::Monitor;
use crate::shares::ENTRY;
use protocol::error::{ErrorCode, Failure};
use protocol::name::ModelName;
use protocol::policy::Permission;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::Event;
use protocol::wire::engine::{self, Source};

impl<'m, R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'m, R, W, F> {
    pub(in crate::monitor) fn drop_adapter(
        &mut self,
        client: usize,
        id: u32,
        name: ModelName,
        now: u64,
    ) -> Result<(), Failure> {
        let user = self.clients.user(client);
        let made = self.shelf.find(name).copied();
        let permission = match made {
            Some(_) => Permission::FineTune,
            None => Permission::Load,
        };
        self.gate.access.require(user, permission)?;
        self.link.require_running(self.gate.policy())?;
        let found = self.places.find(name);
        let loaded = found.map(|(place, adapter)| (place, *adapter));
        if loaded.is_none() && made.is_none() {
            return Err(self.why_not_loaded(name));
        }
        self.require_settled()?;
        if let Some((place, _)) = loaded {
            let uses = self.uses(place);
            if uses > 0 {
                return Err(Failure::over(ErrorCode::AdapterInUse, uses, 0));
            }
            self.require_room(client)?;
        }
        self.ledger.take_share(user, ENTRY, now)?;
        let mut record = Record {
            name,
            code: Source::Store as u16,
            ..self.record_of_client(client, Kind::DropAdapter)
        };
        if let Some((place, adapter)) = loaded {
            record = self.describe_adapter(&adapter, record);
            record.value = adapter.bytes;
            record.code = self.origin_of(&adapter);
            let place_number = u32::try_from(place).unwrap_or(u32::MAX);
            let command = engine::Command::DropAdapter {
                place: place_number,
            };
            // There is room, as checked above.
            self.link.send(Some(client), 0, &command);
            self.places.clear(place);
            self.gate.sessions.end_with_adapter(place);
        }
        if let Some(made) = made {
            record.adapter_sha256 = made.sha256;
            record.model_sha256 = made.base;
            record.value = made.space.bytes as u64;
            record.code = Source::Device as u16;
            self.shelf.forget(made.id);
        }
        self.record(record, now);
        self.clients.tell(client, id, &Event::Done);
        Ok(())
    }

    /// Number of requests for text in flight that use the adapter in this place.
    fn uses(&self, place: usize) -> u64 {
        let uses = self.table.iter().filter(|entry| {
            let used = entry.running().and_then(|generation| generation.adapter);
            used.is_some_and(|used| used.place == place)
        });
        uses.fold(0, |count, _| count.saturating_add(1))
    }
}

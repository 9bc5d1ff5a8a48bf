//! Exports, examples, and entries of lists.

use crate::claims::*;
use crate::model::ENTRY;
use crate::store::Signed;
use protocol::adapters::EXAMPLES_BYTES;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_EXAMPLE_BYTES;
use protocol::name::ModelName;
use protocol::policy::Permission;
use protocol::record::Kind;
use protocol::wire::client::{AdapterEntry, AdapterOrigin, Event, Signature};

impl<'m> Judge<'m> {
    /// The adapter at this place of a list.
    pub(crate) fn adapter_in_list(&self, place: usize) -> Option<AdapterEntry> {
        let known = |name| {
            let found = self.model.place_of(name).map(|(_, placed)| placed);
            found.filter(|placed| placed.present)
        };
        if let Some(made) = self.model.made.get(place) {
            let placed = known(made.name);
            return Some(AdapterEntry {
                name: made.name,
                file_bytes: made.file.len() as u64,
                sha256: made.sha256(),
                base_sha256: made.base,
                origin: AdapterOrigin::Device,
                signature: Signature::Good,
                loaded: placed.is_some(),
                info: placed.map(|placed| placed.info).unwrap_or_default(),
            });
        }
        let file = self.model.adapters.get(place - self.model.made.len())?;
        let is_known = self.model.verdicts.contains(&file.offset);
        let placed = known(file.name).filter(|placed| placed.offset == file.offset);
        let base = placed.and_then(|_| self.model.base());
        Some(AdapterEntry {
            name: file.name,
            file_bytes: file.bytes,
            sha256: if is_known { file.sha256 } else { [0; 32] },
            base_sha256: base.unwrap_or_default(),
            origin: AdapterOrigin::Store,
            signature: match file.signed {
                Signed::Missing => Signature::Missing,
                _ if !is_known => Signature::Unchecked,
                _ if self.is_good(file) => Signature::Good,
                _ => Signature::Bad,
            },
            loaded: placed.is_some(),
            info: placed.map(|placed| placed.info).unwrap_or_default(),
        })
    }

    /// An export begins.
    pub(crate) fn exports(
        &mut self,
        client: usize,
        id: u32,
        name: ModelName,
    ) -> Held<Result<(), Failure>> {
        if let Err(failure) = self.require(client, Permission::FineTune) {
            return Ok(Err(failure));
        }
        let Some(made) = self.made(name) else {
            let code = match self.model.is_adapter(name) {
                true => ErrorCode::NotOfDevice,
                false => ErrorCode::NoSuchAdapter,
            };
            return Ok(Err(Failure::of(code)));
        };
        if let Err(failure) = self.take_share(client, ENTRY) {
            return Ok(Err(failure));
        }
        let kind = crate::model::ListKind::Export(made.id, 0);
        if let Err(failure) = self.list_begins(client, id, kind) {
            let user = self.model.clients[client].user();
            self.give_back(user, ENTRY);
            return Ok(Err(failure));
        }
        let (record, _) = self.record(Kind::Export)?;
        let user = self.model.user_name(self.model.clients[client].user());
        claim!(
            self,
            Log,
            record.name == name
                && record.user == user
                && record.adapter_sha256 == made.sha256()
                && record.value == made.file.len() as u64,
            "{record:?} of {name}"
        );
        Ok(Ok(()))
    }

    pub(crate) fn adds_example(
        &mut self,
        client: usize,
        id: u32,
        text: Option<&[u8]>,
    ) -> Held<Result<(), Failure>> {
        let allowed = self.require(client, Permission::FineTune);
        let allowed = allowed.and_then(|()| match self.model.tune() {
            Some(_) => Err(Failure::of(ErrorCode::Training)),
            None => Ok(()),
        });
        let keeps = self.model.policy.is_ok_and(|p| p.keep_prompts == 1);
        let kept = text.filter(|_| keeps).unwrap_or_default();
        let share = ENTRY + kept.len() as u64;
        if let Err(failure) = allowed.and_then(|()| self.take_share(client, share)) {
            return Ok(Err(failure));
        }
        let user = self.model.clients[client].user();
        if let Some(text) = text
            && let Err(failure) = self.is_example(text)
        {
            self.give_back(user, share);
            return Ok(Err(failure));
        }
        match text {
            Some(text) => {
                self.works(text.len());
                let (bytes, count) = &mut self.model.examples;
                bytes.extend_from_slice(text);
                bytes.push(b'\n');
                *count += 1;
            }
            None => self.model.examples = Default::default(),
        }
        let (record, in_log) = self.record(Kind::Example)?;
        let bytes = self.model.examples.0.len();
        let hash = text.map(|text| Sha256::digest(text).into());
        claim!(
            self,
            Log,
            record.user == self.model.user_name(user)
                && record.prompt_sha256 == hash.unwrap_or([0; 32])
                && record.prompt_bytes as usize == text.map_or(0, <[u8]>::len)
                && record.value as usize == bytes
                && in_log == kept,
            "{record:?} with {} bytes",
            in_log.len()
        );
        let event = Event::Examples {
            count: self.model.examples.1,
            bytes: bytes as u32,
            limit: EXAMPLES_BYTES as u32,
        };
        self.answered(client, id, &event, Claim::Answers).map(Ok)
    }

    /// At the end of a wake-up, the region has the examples as they were typed.
    pub(crate) fn examples_lie_there(&mut self) -> Held {
        let typed = std::mem::take(&mut self.model.examples.0);
        let right = self.lies_there(0, &typed);
        self.model.examples.0 = typed;
        claim!(
            self,
            Models,
            right,
            "the examples are not those that were typed"
        );
        Ok(())
    }

    fn is_example(&self, text: &[u8]) -> Result<(), Failure> {
        let (len, most) = (text.len() as u64, MAX_EXAMPLE_BYTES as u64);
        if len == 0 || len > most {
            return Err(Failure::over(ErrorCode::ExampleBytes, len, most));
        }
        let wrong = match std::str::from_utf8(text) {
            Ok(text) => text.find(['\n', '\r']),
            Err(error) => Some(error.valid_up_to()),
        };
        if let Some(at) = wrong {
            return Err(Failure::over(ErrorCode::BadExample, at as u64, 0));
        }
        let (then, most) = (
            self.model.examples.0.len() as u64 + len + 1,
            EXAMPLES_BYTES as u64,
        );
        match then > most {
            true => Err(Failure::over(ErrorCode::ExamplesFull, then, most)),
            false => Ok(()),
        }
    }
}

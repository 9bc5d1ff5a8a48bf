//! Commands for inference and events for clients on a system with a disk.

use super::{Broken, Claim, Held, Judge, read};
use crate::disk::world::SLOT_BYTES;
use crate::world::Message;
use protocol::error::ErrorCode;
use protocol::testing::TestRegion;
use protocol::wire::client::Event;
use protocol::wire::engine::Command;

impl Judge {
    pub(super) fn commands(&mut self, message: &Message, slots: &TestRegion) -> Held {
        let number = message.request;
        let frame = message.frame();
        match Command::parse(&frame) {
            Ok(Command::Infer { .. } | Command::Train { .. }) => {
                let admitted = self.boot.admitted.get(&number).copied();
                claim!(
                    self,
                    Ahead,
                    admitted.is_some_and(|sequence| self.is_settled(sequence)),
                    "inference is told of request {number}, whose admission is entry {admitted:?}, but the log is durable up to {}",
                    self.boot.durable
                );
                claim!(
                    self,
                    LostLog,
                    !(self.refuses && self.boot.was_lost),
                    "inference is told of request {number}, although the log cannot be written"
                );
            }
            Ok(Command::Load { offset, bytes, .. }) => {
                let behind = offset.checked_sub(self.store_bytes);
                let slot = behind.map(|at| (at / SLOT_BYTES as u64) as usize);
                let is_own = std::mem::take(&mut self.boot.is_epoch_new);
                self.boot.loading = Some((number, is_own, slot));
                if let Some(slot) = slot {
                    let shown = read(slots, slot);
                    let file = shown.get(..bytes as usize);
                    let is_signed = self.signed.iter().any(|signed| Some(&signed[..]) == file);
                    claim!(
                        self,
                        Slots,
                        is_signed,
                        "inference is told of {bytes} bytes in slot {slot} that no trusted key has signed"
                    );
                    self.figures.disk_loads += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn slots_are_as_they_should(&mut self, region: &TestRegion) -> Held {
        for slot in 0..self.boot.slots.len() {
            let now = read(region, slot);
            if now == self.boot.slots[slot] {
                continue;
            }
            claim!(
                self,
                Slots,
                self.boot.in_service != Some(slot) && self.boot.was_loading != Some(slot),
                "slot {slot} has changed, although inference uses its model"
            );
            let before = &self.boot.slots[slot];
            let is_copied = self.signed.iter().any(|file| {
                let same = now.iter().zip(file).take_while(|(now, file)| now == file);
                // The last word is padded with whatever the staging copy has there.
                let end = same.count().next_multiple_of(8);
                now[end..] == before[end..]
            });
            claim!(
                self,
                Slots,
                is_copied,
                "slot {slot} has bytes that no trusted key has signed"
            );
            self.boot.slots[slot] = now;
        }
        Ok(())
    }

    /// A client has requested a signed model of the disk while files is honest.
    pub fn expects_model(&mut self, client: usize, id: u32) {
        self.boot.sound_loads.insert((client, id));
    }

    pub(super) fn tells(&mut self, client: usize, message: &Message) -> Held {
        let frame = message.frame();
        let event = Event::parse(&frame);
        if let Ok(Event::Failed { failure, .. }) = event {
            use ErrorCode::{BadSignature, FileChanged, FilesBreach, FilesSilent};
            let blames_files = match failure.code {
                BadSignature | FileChanged | FilesBreach => true,
                FilesSilent => !self.boot.was_silent,
                _ => false,
            };
            let is_sound = self.boot.sound_loads.contains(&(client, message.request));
            claim!(
                self,
                Models,
                !(blames_files && is_sound),
                "client {client} is refused a signed model of an honest files domain: {failure:?}"
            );
        }
        let is_end = match event {
            Ok(Event::Failed { failure, .. }) if failure.code == ErrorCode::LogLost => {
                claim!(
                    self,
                    LostLog,
                    self.refuses && self.boot.is_lost,
                    "client {client} is refused for the log; it is lost: {}",
                    self.boot.is_lost
                );
                false
            }
            Ok(Event::Finished(_) | Event::Tuned(_)) => true,
            // A cancelled request may already be over.
            Ok(Event::Failed { failure, .. }) => failure.code != ErrorCode::NoSuchRequest,
            _ => false,
        };
        let number = self.boot.numbers.get(&(client, message.request));
        let end = number
            .and_then(|number| self.boot.ended.get(number))
            .copied();
        if let Some(end) = end.filter(|_| is_end) {
            claim!(
                self,
                Ahead,
                self.is_settled(end),
                "client {client} is told {event:?} of {}, whose end is entry {end}, but the log is durable up to {}",
                message.request,
                self.boot.durable
            );
        }
        Ok(())
    }
}

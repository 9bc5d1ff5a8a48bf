//! The regions between audit and its peers. What audit publishes is written to the journal, and a peer's end can be
//! repaired after its owner has written garbage.

use protocol::VERSION;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, PAYLOAD_WORDS, SLOTS};
use protocol::testing::TestRegion;
use std::cell::Cell;
use std::fmt;

use super::{Journal, Seen};

// The layout of a region, as documented in `protocol::ring`.
const VERSION_WORD: usize = 0;
const EPOCH_WORD: usize = 1;
/// The word that counts messages that the owner has sent.
pub const HEAD_WORD: usize = 2;
/// The word that counts messages that the owner has read.
pub const TAIL_WORD: usize = 3;
const FIRST_SLOT_WORD: usize = 8;
const SLOT_WORDS: usize = 2 + PAYLOAD_WORDS;
/// Number of words that have a meaning.
pub const REGION_WORDS: usize = FIRST_SLOT_WORD + SLOTS * SLOT_WORDS;

/// Number of messages after which a reader tells the writer that there is room: a quarter of the ring.
const TOLD_AFTER: u32 = SLOTS as u32 / 4;

/// A message, whoever wrote it.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its kind, within its direction.
    pub kind: u16,
    /// The request that it is about.
    pub request: u32,
    /// The rest of the message.
    pub payload: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, request, bytes) = (self.kind, self.request, self.payload.len());
        write!(f, "{kind:#x} {request} ({bytes})")
    }
}

impl Message {
    /// The frame that the protocol's parsers read.
    #[must_use]
    pub fn frame(&self) -> Frame {
        let mut frame = Frame::new();
        frame.begin(self.kind, self.request)[..self.payload.len()].copy_from_slice(&self.payload);
        frame.finish(self.payload.len());
        frame
    }
}

/// Content of a slot or an index that is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbage;

/// A pair of rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// Between audit and the client in this place.
    Client(usize),
    /// Between audit and inference.
    Inference,
    /// Between audit and files.
    Files,
    /// No ring: memory that audit writes.
    Memory,
}

const fn tagged(epoch: u32, index: u32) -> u64 {
    (epoch as u64) << 32 | index as u64
}

const fn untagged(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

/// The message in the slot of `index`, if it is from `epoch`.
fn message_at(region: &TestRegion, index: u32, epoch: u32) -> Result<Message, Garbage> {
    let slot = FIRST_SLOT_WORD + (index as usize % SLOTS) * SLOT_WORDS;
    let (first, second) = (region.load(slot), region.load(slot + 1));
    let (of_epoch, request) = untagged(second);
    let len = first as u32 as usize;
    if (first >> 48) as u16 != VERSION || of_epoch != epoch || len > PAYLOAD_WORDS * 8 {
        return Err(Garbage);
    }
    let words = (0..len.div_ceil(8)).flat_map(|i| region.load(slot + 2 + i).to_le_bytes());
    let mut payload: Vec<u8> = words.collect();
    payload.truncate(len);
    Ok(Message {
        kind: (first >> 32) as u16,
        request,
        payload,
    })
}

/// Audit's own region of a pair, which is watched.
#[derive(Clone, Debug)]
pub struct Watched {
    ring: Ring,
    ours: TestRegion,
    theirs: TestRegion,
    journal: Journal,
    /// Number of messages that audit had taken when it last had to tell the peer.
    told: Cell<u32>,
}

impl ReadWords for Watched {
    fn words(&self) -> usize {
        self.ours.words()
    }
    fn load(&self, index: usize) -> u64 {
        self.ours.load(index)
    }
    fn acquire_fence(&self) {}
}

impl WriteWords for Watched {
    fn store(&self, index: usize, value: u64) {
        self.ours.store(index, value);
    }

    fn publish(&self, index: usize, value: u64) {
        let (epoch, count) = untagged(value);
        let mut made_room = false;
        let seen = match index {
            HEAD_WORD => {
                let sent = message_at(&self.ours, count.wrapping_sub(1), epoch);
                Seen::Sent(
                    self.ring,
                    sent.expect("audit writes its slot before its head"),
                )
            }
            TAIL_WORD => {
                let (_, last) = untagged(self.ours.load(TAIL_WORD));
                let taken = match count.wrapping_sub(last) {
                    1 => message_at(&self.theirs, last, epoch),
                    _ => Err(Garbage),
                };
                made_room = count.wrapping_sub(self.told.get()) >= TOLD_AFTER;
                Seen::Took(self.ring, taken)
            }
            _ => {
                self.told.set(0);
                Seen::Led(self.ring, value as u32)
            }
        };
        self.ours.publish(index, value);
        let mut journal = self.journal.borrow_mut();
        journal.push(seen);
        if made_room {
            self.told.set(count);
            journal.push(Seen::MadeRoom(self.ring));
        }
    }

    fn release_fence(&self) {}
}

/// A peer's end of a pair. Unlike `protocol`'s, it can be repaired after its owner has written garbage.
#[derive(Debug)]
pub struct Peer {
    /// The region that the peer writes.
    pub ours: TestRegion,
    theirs: TestRegion,
    /// The epoch that it has joined.
    pub epoch: u32,
    /// Whether it has written into its region since it started.
    pub wrote: bool,
    /// Whether it has sent something, or made room that audit may be waiting for, without signalling.
    pub owes_signal: bool,
    /// Whether audit has signalled it since it last looked.
    pub is_signalled: bool,
    head: u32,
    tail: u32,
    told: u32,
}

/// Memory that audit writes, and audit's handle to it.
pub fn memory(words: usize, journal: &Journal) -> (TestRegion, Watched) {
    let region = TestRegion::with_words(words);
    let watched = Watched {
        ring: Ring::Memory,
        ours: region.clone(),
        theirs: region.clone(),
        journal: journal.clone(),
        told: Cell::new(0),
    };
    (region, watched)
}

/// Audit's end of a pair of rings, and the peer's.
pub fn pair(ring: Ring, journal: &Journal) -> (Endpoint<TestRegion, Watched>, Peer) {
    let (audits, peers) = (TestRegion::new(), TestRegion::new());
    let watched = Watched {
        ring,
        ours: audits.clone(),
        theirs: peers.clone(),
        journal: journal.clone(),
        told: Cell::new(0),
    };
    let end = Endpoint::new(peers.clone(), watched).expect("regions of the right size");
    let peer = Peer {
        ours: peers,
        theirs: audits,
        epoch: 0,
        wrote: false,
        owes_signal: false,
        is_signalled: false,
        head: 0,
        tail: 0,
        told: 0,
    };
    (end, peer)
}

impl Peer {
    /// Joins audit's epoch, if it is a new one.
    pub fn follow(&mut self) -> bool {
        let epoch = self.theirs.load(EPOCH_WORD) as u32;
        if epoch == 0 || epoch == self.epoch {
            return false;
        }
        (self.epoch, self.head, self.tail, self.told) = (epoch, 0, 0, 0);
        self.wrote = true;
        self.publish();
        true
    }

    fn publish(&self) {
        self.ours.store(VERSION_WORD, u64::from(VERSION));
        self.ours.store(EPOCH_WORD, u64::from(self.epoch));
        self.ours.store(HEAD_WORD, tagged(self.epoch, self.head));
        self.ours.store(TAIL_WORD, tagged(self.epoch, self.tail));
    }

    /// Messages that audit has sent and the peer has not read.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let (epoch, head) = untagged(self.theirs.load(HEAD_WORD));
        match epoch == self.epoch && epoch != 0 {
            true => head.wrapping_sub(self.tail) as usize,
            false => 0,
        }
    }

    /// Messages that the peer has sent and audit has not read.
    #[must_use]
    pub fn unread(&self) -> usize {
        let (epoch, tail) = untagged(self.theirs.load(TAIL_WORD));
        let read = if epoch == self.epoch { tail } else { 0 };
        self.head.wrapping_sub(read) as usize
    }

    /// Sends a message; false if there is no room.
    pub fn send(&mut self, frame: &Frame) -> bool {
        if self.epoch == 0 || self.unread() >= SLOTS {
            return false;
        }
        let header = frame.header();
        let slot = FIRST_SLOT_WORD + (self.head as usize % SLOTS) * SLOT_WORDS;
        let first = u64::from(VERSION) << 48 | u64::from(header.kind) << 32 | header.len as u64;
        self.ours.store(slot, first);
        self.ours
            .store(slot + 1, tagged(self.epoch, header.request));
        for (i, bytes) in frame.payload().chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            self.ours.store(slot + 2 + i, u64::from_le_bytes(word));
        }
        self.head = self.head.wrapping_add(1);
        self.ours.publish(HEAD_WORD, tagged(self.epoch, self.head));
        self.owes_signal = true;
        true
    }

    /// The next message from audit.
    pub fn receive(&mut self) -> Option<Message> {
        if self.waiting() == 0 {
            return None;
        }
        let message = message_at(&self.theirs, self.tail, self.epoch).ok();
        self.tail = self.tail.wrapping_add(1);
        self.ours.publish(TAIL_WORD, tagged(self.epoch, self.tail));
        if self.tail.wrapping_sub(self.told) >= TOLD_AFTER {
            self.told = self.tail;
            self.owes_signal = true;
        }
        message
    }

    /// Repairs the rings after garbage: as if everything ever sent had been read, on both sides.
    pub fn set_right(&mut self) {
        let (epoch, tail) = untagged(self.theirs.load(TAIL_WORD));
        let (_, head) = untagged(self.theirs.load(HEAD_WORD));
        if epoch == self.epoch {
            (self.head, self.tail, self.told) = (tail, head, head);
        }
        self.publish();
        self.owes_signal = true;
    }

    /// Audit's room to send, as audit sees it.
    #[must_use]
    pub fn free_for_audit(&self) -> usize {
        let (of_audit, head) = untagged(self.theirs.load(HEAD_WORD));
        let (epoch, tail) = untagged(self.ours.load(TAIL_WORD));
        let read = if epoch == of_audit { tail } else { 0 };
        SLOTS.saturating_sub(head.wrapping_sub(read) as usize)
    }

    /// Whether audit finds messages, or garbage, when it looks.
    #[must_use]
    pub fn offers(&self) -> bool {
        let (of_audit, tail) = untagged(self.theirs.load(TAIL_WORD));
        let (epoch, head) = untagged(self.ours.load(HEAD_WORD));
        epoch == of_audit && epoch != 0 && head != tail
    }

    /// The tag of a message of a later epoch.
    #[must_use]
    pub const fn tag(&self, later: u32, index: u32) -> u64 {
        tagged(self.epoch.wrapping_add(later), index)
    }

    /// The word with the second header word of a slot.
    #[must_use]
    pub const fn slot_tag_word(slot: usize) -> usize {
        FIRST_SLOT_WORD + (slot % SLOTS) * SLOT_WORDS + 1
    }
}

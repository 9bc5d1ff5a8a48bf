//! Single-writer rings: two regions, one per direction, each written by only one domain.
//!
//! ```text
//!   region of A (A writes, B reads)          region of B (B writes, A reads)
//!   ┌──────────────────────────────┐         ┌──────────────────────────────┐
//!   │ 0  version                   │         │ 0  version                   │
//!   │ 1  epoch (audit chooses it,  │         │ 1  epoch                     │
//!   │    the peer echoes it)       │         │                              │
//!   │ 2  head of A's ring  ────────┼─ reads ─┤ 3  tail of A's ring          │
//!   │ 3  tail of B's ring          │         │ 2  head of B's ring          │
//!   │ 8… slots of A's ring         │         │ 8… slots of B's ring         │
//!   └──────────────────────────────┘         └──────────────────────────────┘
//! ```
//!
//! Head and tail are published as `epoch << 32 | index`; indices are free-running 32-bit counters. Anything from
//! another epoch is ignored: shared regions keep their contents when a peer is restarted, and audit cannot clear a
//! region that its peer writes.
//!
//! A producer never trusts a tail that claims more room than exists: it treats the ring as full and sends nothing
//! ([`SendError::Violation`]). A consumer never trusts a head that claims more messages than fit: it drops them all
//! ([`Violation::Index`]). Audit counts violations on receiving; impossible tails are not counted. A signal only means
//! "look": signal after sending or reading, and on wake-up read until the ring is empty.

mod frame;
#[cfg(all(test, not(loom)))]
mod tests;

pub use frame::{Frame, Header};

use crate::VERSION;
use crate::region::{ReadWords, WriteWords};

const VERSION_WORD: usize = 0;
const EPOCH_WORD: usize = 1;
const HEAD_WORD: usize = 2;
const TAIL_WORD: usize = 3;
/// One cache line of header, so that slots start on their own line.
const FIRST_SLOT_WORD: usize = 8;
const HEADER_WORDS: usize = 2;

/// Largest payload of a message: the longest parts of a request, after a record of the log.
pub const PAYLOAD_BYTES: usize = crate::limits::MAX_PARTS_BYTES + 504;
/// [`PAYLOAD_BYTES`] in words.
pub const PAYLOAD_WORDS: usize = PAYLOAD_BYTES / 8;
/// Messages that a ring holds.
pub const SLOTS: usize = crate::limits::RING_SLOTS;
/// Size of a region in bytes; `system.xml` gives it this size.
pub const REGION_BYTES: usize = 0x23000;

const _: () = assert!(
    region_words(SLOTS, PAYLOAD_WORDS) * 8 <= REGION_BYTES
        && REGION_BYTES.is_multiple_of(4096)
        && SLOTS.is_power_of_two()
        && PAYLOAD_BYTES.is_multiple_of(8)
);

#[allow(clippy::arithmetic_side_effects)] // Evaluated at build time, where overflow is an error.
const fn region_words(slots: usize, payload_words: usize) -> usize {
    FIRST_SLOT_WORD + slots * (HEADER_WORDS + payload_words)
}

/// A protocol violation by a peer. The message or the index is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The head or tail implies more messages than the ring has slots.
    #[error("an index outside the ring")]
    Index,
    /// The message has another protocol version.
    #[error("a message of another protocol version")]
    Version,
    /// A message has an epoch other than the current one.
    #[error("a message of another epoch")]
    Epoch,
    /// The payload is longer than a slot.
    #[error("a payload longer than a slot")]
    Length,
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer has not read enough yet.
    #[error("the ring is full")]
    Full,
    /// The peer's tail is impossible. There is no room until it becomes valid again.
    #[error("the peer's tail is impossible")]
    Violation,
    /// The payload does not fit a slot.
    #[error("the payload does not fit a slot")]
    TooLong,
    /// There is no epoch yet, or audit has begun another: call [`Endpoint::follow`] first.
    #[error("the epoch is over")]
    Stale,
}

/// One end of a pair of rings: sends into its own region and receives from its peer's.
#[derive(Debug)]
pub struct Endpoint<R, W, const RING: usize = SLOTS, const PAYLOAD: usize = PAYLOAD_WORDS> {
    theirs: R,
    ours: W,
    epoch: u32,
    /// Messages sent in this epoch, modulo 2³².
    head: u32,
    /// Messages received in this epoch, modulo 2³².
    tail: u32,
    /// How many of these the peer was told of, or will be when the owner asks.
    told: u32,
    /// Enough room was made to signal the peer since the owner last asked.
    owes_signal: bool,
}

/// A region is too small for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a region of {words} words, the ring needs {needed}")]
pub struct RegionTooSmall {
    /// Words in the region.
    pub words: usize,
    /// Words that the ring needs.
    pub needed: usize,
}

impl<R: ReadWords, W: WriteWords, const RING: usize, const PAYLOAD: usize>
    Endpoint<R, W, RING, PAYLOAD>
{
    /// An endpoint without an epoch: nothing is sent or received until [`Self::lead`] (audit) or [`Self::follow`] (its
    /// peers) is called.
    ///
    /// # Errors
    /// A region is too small.
    pub fn new(theirs: R, ours: W) -> Result<Self, RegionTooSmall> {
        const { assert!(RING.is_power_of_two() && RING <= 1 << 16) };
        let needed = region_words(RING, PAYLOAD);
        let words = theirs.words().min(ours.words());
        if words < needed {
            return Err(RegionTooSmall { words, needed });
        }
        Ok(Self {
            theirs,
            ours,
            epoch: 0,
            head: 0,
            tail: 0,
            told: 0,
            owes_signal: false,
        })
    }

    /// The current epoch; 0 before the first.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Audit's side: begins an epoch, discarding everything in flight. The epoch must not be 0 or the one that ends.
    /// After a restart it must not be one that the old peer could predict, because its region outlives it.
    pub fn lead(&mut self, epoch: u32) {
        self.begin(epoch);
    }

    /// Audit's side: the first epoch after `last` that nothing in the peer's region names. A peer can count, and a
    /// restarted one may have left indices and messages of the next epochs, but it cannot know which epoch will be
    /// chosen. The peer that wrote them must have been stopped.
    #[must_use]
    pub fn epoch_after(&self, last: u32) -> u32 {
        let mut epoch = last;
        // One more attempt than there are words that can name an epoch.
        for _ in 0..=RING.saturating_add(3) {
            epoch = epoch.wrapping_add(1).max(1);
            if !self.is_named(epoch) {
                break;
            }
        }
        epoch
    }

    /// Whether an index or a message in the peer's region has this epoch.
    fn is_named(&self, epoch: u32) -> bool {
        let names = |word: usize| untagged(self.theirs.load(word)).0 == epoch;
        // `new` has checked that the ring is small.
        #[allow(clippy::cast_possible_truncation)]
        let mut slots = 0..RING as u32;
        self.theirs.load(EPOCH_WORD) == u64::from(epoch)
            || names(HEAD_WORD)
            || names(TAIL_WORD)
            || slots.any(|slot| names(slot_word::<RING, PAYLOAD>(slot).wrapping_add(1)))
    }

    /// The peer's side: joins the epoch that audit has chosen. True if it is new.
    pub fn follow(&mut self) -> bool {
        let offered = self.theirs.load(EPOCH_WORD);
        self.theirs.acquire_fence();
        match u32::try_from(offered) {
            Ok(epoch) if epoch != 0 && epoch != self.epoch => {
                self.begin(epoch);
                true
            }
            _ => false,
        }
    }

    /// Audit's side: whether the peer has joined the current epoch.
    #[must_use]
    pub fn peer_has_joined(&self) -> bool {
        let echoed = self.theirs.load(EPOCH_WORD);
        self.theirs.acquire_fence();
        self.epoch != 0 && echoed == u64::from(self.epoch)
    }

    /// The protocol version in the peer's region: [`VERSION`] if the peer is built from the same tree, 0 while it has
    /// not begun. Its word is at the same offset in every version.
    #[must_use]
    pub fn peer_version(&self) -> u64 {
        self.theirs.load(VERSION_WORD)
    }

    fn begin(&mut self, epoch: u32) {
        self.epoch = epoch;
        self.head = 0;
        self.tail = 0;
        self.told = 0;
        self.owes_signal = false;
        self.ours.store(VERSION_WORD, u64::from(VERSION));
        self.ours.store(HEAD_WORD, tagged(epoch, 0));
        self.ours.store(TAIL_WORD, tagged(epoch, 0));
        self.ours.publish(EPOCH_WORD, u64::from(epoch));
        // No slot of this epoch may be stored before the peer can see that the last epoch is over.
        self.ours.release_fence();
    }

    /// Number of messages that can be sent now.
    #[must_use]
    pub fn free(&self) -> usize {
        self.sent_and_unread()
            .map_or(0, |unread| RING.saturating_sub(unread))
    }

    /// Messages sent that the peer has not read. A tail of another epoch means that the peer has read nothing of this
    /// one.
    fn sent_and_unread(&self) -> Result<usize, SendError> {
        if self.epoch == 0 {
            return Err(SendError::Stale);
        }
        let (epoch, tail) = untagged(self.theirs.load(TAIL_WORD));
        self.theirs.acquire_fence();
        let read = if epoch == self.epoch { tail } else { 0 };
        let unread = self.head.wrapping_sub(read) as usize;
        if unread > RING {
            Err(SendError::Violation)
        } else {
            Ok(unread)
        }
    }

    /// Sends the message in `frame`. The caller signals its peer afterwards.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was sent.
    pub fn send(&mut self, frame: &Frame<PAYLOAD>) -> Result<(), SendError> {
        let header = frame.header;
        let words = header.len.div_ceil(8);
        let Some(payload) = frame.words.get(..words) else {
            return Err(SendError::TooLong);
        };
        if self.sent_and_unread()? >= RING {
            return Err(SendError::Full);
        }
        let [first, second] = pack(header, self.epoch);
        let slot = slot_word::<RING, PAYLOAD>(self.head);
        self.ours.store(slot, first);
        self.ours.store(slot.wrapping_add(1), second);
        for (i, &word) in payload.iter().enumerate() {
            self.ours
                .store(slot.wrapping_add(HEADER_WORDS).wrapping_add(i), word);
        }
        self.head = self.head.wrapping_add(1);
        self.ours.publish(HEAD_WORD, tagged(self.epoch, self.head));
        Ok(())
    }

    /// Overwrites the payloads that the peer has read, for a sender whose message must not outlive its use. True if the
    /// peer has read everything, so that nothing is left; otherwise call again when the peer has signalled.
    ///
    /// A peer that claims to have read more than was sent is treated as having read nothing.
    pub fn wipe_read(&mut self) -> bool {
        let Ok(unread) = self.sent_and_unread() else {
            return false;
        };
        for back in unread..RING {
            // `new` has checked that the ring is small.
            #[allow(clippy::cast_possible_truncation)]
            let index = self.head.wrapping_sub(back as u32).wrapping_sub(1);
            let slot = slot_word::<RING, PAYLOAD>(index).wrapping_add(HEADER_WORDS);
            for word in 0..PAYLOAD {
                self.ours.store(slot.wrapping_add(word), 0);
            }
        }
        unread == 0
    }

    /// Whether [`Self::receive`] has something to do: a message, or an impossible index.
    #[must_use]
    pub fn has_message(&self) -> bool {
        let (epoch, head) = untagged(self.theirs.load(HEAD_WORD));
        self.epoch != 0 && epoch == self.epoch && head != self.tail
    }

    /// Receives one message into `frame`; false if there is none.
    ///
    /// # Errors
    /// The peer broke the protocol. The message is dropped (for an impossible index, all messages are), and the
    /// endpoint continues.
    pub fn receive(&mut self, frame: &mut Frame<PAYLOAD>) -> Result<bool, Violation> {
        let (epoch, head) = untagged(self.theirs.load(HEAD_WORD));
        self.theirs.acquire_fence();
        if self.epoch == 0 || epoch != self.epoch {
            return Ok(false);
        }
        let waiting = head.wrapping_sub(self.tail) as usize;
        if waiting == 0 {
            return Ok(false);
        }
        if waiting > RING {
            self.consume_up_to(head);
            return Err(Violation::Index);
        }
        let slot = slot_word::<RING, PAYLOAD>(self.tail);
        let raw = [
            self.theirs.load(slot),
            self.theirs.load(slot.wrapping_add(1)),
        ];
        let result = unpack(raw, self.epoch).and_then(|header| {
            let words = header.len.div_ceil(8);
            let room = frame.words.get_mut(..words).ok_or(Violation::Length)?;
            for (i, word) in room.iter_mut().enumerate() {
                *word = self
                    .theirs
                    .load(slot.wrapping_add(HEADER_WORDS).wrapping_add(i));
            }
            frame.header = header;
            Ok(true)
        });
        // Audit may begin an epoch while its peer copies, which leaves the slot half old, half new. The fences order
        // the word that reveals this (see `begin`).
        self.theirs.acquire_fence();
        if untagged(self.theirs.load(HEAD_WORD)).0 != self.epoch {
            return Ok(false);
        }
        self.consume_up_to(self.tail.wrapping_add(1));
        result
    }

    /// Frees slots. The release orders our loads of them before the peer's next stores.
    fn consume_up_to(&mut self, index: u32) {
        self.tail = index;
        if index.wrapping_sub(self.told) >= const { signal_after(RING) } {
            self.told = index;
            self.owes_signal = true;
        }
        self.ours.publish(TAIL_WORD, tagged(self.epoch, index));
    }

    /// Whether a quarter of the ring was freed since the last call. If so, signal the peer, which may be waiting for
    /// it.
    ///
    /// A peer that waits while at least a quarter of its ring is unread always gets a signal: when it looked, less than
    /// that had been read beyond what it was told, so reading the rest crosses the threshold. In return, most messages
    /// need no signal back.
    pub fn take_owed_signal(&mut self) -> bool {
        core::mem::take(&mut self.owes_signal)
    }
}

/// Messages read before the peer is signalled.
#[allow(clippy::cast_possible_truncation)] // `new` has checked that the ring is small.
const fn signal_after(ring: usize) -> u32 {
    let quarter = ring as u32 / 4;
    if quarter == 0 { 1 } else { quarter }
}

const fn tagged(epoch: u32, index: u32) -> u64 {
    (epoch as u64) << 32 | index as u64
}

#[allow(clippy::cast_possible_truncation)] // Both halves of the word are used.
const fn untagged(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

/// Word of the slot with the free-running index `index`.
#[allow(clippy::arithmetic_side_effects)] // Bounded by `region_words`, which `new` has checked.
const fn slot_word<const RING: usize, const PAYLOAD: usize>(index: u32) -> usize {
    FIRST_SLOT_WORD + (index as usize & (RING - 1)) * (HEADER_WORDS + PAYLOAD)
}

/// Word 0: version, kind, length; word 1: epoch, request.
fn pack(header: Header, epoch: u32) -> [u64; HEADER_WORDS] {
    [
        u64::from(VERSION) << 48 | u64::from(header.kind) << 32 | header.len as u64,
        tagged(epoch, header.request),
    ]
}

#[allow(clippy::cast_possible_truncation)] // The halves and quarters of a word are used.
fn unpack([first, second]: [u64; HEADER_WORDS], epoch: u32) -> Result<Header, Violation> {
    if (first >> 48) as u16 != VERSION {
        return Err(Violation::Version);
    }
    let (of_epoch, request) = untagged(second);
    if of_epoch != epoch {
        return Err(Violation::Epoch);
    }
    Ok(Header {
        kind: (first >> 32) as u16,
        request,
        len: first as u32 as usize,
    })
}

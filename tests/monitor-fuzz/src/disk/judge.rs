//! The claims about a system with a disk. They are checked only against what audit asked, took, sent and recorded:
//! there is no reference of the whole monitor here, only of what the disk adds.
//!
//! An entry is *durable* when all of its sectors were written, files has confirmed that, a flush was requested
//! afterwards, and files has confirmed that it is done. Audit cannot know whether files lies about it.

macro_rules! claim {
    ($self:ident, $claim:ident, $condition:expr, $($detail:tt)+) => {
        $self.figures.comparisons += 1;
        if !$condition {
            return Err(Broken { claim: Claim::$claim, detail: format!($($detail)+) });
        }
    };
}

mod commands;

use super::world::{SLOT_BYTES, Wake};
use crate::claims::{Broken, Claim, Figures};
use crate::ends::Ends;
use crate::world::{Message, Ring, Seen};
use disk_log::SECTOR;
use protocol::error::ErrorCode;
use protocol::hash::Hash;
use protocol::policy::{LogFailure, LogWrite, Policy};
use protocol::record::{Kind, Record};
use protocol::region::ReadWords as _;
use protocol::ring::SLOTS;
use protocol::testing::TestRegion;
use protocol::wire::Parts;
use protocol::wire::files::{Answer, Ask};
use std::collections::{BTreeMap, BTreeSet};

type Held<T = ()> = Result<T, Broken>;

/// Limit of the questions that audit asks in a wake-up: those of a load, one for the log and one for lists, each twice,
/// because an answer may make room for the next.
const MOST_ASKS: usize = 12;

/// How long audit waits for an answer of files, in microseconds.
const ANSWER_US: u64 = 10_000_000;

/// A question about the log.
#[derive(Clone, Debug)]
enum Question {
    /// Parts of entries: sequence number, number of the part, number of parts.
    Write(Vec<(u64, u16, u16)>),
    /// A flush, and how much had been written when it was requested.
    Flush(u64),
}

/// A boot, as far as it concerns the disk.
#[derive(Debug, Default)]
struct Boot {
    /// The newest entry on the card at the start.
    base: Option<(u64, Hash)>,
    asked: BTreeMap<u32, Question>,
    /// Questions of all kinds that are not completely answered, and since when there has been no answer.
    unanswered: (BTreeSet<u32>, u64),
    /// Whether files has taken longer for an answer than audit waits.
    was_silent: bool,
    now: u64,
    /// Parts of each entry that are written, and their total number.
    written: BTreeMap<u64, (BTreeSet<u16>, u16)>,
    durable: u64,
    /// The entries in memory.
    entries: Vec<(Record, Hash)>,
    /// Entries of admissions and of ends, by audit's numbers.
    admitted: BTreeMap<u32, u64>,
    ended: BTreeMap<u32, u64>,
    /// Audit's numbers, by client and the client's number.
    numbers: BTreeMap<(usize, u32), u32>,
    /// Loads of signed models that were requested while files was honest.
    sound_loads: BTreeSet<(usize, u32)>,
    is_open: bool,
    is_lost: bool,
    /// Whether the log was lost before this wake-up.
    was_lost: bool,
    /// Whether files presents the log honestly until it is found.
    is_found_honestly: bool,
    /// The slot in service.
    in_service: Option<usize>,
    /// The load in inference: its number, whether it is audit's own, and its slot, if it uses one.
    loading: Option<(u32, bool, Option<usize>)>,
    /// That slot, before this wake-up.
    was_loading: Option<usize>,
    /// Whether the next load is the first of an epoch.
    is_epoch_new: bool,
    slots: [Vec<u8>; 2],
}

/// Checks the claims.
#[derive(Debug)]
pub struct Judge {
    /// Counts of what was done.
    pub figures: Figures,
    /// Checks that each request ends once.
    pub ends: Ends,
    is_ahead: bool,
    refuses: bool,
    store_bytes: u64,
    /// Files that may be in a slot.
    signed: Vec<Vec<u8>>,
    boot: Boot,
}

impl Judge {
    /// A judge for a system with this policy and a store of this size. `signed`: files of the disk that a trusted key
    /// has signed.
    #[must_use]
    pub fn new(policy: &Policy, store_bytes: u64, signed: Vec<Vec<u8>>) -> Self {
        Self {
            figures: Figures::default(),
            ends: Ends::default(),
            is_ahead: policy.log_write() == LogWrite::Ahead,
            refuses: policy.log_on_failure() == LogFailure::Refuse,
            store_bytes,
            signed,
            boot: Boot::default(),
        }
    }

    /// The system boots. `card`: the durable entries. `is_honest`: whether files presents them unchanged until the log
    /// was found.
    pub fn boots(&mut self, card: &[(Record, Hash)], is_honest: bool) {
        self.figures.boots += 1;
        self.ends = Ends::default();
        let newest = card.last().map(|(record, hash)| (record.sequence, *hash));
        self.boot = Boot {
            base: newest,
            is_found_honestly: is_honest,
            slots: [vec![0; SLOT_BYTES], vec![0; SLOT_BYTES]],
            ..Boot::default()
        };
    }

    /// The power has failed, and `card` has the durable entries. Only for a files domain that keeps what it has
    /// written.
    ///
    /// # Errors
    /// A durable entry is missing.
    pub fn power_goes(&mut self, card: &[(Record, Hash)]) -> Held {
        let there: BTreeMap<u64, Hash> =
            card.iter().map(|(it, hash)| (it.sequence, *hash)).collect();
        let first = card.first().map_or(u64::MAX, |(record, _)| record.sequence);
        for (record, hash) in &self.boot.entries {
            let sequence = record.sequence;
            // Older entries were overwritten.
            if sequence > self.boot.durable || sequence < first && !card.is_empty() {
                continue;
            }
            claim!(
                self,
                Durable,
                there.get(&sequence) == Some(hash),
                "entry {sequence} was durable, but the card has {:?} to {:?}",
                card.first().map(|it| it.0.sequence),
                card.last().map(|it| it.0.sequence)
            );
        }
        Ok(())
    }

    /// Checks a wake-up.
    ///
    /// # Errors
    /// A claim does not hold.
    pub fn wake(&mut self, wake: &Wake, slots: &TestRegion) -> Held {
        self.figures.wakes += 1;
        self.boot.was_lost = self.boot.is_lost;
        self.boot.was_loading = self.boot.loading.and_then(|(_, _, slot)| slot);
        for (record, text) in &wake.entries {
            self.written_down(record, text)?;
        }
        let (mut asks, mut took) = (0, 0);
        for seen in &wake.seen {
            match seen {
                Seen::Clock(now) => self.clock(*now),
                Seen::Sent(Ring::Files, message) => {
                    asks += 1;
                    self.asks(message);
                }
                Seen::Took(Ring::Files, taken) => {
                    took += 1;
                    if let Ok(message) = taken {
                        self.hears(message);
                    }
                }
                Seen::Sent(Ring::Inference, message) => self.commands(message, slots)?,
                Seen::Led(Ring::Inference, _) => {
                    (self.boot.loading, self.boot.is_epoch_new) = (None, true);
                }
                Seen::Sent(Ring::Client(client), message) => {
                    self.ends.told(*client, message)?;
                    self.tells(*client, message)?;
                }
                _ => {}
            }
        }
        claim!(
            self,
            Bounds,
            asks <= MOST_ASKS && took <= SLOTS,
            "{asks} questions were asked and {took} answers taken in one wake-up"
        );
        self.slots_are_as_they_should(slots)
    }

    // ---- The log --------------------------------------------------------------------------------

    fn written_down(&mut self, record: &Record, text: &[u8]) -> Held {
        self.figures.records += 1;
        let hash = disk_log::hash(record, text);
        if let Some((before, head)) = self.boot.entries.last() {
            claim!(
                self,
                Chain,
                record.previous == *head && record.sequence == before.sequence + 1,
                "{record:?} comes after entry {}",
                before.sequence
            );
        } else {
            // Without a log on the disk, numbering starts over.
            let (sequence, head) = self.boot.base.unwrap_or((0, [0; 32]));
            let goes_on = (record.sequence, record.previous) == (sequence + 1, head);
            let begins = (record.sequence, record.previous) == (1, [0; 32]);
            claim!(
                self,
                Durable,
                goes_on || begins || !self.boot.is_found_honestly,
                "the first entry of a boot is {record:?}, but the card ends with {:?}",
                self.boot.base
            );
        }
        self.boot.entries.push((*record, hash));
        let (number, sequence) = (record.request, record.sequence);
        match record.kind() {
            Some(Kind::LogOpened) => {
                self.boot.is_open = true;
                let before = self.boot.entries.first().map_or(1, |it| it.0.sequence) - 1;
                let newest = self.boot.base.map_or(0, |base| base.0);
                self.boot.durable = before;
                claim!(
                    self,
                    Durable,
                    before == newest || !self.boot.is_found_honestly,
                    "the log continues after entry {before}, but the card has {newest}"
                );
            }
            Some(Kind::LogLost) => {
                self.figures.lost_logs += 1;
                self.boot.is_lost = true;
            }
            Some(kind @ (Kind::Admit | Kind::Tune)) => {
                self.figures.admitted += 1;
                claim!(
                    self,
                    LostLog,
                    !(self.refuses && self.boot.was_lost),
                    "request {number} is admitted ({kind:?}), although the log cannot be written"
                );
                self.boot.admitted.insert(number, sequence);
                let tag = Parts::parse(text).and_then(|it| crate::acts::tag(&it));
                if let Some(tag) = tag {
                    self.boot.numbers.insert(tag, number);
                }
            }
            Some(kind @ (Kind::Finish | Kind::Fail | Kind::Tuned | Kind::Load)) => {
                self.boot.ended.insert(number, sequence);
                let load = self.boot.loading.take_if(|it| it.0 == number);
                if let Some((_, is_own, slot)) = load {
                    self.boot.in_service = match kind {
                        Kind::Load => slot,
                        // If it fails, nothing is in service.
                        _ if is_own => None,
                        _ => self.boot.in_service,
                    };
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn clock(&mut self, now: u64) {
        self.boot.now = now;
        let (unanswered, since) = &self.boot.unanswered;
        self.boot.was_silent |= !unanswered.is_empty() && now - since >= ANSWER_US;
    }

    fn asks(&mut self, message: &Message) {
        let (unanswered, since) = &mut self.boot.unanswered;
        if unanswered.is_empty() {
            *since = self.boot.now;
        }
        unanswered.insert(message.request);
        let frame = message.frame();
        let question = match Ask::parse(&frame) {
            Ok(Ask::WriteLog { data, .. }) => {
                let part = |sector: &[u8; SECTOR]| {
                    let number = |at: usize| u16::from_le_bytes([sector[at], sector[at + 1]]);
                    let mut sequence = [0; 8];
                    sequence.copy_from_slice(&sector[40..48]);
                    (u64::from_le_bytes(sequence), number(10), number(12))
                };
                Question::Write(data.as_chunks().0.iter().map(part).collect())
            }
            Ok(Ask::FlushLog) => {
                let mut written = self.boot.durable;
                let is_whole = |sequence: &u64| {
                    let entry = self.boot.written.get(sequence);
                    entry.is_some_and(|(parts, count)| parts.len() == usize::from(*count))
                };
                while is_whole(&(written + 1)) {
                    written += 1;
                }
                Question::Flush(written)
            }
            _ => return,
        };
        self.boot.asked.insert(message.request, question);
    }

    fn hears(&mut self, message: &Message) {
        let frame = message.frame();
        let (unanswered, since) = &mut self.boot.unanswered;
        *since = self.boot.now;
        // Only a list has several answers.
        if !matches!(Answer::parse(&frame), Ok(Answer::File { .. })) {
            unanswered.remove(&message.request);
        }
        let Some(question) = self.boot.asked.remove(&message.request) else {
            return;
        };
        if Answer::parse(&frame) != Ok(Answer::Done) {
            return;
        }
        match question {
            Question::Write(parts) => {
                for (sequence, part, count) in parts {
                    let entry = self.boot.written.entry(sequence).or_default();
                    entry.0.insert(part);
                    entry.1 = count;
                }
            }
            Question::Flush(written) => {
                self.figures.flushes += 1;
                self.boot.durable = self.boot.durable.max(written);
            }
        }
    }

    /// Whether an entry need not be waited for any more.
    fn is_settled(&self, sequence: u64) -> bool {
        !self.is_ahead
            || !self.boot.is_open
            || sequence <= self.boot.durable
            || self.boot.is_lost && !self.refuses
    }

    // ---- Clients --------------------------------------------------------------------------------

    /// Checks the users' usage when audit is back in service: it must be what the entries on the card say.
    ///
    /// # Errors
    /// It is not.
    pub fn usage_goes_on(&mut self, card: &[(Record, Hash)]) -> Held {
        let expected = used(card);
        for (record, _) in self.boot.entries.clone() {
            if record.kind() != Some(Kind::Usage) {
                continue;
            }
            let used = expected.get(record.name.as_str()).copied().unwrap_or(0);
            claim!(
                self,
                Budgets,
                record.value == used,
                "after the boot {} has used {}, but {used} according to the entries before it",
                record.name,
                record.value
            );
        }
        Ok(())
    }

    /// Whether the log was found in this boot.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.boot.is_open
    }
}

fn read(slots: &TestRegion, slot: usize) -> Vec<u8> {
    let words = slot * SLOT_BYTES / 8..(slot + 1) * SLOT_BYTES / 8;
    let bytes = words.flat_map(|word| slots.load(word).to_ne_bytes());
    bytes.collect()
}

/// Tokens that each user has used, according to a complete log. A request without an end is charged with what it
/// reserved.
fn used(entries: &[(Record, Hash)]) -> BTreeMap<String, u64> {
    let mut used: BTreeMap<String, u64> = BTreeMap::new();
    let mut open: BTreeMap<u32, (String, u64, bool)> = BTreeMap::new();
    for (record, _) in entries {
        let tokens = u64::from(record.prompt_tokens) + u64::from(record.generated_tokens);
        let late = record.code == ErrorCode::Deadline as u16;
        let charged = match record.kind() {
            Some(Kind::Boot) => {
                open.clear();
                continue;
            }
            Some(kind @ (Kind::Admit | Kind::Tune)) => {
                let user = record.user.as_str().to_owned();
                *used.entry(user.clone()).or_default() += record.value;
                open.insert(record.request, (user, record.value, kind == Kind::Tune));
                continue;
            }
            Some(Kind::Finish | Kind::Tuned) => tokens,
            Some(Kind::Fail) if late => tokens,
            Some(Kind::Fail) => 0,
            _ => continue,
        };
        if let Some((user, reserved, is_tuning)) = open.remove(&record.request)
            && let Some(used) = used.get_mut(&user)
        {
            // For a fine-tuning, the other number counts updates.
            let charged = match is_tuning {
                true => record.prompt_tokens.into(),
                false => charged,
            };
            *used = *used - reserved + charged;
        }
    }
    used
}

//! The region into which decisions are written, for others to act on.
//!
//! Eight-byte words, in the machine's byte order:
//!
//! | word | what |
//! |---|---|
//! | 0 | lines decided, written last |
//! | 1 | the alarm: 1 as soon as a line is escalated |
//! | 2 | routine lines |
//! | 3 | escalated lines |
//! | 4 … | a record for each line; when the region is full, the newest overwrites the oldest |
//!
//! A record holds the line's number in bits 0 to 31, the verdict in 32 to 39 (1 routine, 2 escalate), and the reason in
//! 40 to 47 (1 judged, 2 unclear, 3 no answer, 4 lost, 5 not sent, 6 line too long, 7 no text). If there is no answer,
//! bits 48 to 63 hold the error code.

use crate::events::BadLine;
use crate::verdict::{Reason, Verdict};
use client::region::WriteWords;
use sel4_llm_client as client;

const COUNT: usize = 0;
const ALARM: usize = 1;
const ROUTINE: usize = 2;
const ESCALATED: usize = 3;
const RECORDS: usize = 4;

/// The writer of the region.
#[derive(Debug)]
pub struct Decisions<W> {
    region: W,
    routine: u64,
    escalated: u64,
}

impl<W: WriteWords> Decisions<W> {
    /// Starts without decisions and alarm.
    pub fn new(region: W) -> Self {
        for word in 0..RECORDS {
            region.store(word, 0);
        }
        Self {
            region,
            routine: 0,
            escalated: 0,
        }
    }

    /// Records the decision about a line. The alarm comes before anything else.
    pub fn write(&mut self, line: u32, verdict: Verdict) {
        let count = match verdict {
            Verdict::Routine => &mut self.routine,
            Verdict::Escalate(_) => {
                self.region.publish(ALARM, 1);
                &mut self.escalated
            }
        };
        *count = count.saturating_add(1);
        let room = self.region.words().saturating_sub(RECORDS).max(1);
        let done = self.routine.saturating_add(self.escalated);
        let before = done.saturating_sub(1);
        let place = before.checked_rem(room as u64).unwrap_or_default();
        let word = usize::try_from(place).unwrap_or_default();
        self.region
            .store(RECORDS.saturating_add(word), record(line, verdict));
        self.region.store(ROUTINE, self.routine);
        self.region.store(ESCALATED, self.escalated);
        self.region.publish(COUNT, done);
    }

    /// Counts of routine and of escalated lines.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.routine, self.escalated)
    }
}

fn record(line: u32, verdict: Verdict) -> u64 {
    let (verdict, reason, code) = match verdict {
        Verdict::Routine => (1, 1, 0),
        Verdict::Escalate(reason) => match reason {
            Reason::Judged => (2, 1, 0),
            Reason::Unclear => (2, 2, 0),
            Reason::NoAnswer(code) => (2, 3, code as u64),
            Reason::Lost => (2, 4, 0),
            Reason::NotSent => (2, 5, 0),
            Reason::Line(BadLine::TooLong) => (2, 6, 0),
            Reason::Line(BadLine::NotText) => (2, 7, 0),
        },
    };
    u64::from(line) | verdict << 32 | reason << 40 | code << 48
}

#[cfg(test)]
mod tests {
    use super::*;
    use client::ErrorCode;
    use client::region::ReadWords as _;
    use protocol::testing::TestRegion;
    use std::vec::Vec;

    fn words(region: &TestRegion) -> Vec<u64> {
        (0..region.words()).map(|word| region.load(word)).collect()
    }

    #[test]
    fn counts_records_and_the_alarm_are_where_the_table_says() {
        let region = TestRegion::with_words(8);
        region.store(ALARM, 7);
        let mut decisions = Decisions::new(region.clone());
        assert_eq!(words(&region), [0; 8]);
        decisions.write(1, Verdict::Routine);
        assert_eq!(words(&region), [1, 0, 1, 0, 0x0101_0000_0001, 0, 0, 0]);
        decisions.write(3, Verdict::Escalate(Reason::NoAnswer(ErrorCode::Deadline)));
        decisions.write(4, Verdict::Routine);
        let no_answer = 0x0028_0302_0000_0003;
        assert_eq!(
            words(&region),
            [3, 1, 2, 1, 0x0101_0000_0001, no_answer, 0x0101_0000_0004, 0]
        );
        assert_eq!(decisions.counts(), (2, 1));
    }

    #[test]
    fn the_newest_record_takes_the_place_of_the_oldest() {
        let region = TestRegion::with_words(6);
        let mut decisions = Decisions::new(region.clone());
        for line in 1..=3 {
            decisions.write(line, Verdict::Escalate(Reason::Unclear));
        }
        assert_eq!(
            words(&region),
            [3, 1, 0, 3, 0x0202_0000_0003, 0x0202_0000_0002]
        );
    }

    #[test]
    fn a_region_without_room_for_records_still_has_the_alarm() {
        let region = TestRegion::with_words(2);
        let mut decisions = Decisions::new(region.clone());
        decisions.write(1, Verdict::Escalate(Reason::Lost));
        assert_eq!(words(&region), [1, 1]);
    }
}

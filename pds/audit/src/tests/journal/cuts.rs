//! Power failures at every sector written and every flush of a run.

use super::card::{Card, Dice, entries_of};
use super::*;
use std::collections::BTreeMap;

/// A user's token limit, in a period that no test outlasts.
const BUDGET: u64 = 10_000;

fn policy_of_cuts() -> Policy {
    let mut policy = two_clients();
    for user in &mut policy.users {
        user.budget_tokens = BUDGET;
        user.budget_period_us = 3_600 * SECOND;
    }
    policy.keep_prompts = 1;
    policy
}

/// What clients and inference have seen.
#[derive(Debug, Default)]
struct Seen {
    /// Requests that inference was told of.
    heard: u32,
    /// Requests whose end a client was told, and their tokens.
    ended: u32,
    used: u64,
}

impl Rig {
    /// Requests of both clients, one after another and at once, until the power fails. What has been seen by then must
    /// be durable.
    fn scripted_run(&mut self) -> Seen {
        let mut seen = Seen::default();
        for round in 0..3u32 {
            let ids = [20 + 2 * round, 21 + 2 * round];
            self.system.infer_in(ids[0], "", 2);
            self.ask_as_other_to_infer(ids[1]);
            self.pump();
            if self.card.is_off() {
                // What was not sent by now is never sent.
                seen.heard += self.system.asked().len() as u32;
                self.check(&seen);
                return seen;
            }
            let asked = self.system.asked();
            let numbers: Vec<u32> = asked.iter().filter_map(number_of).collect();
            seen.heard += numbers.len() as u32;
            self.check(&seen);
            for number in numbers {
                self.system.token(number, "a");
                self.system.finished(number, FinishReason::EndOfText, 1);
            }
            self.pump();
            let mut told = self.system.told_at_last();
            told.extend(self.system.told_to_other());
            for event in &told {
                if let Told::Finished(_, finished) = event {
                    seen.ended += 1;
                    seen.used += u64::from(finished.prompt_tokens + finished.generated_tokens);
                }
            }
            self.check(&seen);
            if self.card.is_off() {
                return seen;
            }
        }
        seen
    }

    fn ask_as_other_to_infer(&mut self, id: u32) {
        let parts = protocol::testing::completion(&[b'x'; 700]);
        self.system.ask_as_other(
            id,
            &Request::Infer {
                params: protocol::wire::InferParams {
                    max_tokens: 3,
                    ..Default::default()
                },
                session: Default::default(),
                adapter: Default::default(),
                format: Default::default(),
                parts,
            },
        );
    }

    /// Checks that everything seen is durable, even if nothing unflushed has survived.
    fn check(&self, seen: &Seen) {
        let durable = self.card.durable();
        let boots = durable
            .iter()
            .rposition(|it| it.0.kind() == Some(Kind::Boot));
        let count = |kind: Kind| {
            let since = durable.iter().skip(boots.unwrap_or(0));
            since.filter(|it| it.0.kind() == Some(kind)).count() as u32
        };
        assert!(count(Kind::Admit) >= seen.heard, "{seen:?}");
        assert!(count(Kind::Finish) >= seen.ended, "{seen:?}");
    }
}

fn number_of(asked: &Asked) -> Option<u32> {
    match asked {
        Asked::Infer { number, .. } => Some(*number),
        _ => None,
    }
}

/// Tokens used or reserved in each user's budget, computed from the log by an independent reader: the most that each
/// request can have used.
fn used_by(entries: &[(Record, Hash)]) -> u64 {
    let mut open: BTreeMap<u32, u64> = BTreeMap::new();
    let mut used = 0;
    for (record, _) in entries {
        match record.kind() {
            Some(Kind::Boot) => open.clear(),
            Some(Kind::Admit) => {
                used += record.value;
                open.insert(record.request, record.value);
            }
            Some(Kind::Finish) => {
                let reserved = open.remove(&record.request).unwrap();
                let tokens = u64::from(record.prompt_tokens + record.generated_tokens);
                used = used - reserved + tokens;
            }
            Some(Kind::Fail) => used -= open.remove(&record.request).unwrap_or(0),
            _ => {}
        }
    }
    used
}

/// Cuts the power at every operation of a run on a card, then checks the card and boots again.
fn cut_everywhere(card: &Card, seeds: u64) {
    let policy = policy_of_cuts();
    let mut whole = Rig::serving(&policy, card.clone());
    whole.scripted_run();
    let deeds = whole.card.deeds;
    assert!(deeds > 30, "{deeds}");
    for stop in 0..=deeds {
        let cut = Card {
            stops_before: Some(stop),
            ..card.clone()
        };
        let mut rig = Rig::new(&policy, cut);
        rig.pump();
        let has_begun = rig.system.shell.follow();
        let mut seen = Seen::default();
        if has_begun {
            assert!(rig.system.other.follow());
            rig.system.join();
            rig.system.loaded(rig.system.own_load);
            rig.pump();
            rig.system.told_at_last();
            rig.system.told_to_other();
            seen = rig.scripted_run();
        }
        let durable = rig.card.durable();
        for seed in 1..=seeds {
            let mut dice = Dice(seed * 1_000_003 + stop as u64);
            let survived = rig.card.after_power_cut(&mut dice);
            let (opened, entries) = entries_of(&survived.sectors);
            assert!(
                !matches!(opened.found, Found::Damaged { .. }),
                "cut {stop}, seed {seed}: {:?}",
                opened.found
            );
            // No durable entry is missing, except the oldest, which later entries may have overwritten.
            let oldest = entries.first().map_or(1, |it| it.0.sequence);
            let kept = durable.iter().filter(|it| it.0.sequence >= oldest);
            for entry in kept {
                assert!(entries.contains(entry), "cut {stop}, seed {seed}");
            }
            let spent = oldest.saturating_sub(durable.first().map_or(1, |it| it.0.sequence));
            assert!(spent <= 128, "{spent} of the oldest are gone");
            if opened.first == 1 {
                assert!(used_by(&entries) >= seen.used);
            }
            // The next boot goes on, and refills nobody's budget.
            let mut next = Rig::serving(&policy, survived);
            let boot = next.system.records()[0];
            assert_eq!(boot.sequence, opened.log.sequence() + 1);
            assert_eq!(boot.previous, opened.log.head());
            let budget = next.system.budget();
            assert!(budget.used >= seen.used, "{budget:?}, {seen:?}");
            if opened.first == 1 {
                assert_eq!(budget.used, used_by(&entries), "cut {stop}, seed {seed}");
            }
            assert!(is_end(&next.generate(50, 1), 50));
        }
    }
}

#[test]
fn at_every_write_of_a_run_on_an_empty_card_a_power_cut_loses_nothing_durable() {
    cut_everywhere(&Card::new(), 2);
}

#[test]
fn at_every_write_of_a_run_that_overwrites_the_oldest_entries_too() {
    let mut policy = policy_of_cuts();
    for role in &mut policy.roles {
        role.log_bytes_per_hour = 1 << 30;
    }
    let mut rig = Rig::serving(&policy, Card::new());
    for id in 0..90 {
        // In a new period each.
        rig.system.runtime.now += SECOND * 3600;
        rig.fill(100 + id);
    }
    let (opened, _) = entries_of(&rig.card.sectors);
    assert!(opened.first > 1, "{opened:?}");
    cut_everywhere(&Card::of(rig.card.sectors), 1);
}

#[test]
fn a_reboot_is_no_new_budget_and_time_that_it_was_off_does_not_count() {
    let policy = policy_of_cuts();
    let mut rig = Rig::serving(&policy, Card::new());
    rig.generate(5, 10);
    let used = rig.system.budget().used;
    assert!(used >= 10);
    rig.system.runtime.now += 600 * SECOND;
    rig.generate(6, 10);
    // A request that has not ended is charged with the most that it could have used.
    let before = rig.system.budget();
    rig.system.infer(7, 100);
    rig.pump();
    rig.system.admitted();
    let reserved = rig.system.budget().reserved;
    assert!(reserved > 100);
    let mut card = Card::of(rig.card.sectors);
    for _ in 0..3 {
        let mut rig = Rig::serving(&policy, card);
        let budget = rig.system.budget();
        assert_eq!(budget.used, before.used + reserved);
        let over = budget.period_us - budget.left_us;
        assert!((600 * SECOND..660 * SECOND).contains(&over), "{over}");
        // What the log cannot show is assumed to be spent: repeated boots yield no tokens.
        rig.pump();
        card = Card::of(rig.card.sectors);
    }
    // The period ends when it would have, counting only the time that the system is on.
    let mut rig = Rig::serving(&policy, card);
    rig.system.runtime.now += 2_900 * SECOND;
    assert!(rig.system.budget().used > 0);
    rig.system.runtime.now += 200 * SECOND;
    assert_eq!(rig.system.budget().used, 0);
}

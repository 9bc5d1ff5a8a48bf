//! Random inputs and seeds.

use super::{ACTS, Act, played};
use monitor_fuzz::dice::Dice;

/// A random dialogue: acts of all kinds, most of them after the log was found.
#[must_use]
pub fn by_dice(number: u64) -> Vec<u8> {
    let mut dice = Dice::new(number, 0xF17E5);
    let mut acts = vec![dice.any() as u8];
    if dice.percent(90) {
        acts.extend([Act::Answers as u8, 255, Act::Infers as u8, Act::Reads as u8]);
    }
    for _ in 0..dice.within(5, 60) {
        let act = match dice.percent(40) {
            true => *dice.pick(&[Act::Answers, Act::Asks, Act::Infers, Act::Reads]),
            false => *dice.pick(&ACTS),
        };
        acts.push(act as u8);
        let count = match act {
            Act::Answers => {
                acts.push(dice.below(8) as u8);
                0
            }
            Act::Says | Act::Adds => {
                let kind = 0x500 + dice.within(0, 10) as u16;
                acts.extend(kind.to_be_bytes());
                acts.push(if dice.percent(80) {
                    0
                } else {
                    dice.any() as u8
                });
                let bytes = *dice.pick(&[0, 4, 8, 12, 20, 36, 520, 8200]);
                acts.extend((bytes as u16).to_be_bytes());
                bytes
            }
            Act::Changes => 3,
            Act::Writes => 10,
            Act::Asks | Act::Waits => 1,
            _ => 0,
        };
        acts.extend((0..count).map(|_| dice.any() as u8));
    }
    acts
}

/// Dialogues with an honest files domain, once as acts that answer honestly, and once as the messages that it sent.
#[must_use]
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let all = 255;
    // At the beginning the log is found, and inference and the client join.
    let begin = [Act::Answers as u8, all, Act::Infers as u8, Act::Reads as u8];
    // The first act of inference wakes audit, which copies the file and tells inference of it.
    let asks = |what: u8| {
        let mut acts = vec![Act::Asks as u8, what, Act::Answers as u8, all];
        acts.extend([Act::Infers as u8; 4]);
        acts.extend([Act::Answers as u8, all, Act::Reads as u8]);
        acts
    };
    let mut seeds = Vec::new();
    for (name, options, what) in [
        ("load", 0, vec![4]),
        ("two-loads", 0, vec![6, 5]),
        ("list", 1, vec![1]),
        ("text", 0, vec![3, 2]),
        ("go-on", 2, vec![3, 4]),
    ] {
        let dialogs = what.into_iter().map(asks);
        let acts: Vec<u8> = [options]
            .into_iter()
            .chain(begin)
            .chain(dialogs.flatten())
            .collect();
        seeds.push((format!("honest-{name}"), acts));
    }
    let mut power = seeds[3].1.clone();
    power.push(Act::Power as u8);
    power.extend(begin);
    power.extend(asks(4));
    seeds.push((String::from("honest-power"), power));
    // The same dialogues, as the messages that the honest domain sent.
    for place in [0, 2] {
        let (name, acts): (String, Vec<u8>) = seeds[place].clone();
        let (said, _) = played(&acts);
        seeds.push((name.replace("honest", "said"), said));
    }
    // Three questions are about its signature and its size; the next reads it.
    let mut changed = seeds[0].1.clone();
    changed.extend([Act::Asks as u8, 5, Act::Answers as u8, 2]);
    changed.extend([Act::Changes as u8, 0, 100, 1]);
    seeds.push((String::from("changed"), changed));
    seeds
}

//! The log and the counters that are watched.

use super::harness::*;
use protocol::record::{Kind, Record};
use protocol::wire::client::LogExtent;

#[test]
fn counters_are_watched_until_ctrl_c() {
    let stats = Event::Stats(Stats::default());
    let mut system = System::plain();
    let number = system.request("llmstats --watch");
    system.say(number, &stats);
    system.say(number, &stats);
    let output = system.output();
    assert_eq!(output.matches("uptime").count(), 2);
    assert!(!output.contains('\x1b') && output.contains("\n\nuptime"));
    system.type_in("\x03");
    assert_eq!(system.asked_for("Cancel"), number);
    system.say(number, &Event::Done);
    system.request("whoami");

    let mut system = System::terminal();
    let number = system.request("llmstats --watch");
    system.output();
    system.say(number, &stats);
    assert!(system.output().starts_with("\x1b[H\x1b[Juptime"));
    system.type_in("\x03");
    assert_eq!(system.asked_for("Cancel"), number);
    system.say(number, &stats);
    assert_eq!(
        system.output(),
        "\x1b[1mllm> \x1b[0m",
        "what comes after is the last"
    );

    let mut system = System::plain();
    let number = system.request("llmstats --watch --json");
    system.say(number, &stats);
    system.say(number, &stats);
    for line in system.output().lines() {
        let _: serde_json::Value = serde_json::from_str(line).unwrap();
    }
    system.type_in("\x03\x03");
    assert_eq!(system.asked_for("Cancel"), number, "once");
    system.request("whoami");
}

fn record(sequence: u64, kind: Kind) -> Record {
    let mut record = Record::new(kind);
    record.sequence = sequence;
    record.previous = [sequence as u8; 32];
    record.user = name("guest");
    record.text_bytes = 5;
    record
}

fn log_end(system: &mut System, number: u32, next: u64) {
    system.say(
        number,
        &Event::LogEnd(LogExtent {
            first: 3,
            next,
            anchor: [1; 32],
            head: [9; 32],
        }),
    );
}

fn say_record(system: &mut System, number: u32, sequence: u64) {
    let record = record(sequence, Kind::Admit);
    let text = b"a\n\x1bb";
    system.say(number, &Event::Record { record, text });
}

#[test]
fn the_log_is_read_as_lines_and_as_an_export_that_parses() {
    let mut system = System::plain();
    system.type_in("llmctl audit --last 2 --user guest\n");
    let number = system.asked_for("Log(LogQuery { last: 2, user: \"guest\", follow: false })");
    say_record(&mut system, number, 3);
    say_record(&mut system, number, 4);
    log_end(&mut system, number, 5);
    let output = system.output();
    assert_eq!(output.lines().count(), 3, "{output}");
    assert!(output.starts_with("#3 ") && output.ends_with("\n2 entries\n"));

    for (sequences, filtered) in [(&[3, 4][..], false), (&[3, 5], true), (&[3], true)] {
        let number = system.request("llmctl audit --json");
        for sequence in sequences {
            say_record(&mut system, number, *sequence);
        }
        log_end(&mut system, number, sequences.last().unwrap().max(&4) + 1);
        let output = system.output();
        let lines: Vec<serde_json::Value> = output
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let [opening, entries @ .., ending] = &lines[..] else {
            panic!("{output}")
        };
        assert_eq!(
            (&opening["first"], &opening["anchor"]),
            (&3.into(), &"03".repeat(32).into())
        );
        assert_eq!(
            (entries.len(), &entries[0]["text"]),
            (sequences.len(), &"a\n\u{1b}b".into())
        );
        assert_eq!(
            (&ending["entries"], &ending["filtered"]),
            (&entries.len().into(), &filtered.into())
        );
        assert_eq!(ending["head"], "09".repeat(32));
    }
    let number = system.request("llmctl audit --json");
    log_end(&mut system, number, 3);
    let output = system.output();
    assert!(
        output.contains(&"01".repeat(32)) && output.lines().count() == 2,
        "{output}"
    );

    let number = system.request("llmctl audit");
    system.fail(number, Failure::over(ErrorCode::NotPermitted, 16, 0), b"");
    assert!(system.output().contains("'log'"));
}

#[test]
fn the_log_is_followed_until_ctrl_c() {
    let mut system = System::plain();
    let number = system.request("llmctl audit --follow --json");
    say_record(&mut system, number, 3);
    system.type_in("\x03");
    assert_eq!(system.asked_for("Cancel"), number);
    say_record(&mut system, number, 4);
    log_end(&mut system, number, 5);
    let output = system.output();
    assert_eq!(
        output.lines().count(),
        4,
        "opening, entries, ending: {output}"
    );
    let number = system.request("llmctl audit --follow");
    system.type_in("\x03\x03");
    assert_eq!(system.asked_for("Cancel"), number);
    say_record(&mut system, number, 5);
    assert_eq!(system.output(), "^C\n", "twice: nobody waits for it");
    system.request("whoami");
}

#[test]
fn the_chain_of_the_log_is_said_to_be_whole_or_broken() {
    let mut system = System::plain();
    let extent = LogExtent {
        first: 2,
        next: 9,
        ..LogExtent::default()
    };
    for (broken_at, part) in [
        (
            0,
            "entries 2 to 8 are unbroken; older ones are no longer in memory",
        ),
        (5, "error: the log's chain is BROKEN at entry 5"),
    ] {
        let number = system.request("llmctl audit verify");
        system.say(number, &Event::LogVerified { extent, broken_at });
        let output = system.output();
        assert!(output.starts_with(part), "{output}");
    }
}

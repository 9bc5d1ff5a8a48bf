//! Compares the golden vectors on this machine, and checks that a wrong one is noticed.

use golden::cases::Machine;
use golden::{EXPECTED, Tally, cases, run, run_models};
use llm_core::simd::Cpu;
use llm_core::team::Team;
use std::collections::HashSet;
use workers::Threads;

/// The report on a table, and how many tests failed.
fn report(cpus: &[Cpu], table: &str) -> (String, u32) {
    let (tally, mut out) = (Tally::new(), String::new());
    run(cpus, table, &tally, &mut out).unwrap();
    tally.close(&mut out).unwrap();
    (out, tally.failed())
}

#[test]
fn every_path_of_this_cpu_gives_the_committed_bits() {
    let cpus: Vec<Cpu> = Cpu::all().collect();
    let names: Vec<_> = cpus.iter().map(|cpu| cpu.name()).collect();
    println!("tested on {names:?}");
    let (report, failed) = report(&cpus, EXPECTED);
    let failures: Vec<_> = report
        .lines()
        .filter(|line| line.contains("FAILED"))
        .collect();
    assert_eq!(failed, 0, "{failures:#?}");
    let on = cases::all()
        .filter(|case| !matches!(case.run, cases::Run::Once(_)))
        .count();
    let tests = on * cpus.len() + cases::all().count() - on;
    assert!(
        report.ends_with(&format!("\n{tests} passed, 0 failed\n")),
        "{report}"
    );
}

#[test]
fn any_number_of_workers_gives_the_committed_bits() {
    let team = |workers| -> Box<dyn Team> { Box::new(Threads::eager(workers).unwrap()) };
    let machine = |cpu| {
        (1..=4).map(move |workers| Machine {
            cpu,
            workers,
            team,
            memory: Machine::HEAP,
        })
    };
    let machines: Vec<Machine> = Cpu::all().flat_map(machine).collect();
    let (tally, mut out) = (Tally::new(), String::new());
    run_models(&machines, EXPECTED, &tally, &mut out).unwrap();
    tally.close(&mut out).unwrap();
    let is_model = |case: &&cases::Case| matches!(case.run, cases::Run::Model(_));
    let tests = machines.len() * cases::all().filter(is_model).count();
    assert!(
        out.ends_with(&format!("\n{tests} passed, 0 failed\n")),
        "{out}"
    );
}

#[test]
fn a_wrong_entry_a_missing_and_a_stale_one_fail_with_their_names() {
    let line = |name: &str| {
        EXPECTED
            .lines()
            .find(|line| line.ends_with(&format!("  {name}")))
            .unwrap()
    };
    let (wrong, missing) = (line("exp"), line("names"));
    let flipped = if wrong.starts_with('0') { '1' } else { '0' };
    let table = EXPECTED
        .replace(wrong, &format!("{flipped}{}", &wrong[1..]))
        .replace(missing, &missing.replace("names", "forgotten"));
    let (report, failed) = report(&[Cpu::SCALAR], &table);
    assert_eq!(failed, 3, "{report}");
    let hash = |line: &str| line.split_once("  ").unwrap().0.to_owned();
    let (got, lost) = (hash(wrong), hash(missing));
    for expected in [
        format!(
            "test exp ... FAILED: got {got}, expected {flipped}{}\n",
            &got[1..]
        ),
        format!("test names ... FAILED: got {lost}, the table has no entry\n"),
        "test forgotten ... FAILED: no such case: the table is out of date\n".to_owned(),
        ", 3 failed\n".to_owned(),
    ] {
        assert!(report.contains(&expected), "{expected}{report}");
    }
}

#[test]
fn no_two_cases_have_the_same_name_or_the_same_bits() {
    let names: HashSet<_> = cases::all().map(|case| case.name).collect();
    assert_eq!(names.len(), cases::all().count());
    let hashes: HashSet<_> = EXPECTED
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(hash, _)| hash)
        .collect();
    assert_eq!(hashes.len(), cases::all().count());
}

//! Time partitions: what is read, what is refused, and that a plan changes nothing else.

use sysdesc::partitions::{Plan, PlanError};
use sysdesc::{Problem, System};

const PLAIN: &str = include_str!("../../../system.xml");
const PLAN: &str = include_str!("../../../systems/partitions/plan.toml");

fn board() -> sysdesc::Board {
    sysdesc::Board::usual()
}

fn partitioned() -> String {
    Plan::parse(PLAN).unwrap().apply(PLAIN).unwrap()
}

/// The problem that the changed description is refused with.
fn refused(from: &str, to: &str) -> Problem {
    let text = partitioned();
    assert!(text.contains(from), "{from}");
    match System::parse(&text.replacen(from, to, 1)) {
        Ok(_) => panic!("'{to}' is not refused"),
        Err(error) => error.problem,
    }
}

#[test]
fn a_plan_adds_time_and_nothing_else() {
    let mut with = System::parse(&partitioned()).unwrap();
    let names: Vec<_> = with.partitions.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["trusted", "clients", "inference"]);
    let of = |name: &str| with.domain(name).unwrap().partition;
    assert_eq!(
        [of("audit"), of("shell"), of("inference")],
        [Some(0), Some(1), Some(2)]
    );
    let cycle: u64 = with.schedule.iter().map(|turn| turn.duration_us).sum();
    assert_eq!(cycle, 20_000);

    let mut without = System::parse(PLAIN).unwrap();
    (with.partitions, with.schedule) = (Vec::new(), Vec::new());
    for system in [&mut with, &mut without] {
        system.regions.iter_mut().for_each(|it| it.line = 0);
        system.channels.iter_mut().for_each(|it| it.line = 0);
        for domain in &mut system.domains {
            domain.partition = None;
            domain.line = 0;
            domain.maps.iter_mut().for_each(|it| it.line = 0);
            domain.irqs.iter_mut().for_each(|it| it.line = 0);
        }
    }
    assert_eq!(with, without);
}

#[test]
fn a_partitioned_description_keeps_its_devices_names_for_any_board() {
    let text = partitioned();
    assert!(text.contains("phys_addr=\"board:uart\""));
    assert!(System::parse_on(&text, &board()).is_ok());
}

#[test]
fn a_plan_that_names_other_domains_than_the_description_is_refused() {
    let applied = |from: &str, to: &str| {
        assert!(PLAN.contains(from), "{from}");
        let plan = Plan::parse(&PLAN.replacen(from, to, 1)).unwrap();
        plan.apply(PLAIN).unwrap_err().to_string()
    };
    assert!(applied("[\"shell\"]", "[]").contains("'shell' is in no partition"));
    assert!(
        applied("[\"shell\"]", "[\"shell\", \"audit\"]")
            .contains("'audit', which is in a partition already")
    );
    assert!(
        applied("[\"shell\"]", "[\"shell\", \"x\"]")
            .contains("'x', which is not in the description")
    );
    assert!(applied("partition = \"trusted\"", "partition = \"x\"").contains("names 'x'"));
    assert!(applied("us = 1_000", "us = 0").contains("'0 us'"));
    assert!(matches!(Plan::parse("turns = 3"), Err(PlanError::Toml(_))));
}

#[test]
fn a_plan_on_a_description_that_has_one_is_refused() {
    let plan = Plan::parse(PLAN).unwrap();
    assert!(plan.apply(&partitioned()).is_err());
}

#[test]
fn a_domain_without_a_partition_or_with_one_that_is_not_there_is_refused() {
    let missing = Problem::MissingAttribute {
        attribute: "domain",
    };
    assert_eq!(
        refused("name=\"shell\" domain=\"clients\"", "name=\"shell\""),
        missing
    );
    let unresolved = Problem::Unresolved {
        attribute: "domain",
        value: "x".into(),
    };
    assert_eq!(
        refused(
            "name=\"shell\" domain=\"clients\"",
            "name=\"shell\" domain=\"x\""
        ),
        unresolved
    );
    let plain = PLAIN.replacen("name=\"shell\"", "name=\"shell\" domain=\"x\"", 1);
    let plain = plain.replacen("name=\"shell\" domain=\"x\" size", "name=\"shell\" size", 1);
    let error = System::parse(&plain).unwrap_err();
    assert_eq!(error.problem, unresolved);
}

#[test]
fn what_microkit_would_choose_by_itself_must_be_said() {
    let missing = Problem::MissingAttribute { attribute: "id" };
    assert_eq!(
        refused("name=\"clients\" id=\"1\"", "name=\"clients\""),
        missing
    );
    assert!(matches!(
        refused("id=\"1\"", "id=\"2\""),
        Problem::Duplicate {
            attribute: "id",
            ..
        }
    ));
    assert!(matches!(
        refused("id=\"1\"", "id=\"16\""),
        Problem::Number {
            attribute: "id",
            ..
        }
    ));
    assert!(matches!(
        refused("<domain name=\"clients\" id", "<domain name=\"trusted\" id"),
        Problem::Duplicate {
            attribute: "name",
            ..
        }
    ));
}

#[test]
fn a_schedule_is_one_cycle_of_microseconds() {
    for duration in ["0 us", "1000", "1000 ticks", "us", "10000001 us", "-1 us"] {
        let problem = refused("duration=\"2000 us\"", &format!("duration=\"{duration}\""));
        assert!(
            matches!(problem, Problem::Duration { .. }),
            "{duration}: {problem}"
        );
    }
    let end = "<schedule_end_marker /><schedule_entry domain=\"clients\"";
    assert!(matches!(
        refused("<schedule_entry domain=\"clients\"", end),
        Problem::ForbiddenElement { .. }
    ));
    assert!(matches!(
        refused("<domain_schedule>", "<domain_schedule start_index=\"1\">"),
        Problem::ForbiddenAttribute {
            attribute: "start_index",
            ..
        }
    ));
    assert_eq!(
        refused("</domains>", "</domains><domains />"),
        Problem::Repeated
    );
    let empty = PLAIN.replacen("<system>", "<system><domains/>", 1);
    assert_eq!(
        System::parse(&empty).unwrap_err().problem,
        Problem::MissingElement { child: "domain" }
    );
    let turn = "<schedule_entry domain=\"clients\" duration=\"1 us\" />";
    assert_eq!(
        refused(
            "<domain_schedule>",
            &format!("<domain_schedule>{}", turn.repeat(100))
        ),
        Problem::TooManyTurns { most: 99 }
    );
}

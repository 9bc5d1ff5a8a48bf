//! Harmful changes to the system on several cores, systems/cores, and to its claims. They give a worker access to
//! domains outside inference's compartment, or put others on the workers' cores.

use crate::harness::{Caught, changed, check_with_layer, none};
use libtest_mimic::Trial;
use std::sync::LazyLock;
use sysdesc::Board;

pub static SYSTEM: LazyLock<String> = LazyLock::new(|| {
    let described = include_str!("../../../../systems/cores/system.xml");
    Board::usual().resolve(described).unwrap()
});
pub const ADDED: &str = include_str!("../../../../systems/cores/isolation.toml");

/// Name, what is replaced by what in the description and in the claims that the system adds to the main system's, the
/// claims that must be violated, words of one message.
type Mutation = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
    &'static [&'static str],
);

const SHELL: &str = r#"<program_image path="shell.elf" />"#;
const WORKER: &str = r#"name="worker1" id="1" setvar_id="worker_1_child" cpu="1" priority="90" budget="10000" period="10000" stack_size="0x40000">"#;
const WORKERS_TEAM: &str = "cpu=\"1\" priority=\"90\" budget=\"10000\" period=\"10000\" stack_size=\"0x40000\">\n            <program_image path=\"worker.elf\" />\n            <map mr=\"arena\" vaddr=\"0x20000000\" perms=\"rw\"";
const END: &str = "</system>";

/// worker1 with an additional line.
macro_rules! worker_has {
    ($line:literal) => {
        &[(
            WORKER,
            concat!(
                r#"name="worker1" id="1" setvar_id="worker_1_child" cpu="1" priority="90" budget="10000" period="10000" stack_size="0x40000">"#,
                $line
            ),
        )]
    };
}

/// worker1 with other attributes.
macro_rules! worker_is {
    ($attributes:literal) => {
        &[(
            WORKER,
            concat!(
                r#"name="worker1" id="1" setvar_id="worker_1_child" "#,
                $attributes,
                r#" stack_size="0x40000">"#
            ),
        )]
    };
}

const MUTATIONS: &[Mutation] = &[
    (
        "a_worker_signals_shell",
        &[(
            END,
            r#"<channel><end pd="worker1" id="7" /><end pd="shell" id="7" /></channel></system>"#,
        )],
        &[],
        &["I1", "C", "P", "D"],
        &["worker1", "signals shell"],
    ),
    (
        "a_worker_signals_audit",
        &[(
            END,
            r#"<channel><end pd="worker1" id="7" /><end pd="audit" id="9" /></channel></system>"#,
        )],
        &[],
        &["P", "D"],
        &["worker1", "to audit", "[[channel]]"],
    ),
    (
        "workers_signal_each_other",
        &[(
            END,
            r#"<channel><end pd="worker1" id="7" /><end pd="worker2" id="7" /></channel></system>"#,
        )],
        &[],
        &["P", "D"],
        &["worker1", "worker2", "[[channel]]"],
    ),
    (
        "a_worker_reads_the_store",
        worker_has!(r#"<map mr="model_store" vaddr="0x30000000" perms="r" />"#),
        &[],
        &["I4", "D"],
        &["model_store", "worker1"],
    ),
    (
        "a_worker_writes_the_store",
        worker_has!(r#"<map mr="model_store" vaddr="0x30000000" perms="rw" />"#),
        &[],
        &["I4", "C", "D"],
        &["worker1", "writes model_store"],
    ),
    (
        "a_worker_reads_the_log",
        worker_has!(r#"<map mr="audit_log" vaddr="0x30000000" perms="r" />"#),
        &[],
        &["I3", "C", "D"],
        &["worker1", "reads audit_log"],
    ),
    (
        "a_worker_reads_the_policy",
        worker_has!(r#"<map mr="policy" vaddr="0x30000000" perms="r" />"#),
        &[],
        &["I3", "I4", "C", "D"],
        &["worker1", "policy"],
    ),
    (
        "a_worker_writes_what_inference_says",
        worker_has!(r#"<map mr="inference_to_audit" vaddr="0x30000000" perms="rw" />"#),
        &[],
        &["I2", "D"],
        &["inference_to_audit", "worker1"],
    ),
    (
        "a_worker_writes_what_audit_says",
        worker_has!(r#"<map mr="audit_to_inference" vaddr="0x30000000" perms="rw" />"#),
        &[],
        &["I2", "C", "D"],
        &["worker1", "writes audit_to_inference"],
    ),
    (
        "a_worker_reads_what_is_typed",
        worker_has!(r#"<map mr="shell_to_audit" vaddr="0x30000000" perms="r" />"#),
        &[],
        &["I1", "I2", "C", "D"],
        &["shell_to_audit", "worker1"],
    ),
    (
        "a_worker_writes_adapters",
        worker_has!(r#"<map mr="adapters" vaddr="0x30000000" perms="rw" />"#),
        &[],
        &["I2", "C", "D"],
        &["worker1", "writes adapters"],
    ),
    (
        "a_worker_reads_formats",
        worker_has!(r#"<map mr="formats" vaddr="0x30000000" perms="r" />"#),
        &[],
        &["I4", "D"],
        &["formats", "worker1"],
    ),
    (
        "a_worker_has_the_uart",
        worker_has!(r#"<map mr="uart" vaddr="0x30000000" perms="rw" cached="false" />"#),
        &[],
        &["I1", "I6", "C", "D"],
        &["uart", "worker1"],
    ),
    (
        "a_worker_has_the_watchdog",
        worker_has!(r#"<map mr="watchdog" vaddr="0x30000000" perms="rw" cached="false" />"#),
        &[],
        &["I6", "C", "D"],
        &["watchdog", "worker1"],
    ),
    (
        "a_worker_has_an_interrupt",
        worker_has!(r#"<irq irq="77" id="9" />"#),
        &[],
        &["C", "P"],
        &["worker1", "has the interrupt 77"],
    ),
    (
        "shell_reads_the_arena",
        &[(
            SHELL,
            r#"<program_image path="shell.elf" /><map mr="arena" vaddr="0x40000000" perms="r" />"#,
        )],
        &[],
        &["I1", "I2", "I3", "D"],
        &["arena", "shell", "compartment"],
    ),
    (
        "audit_reads_the_team",
        &[(
            r#"<program_image path="audit-cores.elf" />"#,
            r#"<program_image path="audit-cores.elf" /><map mr="team" vaddr="0x40000000" perms="r" />"#,
        )],
        &[],
        &["I2", "I3", "D"],
        &["team", "audit"],
    ),
    (
        "a_worker_is_above_audit",
        worker_is!(r#"cpu="1" priority="121" budget="10000" period="10000""#),
        &[],
        &["I7", "I8"],
        &["worker1", "121"],
    ),
    (
        "a_worker_is_above_shell",
        worker_is!(r#"cpu="1" priority="115" budget="10000" period="10000""#),
        &[],
        &["I7"],
        &["inference", "not above worker1's 115"],
    ),
    (
        "a_worker_is_level_with_inference",
        worker_is!(r#"cpu="1" priority="100" budget="10000" period="10000""#),
        &[],
        &["I7"],
        &["inference", "not above worker1's 100"],
    ),
    (
        "a_worker_has_part_of_its_core",
        worker_is!(r#"cpu="1" priority="90" budget="5000" period="10000""#),
        &[],
        &["I7"],
        &["worker1", "5000 µs in a period of 10000"],
    ),
    (
        "a_worker_runs_on_core_0",
        worker_is!(r#"cpu="0" priority="90" budget="10000" period="10000""#),
        &[],
        &["I7", "D"],
        &["worker1", "runs on core 0", "demands 1"],
    ),
    (
        "two_workers_run_on_one_core",
        worker_is!(r#"cpu="2" priority="90" budget="10000" period="10000""#),
        &[],
        &["I7", "D"],
        &["worker1", "runs on core 2", "demands 1"],
    ),
    (
        "shell_runs_beside_audit",
        &[(
            r#"<protection_domain name="shell" cpu="0""#,
            r#"<protection_domain name="shell" cpu="1""#,
        )],
        &[],
        &["I7", "I8", "D"],
        &[
            "shell may take from monitor's endpoint",
            "audit sends there",
        ],
    ),
    (
        "audit_runs_beside_shell",
        &[(
            r#"<protection_domain name="audit" cpu="0""#,
            r#"<protection_domain name="audit" cpu="3""#,
        )],
        &[],
        &["I7", "I8", "D"],
        &["audit", "runs on core 3", "demands 0"],
    ),
    (
        "inference_runs_beside_audit",
        &[(
            r#"setvar_id="inference_child" cpu="0""#,
            r#"setvar_id="inference_child" cpu="1""#,
        )],
        &[],
        &["I7", "D"],
        &["inference", "runs on core 1", "demands 0"],
    ),
    (
        "a_worker_is_nobodys_child",
        &[
            (
                r#"<protection_domain name="worker1" id="1" setvar_id="worker_1_child" cpu="1" priority="90" budget="10000" period="10000" stack_size="0x40000">
            <program_image path="worker.elf" />
            <map mr="arena" vaddr="0x20000000" perms="rw" setvar_vaddr="arena" setvar_size="arena_size" />
            <map mr="team" vaddr="0x2f000000" perms="rw" setvar_vaddr="team" setvar_size="team_size" />
        </protection_domain>"#,
                "",
            ),
            (
                r#"<protection_domain name="shell" cpu="0""#,
                r#"<protection_domain name="worker1" cpu="1" priority="90" budget="10000" period="10000" stack_size="0x40000">
            <program_image path="worker.elf" />
            <map mr="arena" vaddr="0x20000000" perms="rw" setvar_vaddr="arena" setvar_size="arena_size" />
            <map mr="team" vaddr="0x2f000000" perms="rw" setvar_vaddr="team" setvar_size="team_size" />
        </protection_domain>
        <protection_domain name="shell" cpu="0""#,
            ),
        ],
        &[],
        &["I1", "I8", "C"],
        &["audit does not hold worker1's TCB"],
    ),
    (
        "a_worker_is_inferences_child",
        &[(
            r#"<protection_domain name="worker1" id="1" setvar_id="worker_1_child""#,
            r#"<protection_domain name="worker1" id="1" setvar_id="another_child""#,
        )],
        &[],
        &["D"],
        &["worker1", "worker_1_child", "another_child"],
    ),
    (
        "a_worker_runs_another_program",
        &[(
            WORKERS_TEAM,
            "cpu=\"1\" priority=\"90\" budget=\"10000\" period=\"10000\" stack_size=\"0x40000\">\n            <program_image path=\"shell-cores.elf\" />\n            <map mr=\"arena\" vaddr=\"0x20000000\" perms=\"rw\"",
        )],
        &[],
        &["D"],
        &["worker1", "shell-cores.elf"],
    ),
    (
        "a_worker_may_execute_the_arena",
        &[(
            WORKERS_TEAM,
            "cpu=\"1\" priority=\"90\" budget=\"10000\" period=\"10000\" stack_size=\"0x40000\">\n            <program_image path=\"worker.elf\" />\n            <map mr=\"arena\" vaddr=\"0x20000000\" perms=\"rwx\"",
        )],
        &[],
        &["I5", "C", "D"],
        &["worker1", "executes arena"],
    ),
    (
        "a_fourth_worker_that_nobody_explains",
        &[(
            r#"<protection_domain name="shell" cpu="0""#,
            r#"<protection_domain name="worker4" cpu="3" priority="90" stack_size="0x40000">
            <program_image path="worker.elf" />
            <map mr="team" vaddr="0x2f000000" perms="rw" />
        </protection_domain>
        <protection_domain name="shell" cpu="0""#,
        )],
        &[],
        &["I2", "I3", "I7", "P", "D"],
        &["team", "worker4"],
    ),
    (
        "a_worker_is_of_no_compartment",
        &[],
        &[(
            r#"members = ["worker1", "worker2", "worker3"]"#,
            r#"members = ["worker2", "worker3"]"#,
        )],
        &["I2", "I3", "I7", "I8", "D"],
        &["worker1", "core 1", "only members of a compartment"],
    ),
    (
        "the_arena_is_not_of_the_compartment",
        &[],
        &[(r#"regions = ["arena", "team"]"#, r#"regions = ["team"]"#)],
        &["I2", "I3", "D"],
        &["arena", "4 writers"],
    ),
    (
        "the_compartment_has_audits_log",
        &[],
        &[(
            r#"regions = ["arena", "team"]"#,
            r#"regions = ["arena", "team", "audit_log"]"#,
        )],
        &["refused"],
        &["audit_log", "'inference'"],
    ),
    (
        "audit_is_of_the_compartment",
        &[],
        &[(
            r#"members = ["worker1", "worker2", "worker3"]"#,
            r#"members = ["worker1", "worker2", "worker3", "audit"]"#,
        )],
        &["refused"],
        &["audit", "trusted by others"],
    ),
    (
        "shell_is_of_the_compartment",
        &[],
        &[(
            r#"members = ["worker1", "worker2", "worker3"]"#,
            r#"members = ["worker1", "worker2", "worker3", "shell"]"#,
        )],
        &["refused"],
        &["shell", "a client"],
    ),
    (
        "a_worker_is_of_the_compartment_twice",
        &[],
        &[(
            r#"members = ["worker1", "worker2", "worker3"]"#,
            r#"members = ["worker1", "worker1", "worker3"]"#,
        )],
        &["refused"],
        &["worker1", "twice"],
    ),
    (
        "shell_has_a_place_on_a_workers_core",
        &[],
        &[(
            r#"domains = ["worker1"]"#,
            r#"domains = ["worker1", "shell"]"#,
        )],
        &["refused"],
        &["shell", "already"],
    ),
    (
        "core_0_has_a_line",
        &[],
        &[("number = 1", "number = 0")],
        &["refused"],
        &["core 0"],
    ),
];

fn check(of_system: &[(&str, &str)], of_claims: &[(&str, &str)]) -> Vec<String> {
    check_with_layer(&changed(&SYSTEM, of_system), &changed(ADDED, of_claims))
}

pub fn harmful() -> Vec<Trial> {
    let trial = |(name, of_system, of_claims, claims, words): &'static Mutation| {
        Trial::test(format!("cores::{name}"), move || {
            Caught { claims, words }.judge(&check(of_system, of_claims))
        })
    };
    MUTATIONS.iter().map(trial).collect()
}

pub fn harmless() -> Vec<Trial> {
    let lower = || {
        none(&check(
            worker_is!(r#"cpu="1" priority="50" budget="10000" period="10000""#),
            &[],
        ))
    };
    vec![
        Trial::test("harmless::cores::unchanged", || none(&check(&[], &[]))),
        Trial::test("harmless::cores::a_worker_is_lower", lower),
    ]
}

//! Harmful changes to the system in time partitions, systems/partitions, to its claims, and to an image's schedule.
//! They change which domains run in whose time.

use crate::harness::{
    Caught, Image, POLICY_TEXT, changed, check_image_in_partitions, check_with, check_with_layer,
    none,
};
use isolation::capdl::format::{Object, ScheduleDuration, ScheduleEntry};
use libtest_mimic::Trial;
use std::sync::LazyLock;
use sysdesc::Board;

static SYSTEM: LazyLock<String> = LazyLock::new(|| {
    let described = include_str!("../../../../systems/partitions/system.xml");
    Board::usual().resolve(described).unwrap()
});
pub const ADDED: &str = include_str!("../../../../systems/partitions/isolation.toml");

/// Name, what is replaced by what in the description and in the claims, the claims that must be violated, words of one
/// message.
type Mutation = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
    &'static [&'static str],
);

const SHELL: &str = r#"<protection_domain name="shell" domain="clients""#;
const INFERENCE: &str = r#"<protection_domain name="inference" domain="inference""#;
const AUDIT: &str = r#"<protection_domain name="audit" domain="trusted""#;
const LONG_TURN: &str = r#"<schedule_entry domain="inference" duration="14000 us" />"#;

const MUTATIONS: &[Mutation] = &[
    (
        "shell_runs_in_inferences_time",
        &[(
            SHELL,
            r#"<protection_domain name="shell" domain="inference""#,
        )],
        &[],
        &["T"],
        &["shell", "partition 2", "not in 1"],
    ),
    (
        "inference_runs_in_the_clients_time",
        &[(
            INFERENCE,
            r#"<protection_domain name="inference" domain="clients""#,
        )],
        &[],
        &["T"],
        &["inference", "partition 1", "not in 2"],
    ),
    (
        "audit_runs_in_inferences_time",
        &[(
            AUDIT,
            r#"<protection_domain name="audit" domain="inference""#,
        )],
        &[],
        &["T"],
        &["audit", "partition 2", "not in 0"],
    ),
    (
        "audit_runs_in_the_clients_time",
        &[(AUDIT, r#"<protection_domain name="audit" domain="clients""#)],
        &[],
        &["T"],
        &["audit", "partition 1", "not in 0"],
    ),
    (
        "inference_has_no_turn",
        &[(LONG_TURN, "")],
        &[],
        &["T"],
        &["'inference' has no turn", "would never run"],
    ),
    (
        "inference_has_a_turn_among_the_clients_instead",
        &[(
            LONG_TURN,
            r#"<schedule_entry domain="clients" duration="14000 us" />"#,
        )],
        &[],
        &["T"],
        &["'inference' has no turn"],
    ),
    (
        "clients_wait_for_half_a_second",
        &[(
            LONG_TURN,
            r#"<schedule_entry domain="inference" duration="500000 us" />"#,
        )],
        &[],
        &["T"],
        &["'clients' waits 501000 µs"],
    ),
    (
        "inference_has_too_little",
        &[(
            LONG_TURN,
            r#"<schedule_entry domain="inference" duration="1000 us" />"#,
        )],
        &[],
        &["T"],
        &["'inference' has 1000 of 7000 µs"],
    ),
    (
        "the_monitor_is_not_with_audit",
        &[
            (
                r#"<domain name="trusted" id="0" />"#,
                r#"<domain name="trusted" id="3" />"#,
            ),
            (
                r#"<domain name="inference" id="2" />"#,
                r#"<domain name="inference" id="0" />"#,
            ),
        ],
        &[],
        &["T"],
        &["audit", "partition 3, not in 0"],
    ),
    (
        "two_partitions_change_their_names",
        &[
            (
                r#"<domain name="clients" id="1" />"#,
                r#"<domain name="clients" id="2" />"#,
            ),
            (
                r#"<domain name="inference" id="2" />"#,
                r#"<domain name="inference" id="1" />"#,
            ),
        ],
        &[],
        &["T"],
        &["partition 1 is called 'inference'"],
    ),
    (
        "a_partition_that_nobody_explains",
        &[(
            r#"<domain name="clients" id="1" />"#,
            r#"<domain name="clients" id="1" /><domain name="spare" id="7" />"#,
        )],
        &[],
        &["T"],
        &["'spare' (id 7)"],
    ),
    (
        "a_turn_of_a_partition_that_nobody_explains",
        &[
            (
                r#"<domain name="clients" id="1" />"#,
                r#"<domain name="clients" id="1" /><domain name="spare" id="7" />"#,
            ),
            (
                LONG_TURN,
                r#"<schedule_entry domain="inference" duration="14000 us" /><schedule_entry domain="spare" duration="10 us" />"#,
            ),
        ],
        &[],
        &["T"],
        &["a turn of 10 µs is partition 7's"],
    ),
    (
        "the_claims_put_a_client_with_inference",
        &[(
            SHELL,
            r#"<protection_domain name="shell" domain="inference""#,
        )],
        &[
            (r#"domains = ["clients"]"#, "domains = []"),
            (
                r#"domains = ["inference"]"#,
                r#"domains = ["inference", "clients"]"#,
            ),
        ],
        &["T"],
        &["inference shares partition 'inference' with shell"],
    ),
    (
        "the_claims_put_audit_with_inference",
        &[(
            AUDIT,
            r#"<protection_domain name="audit" domain="inference""#,
        )],
        &[
            (
                r#"domains = ["monitor", "audit"]"#,
                r#"domains = ["monitor"]"#,
            ),
            (
                r#"domains = ["inference"]"#,
                r#"domains = ["inference", "audit"]"#,
            ),
        ],
        &["T"],
        &["inference shares partition 'inference' with audit"],
    ),
    (
        "the_claims_put_audit_with_the_clients",
        &[(AUDIT, r#"<protection_domain name="audit" domain="clients""#)],
        &[
            (
                r#"domains = ["monitor", "audit"]"#,
                r#"domains = ["monitor"]"#,
            ),
            (
                r#"domains = ["clients"]"#,
                r#"domains = ["clients", "audit"]"#,
            ),
        ],
        &["T"],
        &["shell shares partition 'clients' with audit"],
    ),
    (
        "the_claims_forget_a_domain",
        &[],
        &[(
            r#"domains = ["monitor", "audit"]"#,
            r#"domains = ["monitor"]"#,
        )],
        &["T"],
        &["audit", "has no [[partition]]"],
    ),
    (
        "the_claims_name_a_domain_that_is_not_there",
        &[],
        &[(
            r#"domains = ["monitor", "audit"]"#,
            r#"domains = ["monitor", "audit", "other"]"#,
        )],
        &["P"],
        &["other"],
    ),
    (
        "the_claims_name_a_domain_twice",
        &[],
        &[(
            r#"domains = ["clients"]"#,
            r#"domains = ["clients", "shell"]"#,
        )],
        &["T"],
        &["shell", "two partitions"],
    ),
    (
        "the_claims_have_one_number_twice",
        &[],
        &[("id = 2", "id = 1")],
        &["T"],
        &["two partitions with id 1"],
    ),
    (
        "a_client_has_a_ring_with_inference_after_all",
        &[(
            r#"<program_image path="shell.elf" />"#,
            r#"<program_image path="shell.elf" /><map mr="inference_to_audit" vaddr="0x40000000" perms="r" />"#,
        )],
        &[],
        &["I1", "D"],
        &["inference_to_audit", "shell"],
    ),
];

/// The fixture's image as the Microkit tool would have made it of the partitioned description.
fn image() -> Image {
    let mut image = Image::new();
    for (tcb, partition) in [
        ("tcb_monitor", 0),
        ("tcb_audit", 0),
        ("tcb_shell", 1),
        ("tcb_inference", 2),
    ] {
        set_partition(&mut image, tcb, Some(partition));
    }
    let turns = [(1, 2_000), (0, 1_000), (1, 2_000), (2, 14_000), (0, 1_000)];
    let turns = turns.map(|(domain, us)| ScheduleEntry {
        domain,
        duration: ScheduleDuration::Us(us),
    });
    image.spec.domain_schedule = Some(turns.to_vec());
    image.spec.domain_set_start = Some(0);
    image
}

fn set_partition(image: &mut Image, tcb: &str, partition: Option<u8>) {
    let Object::Tcb(tcb) = image.object(tcb) else {
        panic!("'{tcb}' is no TCB");
    };
    tcb.extra.domain = partition;
}

fn turns(image: &mut Image) -> &mut Vec<ScheduleEntry> {
    image.spec.domain_schedule.as_mut().unwrap()
}

/// Name, change of the image, claims, words.
type ImageMutation = (
    &'static str,
    fn(&mut Image),
    &'static [&'static str],
    &'static [&'static str],
);

const IMAGE_MUTATIONS: &[ImageMutation] = &[
    (
        "shells_thread_runs_in_inferences_time",
        |image| set_partition(image, "tcb_shell", Some(2)),
        &["T", "A"],
        &["shell", "partition 2"],
    ),
    (
        "inferences_thread_runs_in_audits_time",
        |image| set_partition(image, "tcb_inference", None),
        &["T", "A"],
        &["inference", "partition 0"],
    ),
    (
        "there_is_no_schedule",
        |image| {
            image.spec.domain_schedule = None;
            image.spec.domain_set_start = None;
        },
        &["T", "A"],
        &["there is no schedule"],
    ),
    (
        "the_schedule_has_one_turn_less",
        |image| {
            turns(image).pop();
        },
        &["A"],
        &["the image's schedule"],
    ),
    (
        "a_turn_is_longer",
        |image| turns(image)[0].duration = ScheduleDuration::Us(900_000),
        &["T", "A"],
        &["waits"],
    ),
    (
        "a_turn_is_in_ticks",
        |image| turns(image)[0].duration = ScheduleDuration::Ticks(2_000),
        &["A"],
        &["not microseconds"],
    ),
    (
        "the_schedule_ends_in_the_middle",
        |image| turns(image)[3].duration = ScheduleDuration::EndMarker,
        &["T", "A"],
        &["not microseconds"],
    ),
    (
        "the_schedule_begins_in_the_middle",
        |image| image.spec.domain_set_start = Some(3),
        &["A"],
        &["domain_set_start"],
    ),
    (
        "the_schedule_is_not_started",
        |image| image.spec.domain_set_start = None,
        &["A"],
        &["domain_set_start"],
    ),
    (
        "the_schedule_lies_elsewhere",
        |image| image.spec.domain_idx_shift = Some(4),
        &["A"],
        &["domain_idx_shift"],
    ),
];

pub fn harmful() -> Vec<Trial> {
    let described = |(name, of_system, of_claims, claims, words): &'static Mutation| {
        Trial::test(format!("partitions::{name}"), move || {
            let said = check_with_layer(&changed(&SYSTEM, of_system), &changed(ADDED, of_claims));
            Caught { claims, words }.judge(&said)
        })
    };
    let built = |(name, change, claims, words): &'static ImageMutation| {
        Trial::test(format!("partitions::image::{name}"), move || {
            let mut image = image();
            change(&mut image);
            let said = check_image_in_partitions(&image.spec);
            Caught { claims, words }.judge(&said)
        })
    };
    // None of them is in the system without partitions.
    let unexplained = || {
        let said = check_with(&SYSTEM, POLICY_TEXT);
        let (claims, words) = (&["T"][..], &["a schedule of 5 turns"][..]);
        Caught { claims, words }.judge(&said)
    };
    let absent = || {
        let plain = Board::usual().resolve(include_str!("../../../../system.xml"));
        let said = check_with_layer(&plain.unwrap(), ADDED);
        let (claims, words) = (&["T"][..], &["there is no schedule"][..]);
        Caught { claims, words }.judge(&said)
    };
    let mut trials: Vec<_> = MUTATIONS.iter().map(described).collect();
    trials.extend(IMAGE_MUTATIONS.iter().map(built));
    trials.push(Trial::test(
        "partitions::that_no_claim_explains",
        unexplained,
    ));
    trials.push(Trial::test(
        "partitions::that_are_claimed_and_absent",
        absent,
    ));
    trials
}

pub fn harmless() -> Vec<Trial> {
    let shorter = || {
        let turn = r#"<schedule_entry domain="inference" duration="9000 us" />"#;
        let text = changed(&SYSTEM, &[(LONG_TURN, turn)]);
        none(&check_with_layer(&text, ADDED))
    };
    vec![
        Trial::test("harmless::partitions::unchanged", || {
            none(&check_with_layer(&SYSTEM, ADDED))
        }),
        Trial::test("harmless::partitions::image::unchanged", || {
            none(&check_image_in_partitions(&image().spec))
        }),
        Trial::test("harmless::partitions::inferences_turn_is_shorter", shorter),
    ]
}

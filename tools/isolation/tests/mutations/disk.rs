//! Harmful changes to the system with a disk, systems/disk, and to its claims: what files and disk must not be able to
//! reach.

use crate::harness::{Caught, changed, check_with_layer, none};
use libtest_mimic::Trial;
use std::sync::LazyLock;
use sysdesc::Board;

static SYSTEM: LazyLock<String> = LazyLock::new(|| {
    let described = include_str!("../../../../systems/disk/system.xml");
    Board::usual().resolve(described).unwrap()
});
const CLAIMS: &str = include_str!("../../../../systems/disk/isolation.toml");

/// Name, what is replaced by what in the description and in the claims, the claims that must be violated, words of one
/// message.
type Mutation = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
    &'static [&'static str],
);

const FILES: &str = r#"<program_image path="files.elf" />"#;
const DISK: &str = r#"<program_image path="disk.elf" />"#;
const SHELL: &str = r#"<program_image path="shell.elf" />"#;
const INFERENCE: &str = r#"<program_image path="inference-disk.elf" />"#;
const SETVAR: &str = r#"<setvar symbol="dma_physical" region_paddr="dma" />"#;
const TRUSTED: &str = r#"trusted = ["monitor", "disk"]"#;

const MUTATIONS: &[Mutation] = &[
    (
        "files_maps_a_slot",
        &[(
            FILES,
            r#"<program_image path="files.elf" /><map mr="model_slots" vaddr="0x40000000" perms="rw" />"#,
        )],
        &[],
        &["I2", "D"],
        &["model_slots", "files"],
    ),
    (
        "files_reads_a_slot",
        &[(
            FILES,
            r#"<program_image path="files.elf" /><map mr="model_slots" vaddr="0x40000000" perms="r" />"#,
        )],
        &[],
        &["D"],
        &["model_slots", "files"],
    ),
    (
        "inference_sees_what_is_not_verified",
        &[(
            INFERENCE,
            r#"<program_image path="inference-disk.elf" /><map mr="staging" vaddr="0x80000000" perms="r" />"#,
        )],
        &[],
        &["I3", "D"],
        &["staging", "inference"],
    ),
    (
        "inference_writes_the_slots",
        &[(
            r#"mr="model_slots" vaddr="0x60000000" perms="r""#,
            r#"mr="model_slots" vaddr="0x60000000" perms="rw""#,
        )],
        &[],
        &["I2", "D"],
        &["model_slots", "inference"],
    ),
    (
        "inference_reads_what_files_says",
        &[(
            INFERENCE,
            r#"<program_image path="inference-disk.elf" /><map mr="files_to_audit" vaddr="0x80000000" perms="r" />"#,
        )],
        &[],
        &["D"],
        &["files_to_audit", "inference"],
    ),
    (
        "a_client_shares_a_ring_with_files",
        &[(
            SHELL,
            r#"<program_image path="shell.elf" /><map mr="files_to_audit" vaddr="0x40000000" perms="r" />"#,
        )],
        &[],
        &["D"],
        &["files_to_audit", "shell"],
    ),
    (
        "a_way_from_inference_to_a_client_leads_through_files",
        &[
            (
                INFERENCE,
                r#"<program_image path="inference-disk.elf" /><map mr="files_to_disk" vaddr="0x80000000" perms="rw" />"#,
            ),
            (
                SHELL,
                r#"<program_image path="shell.elf" /><map mr="files_to_audit" vaddr="0x40000000" perms="r" />"#,
            ),
        ],
        &[],
        &["I2", "D"],
        &["files_to_disk", "inference"],
    ),
    (
        "files_has_the_device",
        &[(
            FILES,
            r#"<program_image path="files.elf" /><map mr="virtio" vaddr="0x40000000" perms="rw" cached="false" />"#,
        )],
        &[],
        &["I6", "D"],
        &["virtio", "files"],
    ),
    (
        "files_reads_what_the_device_writes",
        &[(
            FILES,
            r#"<program_image path="files.elf" /><map mr="dma" vaddr="0x40000000" perms="r" />"#,
        )],
        &[],
        &["I3", "I6", "D"],
        &["dma", "files", "by itself"],
    ),
    (
        "who_masters_the_bus_is_not_trusted",
        &[],
        &[(TRUSTED, r#"trusted = ["monitor"]"#)],
        &["I6"],
        &["disk", "masters the bus", "mediation.trusted"],
    ),
    (
        "disk_does_not_learn_where_its_memory_lies",
        &[(SETVAR, "")],
        &[],
        &["D"],
        &["disk", "setvar"],
    ),
    (
        "disk_learns_where_another_region_lies",
        &[(
            SETVAR,
            r#"<setvar symbol="dma_physical" region_paddr="model_slots" />"#,
        )],
        &[],
        &["D"],
        &["disk", "model_slots"],
    ),
    (
        "disk_learns_it_in_another_variable",
        &[(
            SETVAR,
            r#"<setvar symbol="dma_size_too" region_paddr="dma" />"#,
        )],
        &[],
        &["D"],
        &["dma_physical", "dma_size_too"],
    ),
    (
        "files_learns_where_memory_lies",
        &[(
            FILES,
            r#"<program_image path="files.elf" /><setvar symbol="where" region_paddr="dma" />"#,
        )],
        &[],
        &["D"],
        &["files", "dma"],
    ),
    (
        "files_may_use_all_of_the_time",
        &[(r#"budget="8000" period="10000" fpu"#, "fpu")],
        &[],
        &["I7"],
        &["files", "80 %"],
    ),
    (
        "files_is_above_audit",
        &[(
            r#"<protection_domain name="files" priority="106""#,
            r#"<protection_domain name="files" priority="121""#,
        )],
        &[],
        &["I7"],
        &["files", "121"],
    ),
    (
        "disk_signals_inference",
        &[(
            "</system>",
            r#"<channel><end pd="disk" id="7" /><end pd="inference" id="7" /></channel></system>"#,
        )],
        &[],
        &["P", "D"],
        &["disk", "inference"],
    ),
    (
        "files_signals_a_client",
        &[(
            "</system>",
            r#"<channel><end pd="files" id="7" /><end pd="shell" id="7" /></channel></system>"#,
        )],
        &[],
        &["P", "D"],
        &["files", "shell"],
    ),
    (
        "disk_hears_what_audit_asks_of_files",
        &[(
            DISK,
            r#"<program_image path="disk.elf" /><map mr="audit_to_files" vaddr="0x40000000" perms="r" />"#,
        )],
        &[],
        &["D"],
        &["audit_to_files", "disk"],
    ),
    (
        "disk_answers_audit_in_the_place_of_files",
        &[(
            DISK,
            r#"<program_image path="disk.elf" /><map mr="files_to_audit" vaddr="0x40000000" perms="rw" />"#,
        )],
        &[],
        &["I2", "D"],
        &["files_to_audit", "disk"],
    ),
    (
        "files_gets_the_interrupt_of_the_device",
        &[
            (
                r#"<irq irq="48" id="1" trigger="edge" setvar_id="virtio_channel" />"#,
                "",
            ),
            (
                FILES,
                r#"<program_image path="files.elf" /><irq irq="48" id="9" trigger="edge" setvar_id="virtio_channel" />"#,
            ),
        ],
        &[],
        &["I6"],
        &["48", "files"],
    ),
    (
        "inference_gets_a_model_that_files_writes",
        &[
            (
                r#"<map mr="model_slots" vaddr="0x60000000" perms="rw" setvar_vaddr="model_slots" setvar_size="model_slots_size" />"#,
                "",
            ),
            (
                FILES,
                r#"<program_image path="files.elf" /><map mr="model_slots" vaddr="0x60000000" perms="rw" setvar_vaddr="model_slots" setvar_size="model_slots_size" />"#,
            ),
        ],
        &[],
        &["I2", "D"],
        &["model_slots", "files"],
    ),
    (
        "inference_is_above_files",
        &[(
            r#"priority="106" budget="8000""#,
            r#"priority="99" budget="8000""#,
        )],
        &[],
        &["I7"],
        &["files", "99"],
    ),
    (
        "a_second_disk_that_nobody_explains",
        &[(
            r#"<protection_domain name="disk" priority="108""#,
            r#"<protection_domain name="other" priority="90"><program_image path="disk.elf" /></protection_domain><protection_domain name="disk" priority="108""#,
        )],
        &[],
        &["P", "D"],
        &["other"],
    ),
    (
        "disk_is_started_with_more",
        &[(
            DISK,
            r#"<program_image path="disk.elf" /><map mr="audit_log" vaddr="0x40000000" perms="r" />"#,
        )],
        &[],
        &["I3", "D"],
        &["audit_log", "disk"],
    ),
];

pub fn harmful() -> Vec<Trial> {
    let trial = |(name, of_system, of_claims, claims, words): &'static Mutation| {
        Trial::test(format!("disk::{name}"), move || {
            let said = check_with_layer(&changed(&SYSTEM, of_system), &changed(CLAIMS, of_claims));
            Caught { claims, words }.judge(&said)
        })
    };
    MUTATIONS.iter().map(trial).collect()
}

pub fn harmless() -> Vec<Trial> {
    let larger = || {
        let text = changed(
            &SYSTEM,
            &[
                (
                    r#"name="staging" size="0x800000""#,
                    r#"name="staging" size="0x1000000""#,
                ),
                (
                    r#"name="model_slots" size="0x1000000""#,
                    r#"name="model_slots" size="0x2000000""#,
                ),
            ],
        );
        none(&check_with_layer(&text, CLAIMS))
    };
    vec![
        Trial::test("harmless::disk::unchanged", || {
            none(&check_with_layer(&SYSTEM, CLAIMS))
        }),
        Trial::test("harmless::disk::the_slots_are_larger", larger),
    ]
}

//! Harmless changes: they pass, or the message says why not.

use crate::harness::{Caught, Image, SYSTEM, check_description, check_image, none, replace};
use isolation::capdl::format::{Object, Slot};
use libtest_mimic::Trial;

const REGIONS: &str = r#"    <memory_region name="audit_log""#;
const AUDIT: &str = r#"<program_image path="audit.elf" />"#;
const INFERENCE: &str = r#"<program_image path="inference.elf" />"#;
const SHELL: &str = r#"    <protection_domain name="shell""#;

/// Name, what is replaced by what.
type Edit = (&'static str, &'static [(&'static str, &'static str)]);

const EDITS: &[Edit] = &[
    (
        "a_comment_is_added",
        &[(
            REGIONS,
            "    <!-- Of audit: perms=\"rwx\". -->\n    <memory_region name=\"audit_log\"",
        )],
    ),
    (
        "a_comment_is_removed",
        &[(
            "        <!-- The PL031 RTC: the trusted watchdog, 1 Hz. -->\n",
            "",
        )],
    ),
    (
        "the_arena_is_larger",
        &[
            (
                r#"name="arena" size="0x800000""#,
                r#"name="arena" size="0x9000000""#,
            ),
            (
                r#"mr="model_store" vaddr="0x30000000" perms="r" setvar_vaddr="model_store" setvar_size="model_store_size" />
        </protection_domain>"#,
                r#"mr="model_store" vaddr="0x40000000" perms="r" setvar_vaddr="model_store" setvar_size="model_store_size" />
        </protection_domain>"#,
            ),
        ],
    ),
    (
        "the_store_is_larger",
        &[(
            r#"name="model_store" size="0x800000""#,
            r#"name="model_store" size="0x4000000""#,
        )],
    ),
    (
        "a_ring_lies_at_another_address",
        &[(
            r#"mr="shell_to_audit" vaddr="0x11000000" perms="rw""#,
            r#"mr="shell_to_audit" vaddr="0x15000000" perms="rw""#,
        )],
    ),
    (
        "a_channel_has_another_number",
        &[(
            "<end pd=\"shell\" id=\"0\" setvar_id=\"audit_channel\" />",
            "<end pd=\"shell\" id=\"17\" setvar_id=\"audit_channel\" />",
        )],
    ),
    (
        "an_interrupt_has_another_number",
        &[(
            r#"<irq irq="33" id="1" setvar_id="uart_channel" />"#,
            r#"<irq irq="33" id="12" setvar_id="uart_channel" />"#,
        )],
    ),
    (
        "the_priorities_keep_their_order",
        &[
            (r#"priority="120""#, r#"priority="250""#),
            (r#"priority="100""#, r#"priority="3""#),
        ],
    ),
    (
        "inferences_period_is_longer",
        &[(
            r#"budget="10000" period="10000""#,
            r#"budget="20000" period="20000""#,
        )],
    ),
    (
        "shell_has_a_larger_stack",
        &[(
            r#"<protection_domain name="shell" priority="110" fpu="false" stack_size="0x40000""#,
            r#"<protection_domain name="shell" priority="110" fpu="false" stack_size="0x80000""#,
        )],
    ),
    (
        "attributes_are_in_another_order",
        &[(
            r#"<memory_region name="uart" size="0x1000" phys_addr="0x9000000" />"#,
            r#"<memory_region phys_addr="150994944" size="4_096" name="uart"/>"#,
        )],
    ),
    (
        "a_channel_is_turned_round",
        &[(
            "        <end pd=\"audit\" id=\"0\" setvar_id=\"client_0_channel\" />\n        <end pd=\"shell\" id=\"0\" setvar_id=\"audit_channel\" />",
            "        <end pd=\"shell\" id=\"0\" setvar_id=\"audit_channel\" />\n        <end pd=\"audit\" id=\"0\" setvar_id=\"client_0_channel\" />",
        )],
    ),
    (
        "to_say_that_there_is_no_secure_monitor_changes_nothing",
        &[(r#"priority="110""#, r#"priority="110" smc="false""#)],
    ),
    (
        "to_name_the_only_core_changes_nothing",
        &[(r#"priority="120""#, r#"priority="120" cpu="0""#)],
    ),
    (
        "to_say_that_nobody_is_passive_changes_nothing",
        &[(r#"priority="100""#, r#"priority="100" passive="false""#)],
    ),
    (
        "to_say_that_there_are_no_protected_procedures_changes_nothing",
        &[(
            r#"<end pd="inference" id="0""#,
            r#"<end pd="inference" id="0" pp="false" notify="true""#,
        )],
    ),
    (
        "defaults_are_written_out",
        &[
            (
                r#"<irq irq="33" id="1""#,
                r#"<irq irq="33" id="1" trigger="level""#,
            ),
            (
                r#"mr="arena" vaddr="0x20000000""#,
                r#"mr="arena" vaddr="0x20000000" cached="true""#,
            ),
            (
                r#"name="shell" priority="110""#,
                r#"name="shell" budget="1000" period="1_000" priority="110""#,
            ),
            (
                r#"name="uart" size="0x1000""#,
                r#"name="uart" size="0x1000" page_size="0x1000""#,
            ),
        ],
    ),
    (
        "permissions_are_spelled_the_other_way_round",
        &[(
            r#"mr="arena" vaddr="0x20000000" perms="rw""#,
            r#"mr="arena" vaddr="0x20000000" perms="wr""#,
        )],
    ),
    (
        "an_arena_that_has_too_many_small_pages_has_large_ones",
        &[(
            r#"name="arena" size="0x800000" page_size="0x1000""#,
            r#"name="arena" size="0x10000000" page_size="0x200000""#,
        )],
    ),
    (
        "the_log_is_larger",
        &[(
            r#"name="audit_log" size="0x100000""#,
            r#"name="audit_log" size="0x200000""#,
        )],
    ),
    (
        "the_log_lies_at_another_address",
        &[(
            r#"mr="audit_log" vaddr="0x12000000""#,
            r#"mr="audit_log" vaddr="0x50000000""#,
        )],
    ),
    (
        "the_child_has_another_number",
        &[(
            r#"id="0" setvar_id="inference_child""#,
            r#"id="5" setvar_id="inference_child""#,
        )],
    ),
    (
        "all_numbers_are_others",
        &[
            (r#"<irq irq="34" id="2""#, r#"<irq irq="34" id="61""#),
            (r#"<irq irq="30" id="3""#, r#"<irq irq="30" id="2""#),
            (r#"<end pd="audit" id="0""#, r#"<end pd="audit" id="3""#),
            (r#"<end pd="audit" id="1""#, r#"<end pd="audit" id="0""#),
        ],
    ),
];

/// Changes that are harmless but not explained by the policy: name, what is replaced by what, and what the message must
/// say.
type Explained = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

const EXPLAINED: &[Explained] = &[
    (
        "audit_has_a_constant_region_of_its_own",
        &[
            (
                REGIONS,
                "    <memory_region name=\"constants\" size=\"0x10000\" prefill_path=\"constants.bin\" />\n    <memory_region name=\"audit_log\"",
            ),
            (
                AUDIT,
                r#"<program_image path="audit.elf" /><map mr="constants" vaddr="0x16000000" perms="r" setvar_vaddr="constants" />"#,
            ),
        ],
        &[
            "'constants' (line",
            "no [[region]] in the policy: remove it, or write there",
        ],
    ),
    (
        "inference_has_a_region_of_its_own",
        &[
            (
                REGIONS,
                "    <memory_region name=\"scratch\" size=\"0x10000\" />\n    <memory_region name=\"audit_log\"",
            ),
            (
                INFERENCE,
                r#"<program_image path="inference.elf" /><map mr="scratch" vaddr="0x13000000" perms="rw" />"#,
            ),
        ],
        &[
            "'scratch' (line",
            "no [[region]] in the policy: remove it, or write there",
        ],
    ),
    (
        "a_region_is_there_that_nobody_maps",
        &[(
            REGIONS,
            "    <memory_region name=\"later\" size=\"0x10000\" />\n    <memory_region name=\"audit_log\"",
        )],
        &[
            "'later' (line",
            "no [[region]] in the policy: remove it, or write there",
        ],
    ),
    (
        "a_ring_is_larger",
        &[(
            r#"name="shell_to_audit" size="0x23000""#,
            r#"name="shell_to_audit" size="0x24000""#,
        )],
        &[
            "'shell_to_audit' (line",
            "0x24000 bytes, but the programs need 0x23000",
        ],
    ),
    (
        "a_variable_has_another_name",
        &[(r#"setvar_vaddr="audit_log""#, r#"setvar_vaddr="records""#)],
        &[
            "audit's mapping of 'audit_log' (line",
            "setvar_vaddr=\"records\", but the program needs setvar_vaddr=\"audit_log\"",
        ],
    ),
    (
        "a_program_has_another_file",
        &[(INFERENCE, r#"<program_image path="transformer.elf" />"#)],
        &[
            "inference (line",
            "runs 'transformer.elf', but the policy demands 'inference.elf'",
        ],
    ),
    (
        "the_log_lies_at_a_fixed_physical_address",
        &[(
            r#"name="audit_log" size="0x100000""#,
            r#"name="audit_log" phys_addr="0x60000000" size="0x100000""#,
        )],
        &[
            "'audit_log' at physical address 0x60000000",
            "line",
            "ordinary memory needs no address",
            "say so in the policy",
        ],
    ),
    (
        "shell_has_a_smaller_stack_that_it_might_do_with",
        &[(
            r#"<protection_domain name="shell" priority="110" fpu="false" stack_size="0x40000""#,
            r#"<protection_domain name="shell" priority="110" fpu="false" stack_size="0x30000""#,
        )],
        &["shell (line", "a stack of 0x30000 bytes", "0x40000 to"],
    ),
    (
        "a_number_is_spelled_as_the_tool_does_not_read_it",
        &[(r#"<irq irq="33" id="1""#, r#"<irq irq="0x21" id="1""#)],
        &["line", "'irq' is '0x21'", "only decimal digits"],
    ),
];

/// Regions, domains and channels in another order.
fn reordered() -> String {
    let watchdog =
        "    <memory_region name=\"watchdog\" size=\"0x1000\" phys_addr=\"0x9010000\" />\n";
    let text = replace(&SYSTEM, watchdog, "");
    let text = replace(&text, "<system>\n", &format!("<system>\n{watchdog}"));
    let start = text.find(SHELL).unwrap();
    let length =
        text[start..].find("</protection_domain>\n").unwrap() + "</protection_domain>\n".len();
    let shell = text[start..start + length].to_owned();
    let text = replace(&text, &shell, "");
    replace(
        &text,
        "    <protection_domain name=\"audit\"",
        &format!("{shell}    <protection_domain name=\"audit\""),
    )
}

/// The objects in reverse order.
fn reversed() -> Image {
    let mut image = Image::new();
    let last = image.spec.objects.len() - 1;
    image.spec.objects.reverse();
    let turn = |slots: &mut Vec<Slot>| {
        for slot in slots.iter_mut() {
            slot.cap.body.object = slot.cap.body.object.map(|index| last - index);
        }
        slots.reverse();
    };
    for object in &mut image.spec.objects {
        match &mut object.object {
            Object::CNode(cnode) => turn(&mut cnode.slots),
            Object::Tcb(tcb) => turn(&mut tcb.slots),
            Object::PageTable(table) => turn(&mut table.slots),
            Object::ArmIrq(irq) => turn(&mut irq.slots),
            _ => {}
        }
    }
    for irq in &mut image.spec.irqs {
        irq.handler = last - irq.handler;
    }
    image
}

/// A program with one page more than the ELF file had.
fn longer_program() -> Image {
    let mut image = Image::new();
    let page = image.code("inference").clone();
    let Some(Object::Frame(frame)) = page
        .object
        .map(|index| image.spec.objects[index].object.clone())
    else {
        panic!("code is no frame");
    };
    let new = image.add("frame_elf_inference_000009999", Object::Frame(frame));
    let (table, slot) = image.page("inference", 0x003f_f000);
    let body = image.put(&table, slot, "Frame", Some(new));
    *body = page;
    body.object = Some(new);
    image
}

pub fn trials() -> Vec<Trial> {
    let edit = |(name, changes): &'static Edit| {
        Trial::test(format!("harmless::{name}"), move || {
            let mut text = SYSTEM.clone();
            for (from, to) in *changes {
                text = replace(&text, from, to);
            }
            none(&check_description(&text))
        })
    };
    let explained = |(name, changes, words): &'static Explained| {
        Trial::test(format!("explained::{name}"), move || {
            let mut text = SYSTEM.clone();
            for (from, to) in *changes {
                text = replace(&text, from, to);
            }
            let claims = &[];
            Caught { claims, words }.judge(&check_description(&text))
        })
    };
    let mut trials: Vec<_> = EDITS.iter().map(edit).collect();
    trials.extend(EXPLAINED.iter().map(explained));
    trials.push(Trial::test(
        "harmless::elements_are_in_another_order",
        || none(&check_description(&reordered())),
    ));
    trials.push(Trial::test(
        "harmless::objects_are_in_another_order",
        || none(&check_image(&reversed().spec)),
    ));
    trials.push(Trial::test("harmless::a_program_has_a_page_more", || {
        none(&check_image(&longer_program().spec))
    }));
    trials
}

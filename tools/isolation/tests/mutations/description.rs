//! Harmful changes to `system.xml`.

use crate::harness::{Caught, SYSTEM, check_description, replace};
use libtest_mimic::Trial;

/// Name, what is replaced by what, the claims that must be violated, words of one message.
type Mutation = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
    &'static [&'static str],
);

const AUDIT: &str = r#"<program_image path="audit.elf" />"#;
const SHELL: &str = r#"<program_image path="shell.elf" />"#;
const INFERENCE: &str = r#"<program_image path="inference.elf" />"#;
const CHANNELS: &str =
    "    <channel>\n        <end pd=\"audit\" id=\"0\" setvar_id=\"client_0_channel\" />";
const REGIONS: &str = r#"    <memory_region name="audit_log""#;

const MUTATIONS: &[Mutation] = &[
    // Regions mapped too widely.
    (
        "the_arena_is_mapped_in_audit",
        &[(
            AUDIT,
            r#"<program_image path="audit.elf" /><map mr="arena" vaddr="0x40000000" perms="r" />"#,
        )],
        &["I2", "I3"],
        &["'arena'", "audit", "belongs to inference alone", "line"],
    ),
    (
        "the_arena_is_readable_in_shell",
        &[(
            SHELL,
            r#"<program_image path="shell.elf" /><map mr="arena" vaddr="0x40000000" perms="r" />"#,
        )],
        &["I1", "I2", "I3"],
        &["shell and inference share region 'arena'"],
    ),
    (
        "the_audit_log_is_readable_in_shell",
        &[(
            SHELL,
            r#"<program_image path="shell.elf" /><map mr="audit_log" vaddr="0x40000000" perms="r" />"#,
        )],
        &["I2", "I3"],
        &["'audit_log'", "shell", "belongs to audit alone"],
    ),
    (
        "the_audit_log_is_writable_in_inference",
        &[(
            INFERENCE,
            r#"<program_image path="inference.elf" /><map mr="audit_log" vaddr="0x40000000" perms="rw" />"#,
        )],
        &["I2", "I3"],
        &["'audit_log'", "2 writers", "audit", "inference"],
    ),
    (
        "shells_ring_is_readable_in_inference",
        &[(
            INFERENCE,
            r#"<program_image path="inference.elf" /><map mr="shell_to_audit" vaddr="0x40000000" perms="r" />"#,
        )],
        &["I1", "I2"],
        &["shell and inference share region 'shell_to_audit'"],
    ),
    (
        "inferences_ring_is_readable_in_shell",
        &[(
            SHELL,
            r#"<program_image path="shell.elf" /><map mr="inference_to_audit" vaddr="0x40000000" perms="r" />"#,
        )],
        &["I1", "I2"],
        &["'inference_to_audit'", "shell", "nor a reader"],
    ),
    (
        "the_store_is_readable_in_shell",
        &[(
            SHELL,
            r#"<program_image path="shell.elf" /><map mr="model_store" vaddr="0x40000000" perms="r" />"#,
        )],
        &["I1", "I4"],
        &["'model_store'", "shell", "readers are"],
    ),
    (
        "the_adapters_are_readable_in_shell",
        &[(
            SHELL,
            r#"<program_image path="shell.elf" /><map mr="adapters" vaddr="0x40000000" perms="r" />"#,
        )],
        &["I1", "I2"],
        &["shell and inference share region 'adapters'"],
    ),
    (
        "the_adapters_are_writable_in_inference",
        &[(
            r#"            <map mr="adapters" vaddr="0x14000000" perms="r""#,
            r#"            <map mr="adapters" vaddr="0x14000000" perms="rw""#,
        )],
        &["I2"],
        &["'adapters'", "2 writers", "audit", "inference"],
    ),
    (
        "the_formats_are_readable_in_shell",
        &[(
            SHELL,
            r#"<program_image path="shell.elf" /><map mr="formats" vaddr="0x40000000" perms="r" />"#,
        )],
        &["I1", "I4"],
        &["'formats'", "shell", "readers are"],
    ),
    (
        "the_formats_are_writable_in_inference",
        &[(
            r#"            <map mr="formats" vaddr="0x15000000" perms="r""#,
            r#"            <map mr="formats" vaddr="0x15000000" perms="rw""#,
        )],
        &["I4"],
        &["'formats'", "writable in inference", "line"],
    ),
    (
        "the_formats_are_writable_in_audit",
        &[(
            "        <map mr=\"formats\" vaddr=\"0x15000000\" perms=\"r\" setvar_vaddr=\"formats\" setvar_size=\"formats_size\" />\n        <map mr=\"model_store\"",
            "        <map mr=\"formats\" vaddr=\"0x15000000\" perms=\"rw\" setvar_vaddr=\"formats\" setvar_size=\"formats_size\" />\n        <map mr=\"model_store\"",
        )],
        &["I4"],
        &["'formats'", "writable in audit"],
    ),
    (
        "a_new_region_is_shared_by_audit_and_shell",
        &[
            (
                REGIONS,
                r#"<memory_region name="extra" size="0x1000" /><memory_region name="audit_log""#,
            ),
            (
                AUDIT,
                r#"<program_image path="audit.elf" /><map mr="extra" vaddr="0x40000000" perms="rw" />"#,
            ),
            (
                SHELL,
                r#"<program_image path="shell.elf" /><map mr="extra" vaddr="0x40000000" perms="r" />"#,
            ),
        ],
        &["I2"],
        &["'extra'", "audit", "shell", "policy"],
    ),
    (
        "a_new_region_is_shared_by_shell_and_inference",
        &[
            (
                REGIONS,
                r#"<memory_region name="extra" size="0x1000" /><memory_region name="audit_log""#,
            ),
            (
                INFERENCE,
                r#"<program_image path="inference.elf" /><map mr="extra" vaddr="0x40000000" perms="rw" />"#,
            ),
            (
                SHELL,
                r#"<program_image path="shell.elf" /><map mr="extra" vaddr="0x40000000" perms="r" />"#,
            ),
        ],
        &["I1", "I2"],
        &["a flow avoids audit", "inference → shell"],
    ),
    // Permissions.
    (
        "the_permissions_of_a_ring_are_swapped",
        &[
            (
                r#"mr="shell_to_audit" vaddr="0x11000000" perms="r""#,
                r#"mr="shell_to_audit" vaddr="0x11000000" perms="rx""#,
            ),
            (
                r#"mr="shell_to_audit" vaddr="0x11000000" perms="rw""#,
                r#"mr="shell_to_audit" vaddr="0x11000000" perms="r""#,
            ),
            (
                r#"mr="shell_to_audit" vaddr="0x11000000" perms="rx""#,
                r#"mr="shell_to_audit" vaddr="0x11000000" perms="rw""#,
            ),
        ],
        &["I2"],
        &[
            "'shell_to_audit'",
            "writable in audit",
            "its writer is shell",
        ],
    ),
    (
        "a_ring_has_two_writers",
        &[(
            r#"mr="inference_to_audit" vaddr="0x11300000" perms="r""#,
            r#"mr="inference_to_audit" vaddr="0x11300000" perms="wr""#,
        )],
        &["I2"],
        &["'inference_to_audit'", "2 writers", "audit", "inference"],
    ),
    (
        "a_ring_has_no_writer",
        &[(
            r#"mr="audit_to_shell" vaddr="0x11100000" perms="rw""#,
            r#"mr="audit_to_shell" vaddr="0x11100000" perms="r""#,
        )],
        &["I2"],
        &["'audit_to_shell'", "no writer", "audit"],
    ),
    (
        "a_mapping_without_permissions_is_writable",
        &[(
            r#"mr="audit_to_inference" vaddr="0x11200000" perms="r""#,
            r#"mr="audit_to_inference" vaddr="0x11200000""#,
        )],
        &["I2"],
        &["'audit_to_inference'", "2 writers"],
    ),
    (
        "the_store_is_writable_in_inference",
        &[(
            "            <map mr=\"model_store\" vaddr=\"0x30000000\" perms=\"r\"",
            "            <map mr=\"model_store\" vaddr=\"0x30000000\" perms=\"rw\"",
        )],
        &["I4"],
        &["'model_store'", "writable in inference", "line"],
    ),
    (
        "the_store_is_writable_in_audit",
        &[(
            "        <map mr=\"model_store\" vaddr=\"0x30000000\" perms=\"r\" setvar_vaddr=\"model_store\" setvar_size=\"model_store_size\" />\n        <!-- The PL031",
            "        <map mr=\"model_store\" vaddr=\"0x30000000\" perms=\"rw\" setvar_vaddr=\"model_store\" setvar_size=\"model_store_size\" />\n        <!-- The PL031",
        )],
        &["I4"],
        &["'model_store'", "writable in audit"],
    ),
    (
        "the_arena_is_writable_and_executable",
        &[(
            r#"mr="arena" vaddr="0x20000000" perms="rw""#,
            r#"mr="arena" vaddr="0x20000000" perms="rwx""#,
        )],
        &["I5"],
        &["'arena'", "writable (inference", "executable (inference"],
    ),
    (
        "the_store_is_executable",
        &[(
            "            <map mr=\"model_store\" vaddr=\"0x30000000\" perms=\"r\"",
            "            <map mr=\"model_store\" vaddr=\"0x30000000\" perms=\"rx\"",
        )],
        &["I5"],
        &["'model_store'", "executable", "execution.regions"],
    ),
    (
        "a_ring_is_writable_here_and_executable_there",
        &[(
            r#"mr="audit_to_inference" vaddr="0x11200000" perms="r""#,
            r#"mr="audit_to_inference" vaddr="0x11200000" perms="rx""#,
        )],
        &["I5"],
        &[
            "'audit_to_inference'",
            "writable (audit",
            "executable (inference",
        ],
    ),
    // Devices.
    (
        "inference_has_the_uart",
        &[(
            INFERENCE,
            r#"<program_image path="inference.elf" /><map mr="uart" vaddr="0x40000000" cached="false" />"#,
        )],
        &["I1", "I2", "I6"],
        &["'uart'", "inference", "belongs to shell"],
    ),
    (
        "inference_has_the_watchdog",
        &[(
            INFERENCE,
            r#"<program_image path="inference.elf" /><map mr="watchdog" vaddr="0x40000000" perms="r" cached="false" />"#,
        )],
        &["I2", "I6"],
        &["'watchdog'", "watchdog", "inference", "belongs to audit"],
    ),
    (
        "shell_has_the_watchdog_instead_of_audit",
        &[
            (
                r#"        <map mr="watchdog" vaddr="0x10000000" perms="rw" cached="false" setvar_vaddr="watchdog" />"#,
                "",
            ),
            (
                SHELL,
                r#"<program_image path="shell.elf" /><map mr="watchdog" vaddr="0x40000000" cached="false" />"#,
            ),
        ],
        &["I6"],
        &["audit does not have its watchdog", "'watchdog'"],
    ),
    (
        "a_device_that_the_policy_does_not_know_is_in_inference",
        &[
            (
                REGIONS,
                r#"<memory_region name="gpu" size="0x1000" phys_addr="0xa000000" /><memory_region name="audit_log""#,
            ),
            (
                INFERENCE,
                r#"<program_image path="inference.elf" /><map mr="gpu" vaddr="0x40000000" cached="false" />"#,
            ),
        ],
        &["P"],
        &["'gpu'", "0xa000000", "inference", "[[device]]"],
    ),
    (
        "two_regions_are_the_uart",
        &[(
            REGIONS,
            r#"<memory_region name="uart2" size="0x1000" phys_addr="0x9000000" /><memory_region name="audit_log""#,
        )],
        &["refused"],
        &["overlaps 'uart"],
    ),
    (
        "the_uart_lies_elsewhere",
        &[(r#"phys_addr="0x9000000""#, r#"phys_addr="0x9040000""#)],
        &["I6"],
        &["'uart'", "0x9040000", "0x9000000"],
    ),
    (
        "the_watchdogs_region_reaches_the_next_device",
        &[(
            r#"name="watchdog" size="0x1000""#,
            r#"name="watchdog" size="0x11000""#,
        )],
        &["I6"],
        &["'watchdog'", "0x11000 bytes", "at most 0x1000"],
    ),
    (
        "the_uart_is_ordinary_memory",
        &[(r#" phys_addr="0x9000000""#, "")],
        &["I6"],
        &["'uart'", "no physical address"],
    ),
    (
        "the_watchdog_is_cached",
        &[(
            r#"perms="rw" cached="false" setvar_vaddr="watchdog""#,
            r#"perms="rw" setvar_vaddr="watchdog""#,
        )],
        &["I6"],
        &["'watchdog'", "cached"],
    ),
    (
        "the_watchdog_has_no_interrupt",
        &[(
            r#"<irq irq="34" id="2" setvar_id="watchdog_channel" />"#,
            "",
        )],
        &["I6"],
        &["audit does not have its watchdog", "IRQ 34"],
    ),
    (
        "the_watchdog_is_not_mapped",
        &[(
            r#"        <map mr="watchdog" vaddr="0x10000000" perms="rw" cached="false" setvar_vaddr="watchdog" />"#,
            "",
        )],
        &["I6", "P"],
        &["audit does not have its watchdog", "'watchdog'"],
    ),
    (
        "the_interrupt_of_the_uart_is_audits",
        &[
            (
                r#"        <irq irq="33" id="1" setvar_id="uart_channel" />"#,
                "",
            ),
            (
                r#"<irq irq="34" id="2" setvar_id="watchdog_channel" />"#,
                r#"<irq irq="34" id="2" setvar_id="watchdog_channel" /><irq irq="33" id="7" />"#,
            ),
        ],
        &["I6"],
        &["audit has IRQ 33", "UART", "belongs to shell"],
    ),
    (
        "an_interrupt_is_shared",
        &[(
            r#"<irq irq="34" id="2" setvar_id="watchdog_channel" />"#,
            r#"<irq irq="34" id="2" setvar_id="watchdog_channel" /><irq irq="33" id="7" />"#,
        )],
        &["refused"],
        &["'irq'", "33", "second time"],
    ),
    (
        "inference_has_an_interrupt",
        &[(
            INFERENCE,
            r#"<program_image path="inference.elf" /><irq irq="79" id="5" />"#,
        )],
        &["P"],
        &["IRQ 79", "inference", "[[device]]"],
    ),
    // Time.
    (
        "shell_has_the_priority_of_audit",
        &[(r#"priority="110""#, r#"priority="120""#)],
        &["I7"],
        &["audit has priority 120", "not above shell's 120"],
    ),
    (
        "inference_is_above_shell",
        &[(r#"priority="100""#, r#"priority="115""#)],
        &["I7"],
        &["shell has priority 110", "not above inference's 115"],
    ),
    (
        "audit_is_the_lowest",
        &[(r#"priority="120""#, r#"priority="90""#)],
        &["I7", "I8"],
        &["audit has priority 90", "not above shell's 110"],
    ),
    (
        "inferences_budget_is_below_its_period",
        &[(r#"budget="10000""#, r#"budget="5000""#)],
        &["I7"],
        &["inference", "budget of 5000", "period of 10000"],
    ),
    (
        "audits_budget_is_below_its_period",
        &[(
            r#"name="audit" priority="120""#,
            r#"name="audit" budget="500" period="1000" priority="120""#,
        )],
        &["I7"],
        &["audit", "budget of 500", "period of 1000"],
    ),
    (
        "inferences_budget_is_above_its_period",
        &[(r#"budget="10000""#, r#"budget="20000""#)],
        &["refused"],
        &["budget", "20000", "10000"],
    ),
    // Channels and control.
    (
        "shell_and_inference_have_a_channel",
        &[(
            CHANNELS,
            "<channel><end pd=\"shell\" id=\"9\" /><end pd=\"inference\" id=\"9\" /></channel><channel>\n        <end pd=\"audit\" id=\"0\" setvar_id=\"client_0_channel\" />",
        )],
        &["I1", "P"],
        &["shell holds a channel to inference's notification"],
    ),
    (
        "inference_may_notify_shell_one_way",
        &[(
            CHANNELS,
            "<channel><end pd=\"shell\" id=\"9\" notify=\"false\" /><end pd=\"inference\" id=\"9\" /></channel><channel>\n        <end pd=\"audit\" id=\"0\" setvar_id=\"client_0_channel\" />",
        )],
        &["I1", "P"],
        &["inference holds a channel to shell's notification"],
    ),
    (
        "inference_reaches_the_uart_through_shell",
        &[(
            CHANNELS,
            "<channel><end pd=\"shell\" id=\"8\" notify=\"false\" /><end pd=\"inference\" id=\"8\" /></channel><channel>\n        <end pd=\"audit\" id=\"0\" setvar_id=\"client_0_channel\" />",
        )],
        &["I1", "I6"],
        &[
            "inference reaches the UART without audit",
            "inference → shell → UART",
        ],
    ),
    (
        "a_channel_is_missing",
        &[(
            "    <channel>\n        <end pd=\"audit\" id=\"1\" setvar_id=\"inference_channel\" />\n        <end pd=\"inference\" id=\"0\" setvar_id=\"audit_channel\" />\n    </channel>",
            "",
        )],
        &["P"],
        &["channel of audit and inference", "does not exist"],
    ),
    (
        "shell_is_a_child_of_audit",
        &[
            (
                r#"<protection_domain name="shell" priority"#,
                r#"<protection_domain name="shell" id="1" priority"#,
            ),
            (
                "        </protection_domain>\n    </protection_domain>\n",
                "        </protection_domain>\n",
            ),
            (
                "<irq irq=\"33\" id=\"1\" setvar_id=\"uart_channel\" />\n    </protection_domain>",
                "<irq irq=\"33\" id=\"1\" setvar_id=\"uart_channel\" />\n    </protection_domain></protection_domain>",
            ),
        ],
        &["I1", "I8"],
        &["audit: line", "holds shell's TCB"],
    ),
    (
        "inference_is_nobodys_child",
        &[
            (
                r#"<protection_domain name="inference" id="0" setvar_id="inference_child""#,
                r#"</protection_domain><protection_domain name="inference""#,
            ),
            (
                "        </protection_domain>\n    </protection_domain>\n",
                "        </protection_domain>\n",
            ),
        ],
        &["I1", "I8"],
        &["shell and inference both hold monitor's endpoint"],
    ),
    (
        "a_fourth_domain_is_there",
        &[(
            CHANNELS,
            "<protection_domain name=\"spy\" priority=\"90\"><program_image path=\"spy.elf\" /></protection_domain><channel>\n        <end pd=\"audit\" id=\"0\" setvar_id=\"client_0_channel\" />",
        )],
        &["P"],
        &["domain 'spy'", "line", "policy"],
    ),
    (
        "a_fourth_domain_goes_between",
        &[
            (
                REGIONS,
                r#"<memory_region name="in" size="0x1000" /><memory_region name="out" size="0x1000" /><memory_region name="audit_log""#,
            ),
            (
                SHELL,
                r#"<program_image path="shell.elf" /><map mr="in" vaddr="0x40000000" perms="rw" />"#,
            ),
            (
                INFERENCE,
                r#"<program_image path="inference.elf" /><map mr="out" vaddr="0x40000000" perms="r" />"#,
            ),
            (
                CHANNELS,
                "<protection_domain name=\"spy\" priority=\"90\"><program_image path=\"spy.elf\" /><map mr=\"in\" vaddr=\"0x1000000\" perms=\"r\" /><map mr=\"out\" vaddr=\"0x2000000\" perms=\"rw\" /></protection_domain><channel>\n        <end pd=\"audit\" id=\"0\" setvar_id=\"client_0_channel\" />",
            ),
        ],
        &["I1", "I2", "P"],
        &["a flow avoids audit", "shell → spy → inference"],
    ),
    (
        "a_domain_has_another_name",
        &[
            (
                r#"<protection_domain name="shell""#,
                r#"<protection_domain name="console""#,
            ),
            (
                "<end pd=\"shell\" id=\"0\" setvar_id=\"audit_channel\" />",
                "<end pd=\"console\" id=\"0\" setvar_id=\"audit_channel\" />",
            ),
        ],
        &["P"],
        &["domain 'shell'", "does not exist"],
    ),
    // Features that the project does not use.
    (
        "a_channel_is_a_protected_procedure",
        &[(
            "<end pd=\"inference\" id=\"0\" setvar_id=\"audit_channel\" />",
            "<end pd=\"inference\" id=\"0\" setvar_id=\"audit_channel\" pp=\"true\" />",
        )],
        &["refused"],
        &["'pp'", "protected procedure", "line"],
    ),
    (
        "inference_is_passive",
        &[(r#"priority="100""#, r#"priority="100" passive="true""#)],
        &["refused"],
        &["'passive'", "line"],
    ),
    (
        "shell_may_call_the_secure_monitor",
        &[(r#"priority="110""#, r#"priority="110" smc="true""#)],
        &["refused"],
        &["'smc'", "line"],
    ),
    (
        "audit_has_a_cspace_element",
        &[(
            AUDIT,
            r#"<program_image path="audit.elf" /><cspace><tcb pd="shell" slot="1" /></cspace>"#,
        )],
        &["refused"],
        &["'cspace'", "line"],
    ),
    (
        "inference_has_a_virtual_machine",
        &[(
            INFERENCE,
            r#"<program_image path="inference.elf" /><virtual_machine name="guest"><vcpu id="0" /></virtual_machine>"#,
        )],
        &["refused"],
        &["'virtual_machine'", "line"],
    ),
    (
        "a_region_has_boot_information",
        &[(
            REGIONS,
            r#"<memory_region name="info" size="0x1000" prefill_bootinfo="true" /><memory_region name="audit_log""#,
        )],
        &["refused"],
        &["'prefill_bootinfo'", "line"],
    ),
];

pub fn trials() -> Vec<Trial> {
    let trial = |(name, changes, claims, words): &'static Mutation| {
        Trial::test(format!("description::{name}"), move || {
            let mut text = SYSTEM.clone();
            for (from, to) in *changes {
                text = replace(&text, from, to);
            }
            Caught { claims, words }.judge(&check_description(&text))
        })
    };
    MUTATIONS.iter().map(trial).collect()
}

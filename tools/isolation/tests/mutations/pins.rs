//! Changes to `system.xml` that seem to break no invariant, but give a program other facts than it relies on: it
//! faults, is never woken, never restarted, or does not start.

use crate::harness::{Caught, SYSTEM, check_description, replace};
use libtest_mimic::Trial;

/// Name, what is replaced by what, words of one message of claim D (or of the claim before the colon).
type Mutation = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static [&'static str],
);

const AUDIT: &str = r#"<program_image path="audit.elf" />"#;
const SHELL: &str = r#"<program_image path="shell.elf" />"#;
const INFERENCE: &str = r#"<program_image path="inference.elf" />"#;
const CHANNELS: &str = "    <channel>\n        <end pd=\"audit\" id=\"0\"";
const REGIONS: &str = r#"    <memory_region name="audit_log""#;
const WATCHDOG: &str = r#"<irq irq="34" id="2" setvar_id="watchdog_channel" />"#;
const TIMER: &str = r#"<irq irq="30" id="3" setvar_id="timer_channel" />"#;
const UART: &str = r#"<irq irq="33" id="1" setvar_id="uart_channel" />"#;

const MUTATIONS: &[Mutation] = &[
    // Sizes.
    (
        "inferences_ring_is_a_page_smaller",
        &[(
            r#"name="inference_to_audit" size="0x23000""#,
            r#"name="inference_to_audit" size="0x22000""#,
        )],
        "D",
        &["'inference_to_audit'", "line", "0x22000 bytes", "0x23000"],
    ),
    (
        "a_ring_is_a_page_larger",
        &[(
            r#"name="audit_to_shell" size="0x23000""#,
            r#"name="audit_to_shell" size="0x24000""#,
        )],
        "D",
        &["'audit_to_shell'", "0x24000 bytes", "0x23000"],
    ),
    (
        "the_policy_has_two_pages",
        &[(
            r#"name="policy" size="0x1000""#,
            r#"name="policy" size="0x2000""#,
        )],
        "D",
        &["'policy'", "0x2000 bytes", "0x1000"],
    ),
    (
        "the_log_has_one_page",
        &[(
            r#"name="audit_log" size="0x100000""#,
            r#"name="audit_log" size="0x1000""#,
        )],
        "D",
        &["'audit_log'", "0x1000 bytes", "0x100000 to"],
    ),
    (
        "the_arena_is_too_small_for_the_model",
        &[(
            r#"name="arena" size="0x800000""#,
            r#"name="arena" size="0x100000""#,
        )],
        "D",
        &["'arena'", "0x100000 bytes"],
    ),
    (
        "the_arena_is_larger_than_the_board",
        &[
            (
                r#"name="arena" size="0x800000""#,
                r#"name="arena" size="0x80000000""#,
            ),
            (
                r#"mr="arena" vaddr="0x20000000""#,
                r#"mr="arena" vaddr="0x100000000""#,
            ),
        ],
        "D",
        &["'arena'", "0x80000000 bytes", "line"],
    ),
    (
        "the_store_is_too_small",
        &[(
            r#"name="model_store" size="0x800000""#,
            r#"name="model_store" size="0x7ff000""#,
        )],
        "D",
        &["'model_store'", "0x7ff000 bytes"],
    ),
    (
        "the_adapters_have_too_little_room",
        &[(
            r#"name="adapters" size="0x100000""#,
            r#"name="adapters" size="0xff000""#,
        )],
        "D",
        &["'adapters'", "0xff000 bytes", "0x100000 to"],
    ),
    (
        "the_adapters_are_only_read_in_audit",
        &[(
            r#"mr="adapters" vaddr="0x14000000" perms="rw""#,
            r#"mr="adapters" vaddr="0x14000000" perms="r""#,
        )],
        "D",
        &["audit's mapping of 'adapters'", "permissions r,", "rw"],
    ),
    (
        "the_formats_have_another_size_than_their_file",
        &[(
            r#"name="formats" size="0x100000""#,
            r#"name="formats" size="0x101000""#,
        )],
        "D",
        &["'formats'", "0x101000 bytes", "need 0x100000"],
    ),
    (
        "the_formats_are_not_mapped_in_audit",
        &[(
            "        <map mr=\"formats\" vaddr=\"0x15000000\" perms=\"r\" setvar_vaddr=\"formats\" setvar_size=\"formats_size\" />\n        <map mr=\"model_store\"",
            "        <map mr=\"model_store\"",
        )],
        "D",
        &["'formats'", "not mapped in audit"],
    ),
    (
        "the_uart_is_two_pages",
        &[(
            r#"name="uart" size="0x1000""#,
            r#"name="uart" size="0x2000""#,
        )],
        "D",
        &["'uart'", "0x2000 bytes"],
    ),
    (
        "arena_and_store_have_more_pages_than_the_initialiser_makes",
        &[
            (
                r#"name="arena" size="0x800000""#,
                r#"name="arena" size="0xa000000""#,
            ),
            (
                r#"mr="arena" vaddr="0x20000000""#,
                r#"mr="arena" vaddr="0x40000000""#,
            ),
            (
                r#"name="model_store" size="0x800000""#,
                r#"name="model_store" size="0x4000000""#,
            ),
        ],
        "D",
        &["58255 pages", "at most 54000", "'arena' (line"],
    ),
    // Pages.
    (
        "the_arena_has_large_pages",
        &[(
            r#"name="arena" size="0x800000" page_size="0x1000""#,
            r#"name="arena" size="0x800000" page_size="0x200000""#,
        )],
        "D",
        &["'arena'", "pages of 0x200000", "0x1000"],
    ),
    (
        "the_stores_page_size_is_the_tools_choice",
        &[(
            r#"name="model_store" size="0x800000" page_size="0x1000""#,
            r#"name="model_store" size="0x800000""#,
        )],
        "D",
        &["'model_store'", "no page_size", "0x200000"],
    ),
    // Contents of regions.
    (
        "the_policy_is_not_filled",
        &[(r#" prefill_path="policy.bin""#, "")],
        "D",
        &["'policy'", "filled from no file", "'policy.bin'"],
    ),
    (
        "the_store_is_not_filled",
        &[(r#" prefill_path="store.tar""#, "")],
        "D",
        &["'model_store'", "filled from no file", "'store.tar'"],
    ),
    (
        "the_formats_are_not_filled",
        &[(r#" prefill_path="formats.bin""#, "")],
        "D",
        &["'formats'", "filled from no file", "'formats.bin'"],
    ),
    (
        "policy_and_store_are_filled_from_each_others_file",
        &[
            (
                r#"prefill_path="policy.bin""#,
                r#"prefill_path="other.bin""#,
            ),
            (
                r#"prefill_path="store.tar""#,
                r#"prefill_path="policy.bin""#,
            ),
            (r#"prefill_path="other.bin""#, r#"prefill_path="store.tar""#),
        ],
        "D",
        &["'policy'", "filled from 'store.tar'"],
    ),
    (
        "a_ring_is_filled",
        &[(
            r#"name="audit_to_inference" size="0x23000" page_size="0x1000""#,
            r#"name="audit_to_inference" size="0x23000" page_size="0x1000" prefill_path="ring.bin""#,
        )],
        "D",
        &["'audit_to_inference'", "filled from 'ring.bin'"],
    ),
    // Mappings, and their rights.
    (
        "the_policy_is_writable_in_audit",
        &[(
            r#"mr="policy" vaddr="0x13000000" perms="r""#,
            r#"mr="policy" vaddr="0x13000000" perms="rw""#,
        )],
        "I4",
        &["'policy'", "writable in audit", "line"],
    ),
    (
        "the_policy_is_moved_to_shell",
        &[
            (
                r#"        <map mr="policy" vaddr="0x13000000" perms="r" setvar_vaddr="policy" setvar_size="policy_size" />"#,
                "",
            ),
            (
                SHELL,
                r#"<program_image path="shell.elf" /><map mr="policy" vaddr="0x13000000" perms="r" setvar_vaddr="policy" setvar_size="policy_size" />"#,
            ),
        ],
        "I3",
        &["'policy'", "shell", "belongs to audit alone"],
    ),
    (
        "the_policy_is_not_mapped",
        &[(
            r#"        <map mr="policy" vaddr="0x13000000" perms="r" setvar_vaddr="policy" setvar_size="policy_size" />"#,
            "",
        )],
        "D",
        &["'policy'", "not mapped in audit"],
    ),
    (
        "the_log_is_only_read_in_audit",
        &[(
            r#"mr="audit_log" vaddr="0x12000000" perms="rw""#,
            r#"mr="audit_log" vaddr="0x12000000" perms="r""#,
        )],
        "D",
        &["audit's mapping of 'audit_log'", "permissions r,", "rw"],
    ),
    (
        "the_store_is_not_mapped_in_audit",
        &[(
            "        <map mr=\"model_store\" vaddr=\"0x30000000\" perms=\"r\" setvar_vaddr=\"model_store\" setvar_size=\"model_store_size\" />\n        <!-- The PL031",
            "        <!-- The PL031",
        )],
        "D",
        &["'model_store'", "not mapped in audit"],
    ),
    (
        "a_ring_is_mapped_on_one_side_alone",
        &[(
            r#"        <map mr="audit_to_shell" vaddr="0x11100000" perms="r" setvar_vaddr="from_audit" setvar_size="from_audit_size" />"#,
            "",
        )],
        "D",
        &["'audit_to_shell'", "not mapped in shell"],
    ),
    (
        "the_uart_is_mapped_a_second_time_and_cached",
        &[(
            SHELL,
            r#"<program_image path="shell.elf" /><map mr="uart" vaddr="0x40000000" perms="rw" />"#,
        )],
        "D",
        &["'uart'", "shell", "second time", "line"],
    ),
    (
        "a_ring_is_mapped_a_second_time",
        &[(
            INFERENCE,
            r#"<program_image path="inference.elf" /><map mr="inference_to_audit" vaddr="0x40000000" perms="rw" />"#,
        )],
        "D",
        &["'inference_to_audit'", "inference a second time"],
    ),
    (
        "the_log_is_mapped_a_second_time",
        &[(
            AUDIT,
            r#"<program_image path="audit.elf" /><map mr="audit_log" vaddr="0x40000000" perms="rw" />"#,
        )],
        "D",
        &["'audit_log'", "audit a second time"],
    ),
    (
        "a_ring_is_uncached_at_its_writer",
        &[(
            r#"mr="inference_to_audit" vaddr="0x11300000" perms="rw""#,
            r#"mr="inference_to_audit" vaddr="0x11300000" perms="rw" cached="false""#,
        )],
        "D",
        &[
            "inference's mapping of 'inference_to_audit'",
            "is uncached",
            "must be cached",
        ],
    ),
    (
        "a_ring_is_uncached_at_its_reader",
        &[(
            r#"mr="shell_to_audit" vaddr="0x11000000" perms="r""#,
            r#"mr="shell_to_audit" vaddr="0x11000000" perms="r" cached="false""#,
        )],
        "D",
        &["audit's mapping of 'shell_to_audit'", "is uncached"],
    ),
    (
        "the_store_is_uncached_in_audit",
        &[(
            "        <map mr=\"model_store\" vaddr=\"0x30000000\" perms=\"r\" setvar_vaddr=\"model_store\" setvar_size=\"model_store_size\" />\n        <!-- The PL031",
            "        <map mr=\"model_store\" vaddr=\"0x30000000\" perms=\"r\" cached=\"false\" setvar_vaddr=\"model_store\" setvar_size=\"model_store_size\" />\n        <!-- The PL031",
        )],
        "D",
        &["audit's mapping of 'model_store'", "is uncached"],
    ),
    (
        "the_uart_is_cached",
        &[(
            r#"perms="rw" cached="false" setvar_vaddr="uart""#,
            r#"perms="rw" setvar_vaddr="uart""#,
        )],
        "D",
        &["shell's mapping of 'uart'", "is cached", "uncached"],
    ),
    (
        "a_region_lies_over_the_stack",
        &[(
            r#"mr="audit_log" vaddr="0x12000000""#,
            r#"mr="audit_log" vaddr="0xfffff00000""#,
        )],
        "D",
        &["audit's mapping of 'audit_log'", "lies over its stack"],
    ),
    (
        "a_region_lies_at_the_ipc_buffer",
        &[(
            r#"mr="policy" vaddr="0x13000000""#,
            r#"mr="policy" vaddr="0xfffffff000""#,
        )],
        "D",
        &["audit's mapping of 'policy'", "lies over its IPC buffer"],
    ),
    (
        "a_region_takes_the_place_of_the_guard_page",
        &[(
            r#"mr="policy" vaddr="0x13000000""#,
            r#"mr="policy" vaddr="0xfffff7d000""#,
        )],
        "D",
        &["audit's mapping of 'policy'", "the page below its stack"],
    ),
    (
        "a_region_lies_over_the_program",
        &[(
            r#"mr="arena" vaddr="0x20000000""#,
            r#"mr="arena" vaddr="0x200000""#,
        )],
        "D",
        &[
            "inference's mapping of 'arena'",
            "lies over the addresses of programs",
        ],
    ),
    (
        "a_region_lies_at_address_zero",
        &[(
            r#"mr="policy" vaddr="0x13000000""#,
            r#"mr="policy" vaddr="0x0""#,
        )],
        "D",
        &["audit's mapping of 'policy'", "the addresses of programs"],
    ),
    (
        "a_region_of_one_domain_is_new",
        &[
            (
                REGIONS,
                r#"<memory_region name="scratch" size="0x1000" /><memory_region name="audit_log""#,
            ),
            (
                INFERENCE,
                r#"<program_image path="inference.elf" /><map mr="scratch" vaddr="0x40000000" perms="rw" />"#,
            ),
        ],
        "D",
        &["'scratch'", "line", "no [[region]]"],
    ),
    (
        "the_log_lies_over_a_device",
        &[(
            r#"name="audit_log" size="0x100000""#,
            r#"name="audit_log" phys_addr="0xa000000" size="0x100000""#,
        )],
        "P",
        &["'audit_log'", "0xa000000", "[[device]]"],
    ),
    (
        "the_arena_lies_over_the_uart",
        &[(
            r#"name="arena" size="0x800000""#,
            r#"name="arena" phys_addr="0x8800000" size="0x1000000""#,
        )],
        "refused",
        &["overlaps 'arena'"],
    ),
    // Variables.
    (
        "two_rings_are_told_as_each_other",
        &[
            (
                r#"perms="r" setvar_vaddr="inference_to_audit""#,
                r#"perms="r" setvar_vaddr="x""#,
            ),
            (
                r#"perms="r" setvar_vaddr="client_0_to_audit""#,
                r#"perms="r" setvar_vaddr="inference_to_audit""#,
            ),
            (
                r#"perms="r" setvar_vaddr="x""#,
                r#"perms="r" setvar_vaddr="client_0_to_audit""#,
            ),
        ],
        "D",
        &[
            "audit's mapping of 'shell_to_audit'",
            "setvar_vaddr=\"inference_to_audit\"",
            "setvar_vaddr=\"client_0_to_audit\"",
        ],
    ),
    (
        "two_sizes_are_told_as_each_other",
        &[
            (r#"setvar_size="audit_log_size""#, r#"setvar_size="x""#),
            (
                r#"setvar_size="policy_size""#,
                r#"setvar_size="audit_log_size""#,
            ),
            (r#"setvar_size="x""#, r#"setvar_size="policy_size""#),
        ],
        "D",
        &[
            "audit's mapping of 'policy'",
            "setvar_size=\"audit_log_size\"",
        ],
    ),
    (
        "address_and_size_are_told_as_each_other",
        &[(
            r#"setvar_vaddr="arena" setvar_size="arena_size""#,
            r#"setvar_vaddr="arena_size" setvar_size="arena""#,
        )],
        "D",
        &[
            "inference's mapping of 'arena'",
            "setvar_vaddr=\"arena_size\"",
        ],
    ),
    (
        "the_watchdogs_address_is_not_told",
        &[(r#" setvar_vaddr="watchdog""#, "")],
        "D",
        &[
            "audit's mapping of 'watchdog'",
            "no setvar_vaddr",
            "\"watchdog\"",
        ],
    ),
    (
        "a_rings_size_is_not_told",
        &[(
            r#"perms="rw" setvar_vaddr="inference_to_audit" setvar_size="inference_to_audit_size""#,
            r#"perms="rw" setvar_vaddr="inference_to_audit""#,
        )],
        "D",
        &[
            "inference's mapping of 'inference_to_audit'",
            "no setvar_size",
        ],
    ),
    (
        "a_variable_is_misspelled",
        &[(
            r#"setvar_size="arena_size""#,
            r#"setvar_size="arena_bytes""#,
        )],
        "D",
        &[
            "inference's mapping of 'arena'",
            "arena_bytes",
            "arena_size",
        ],
    ),
    (
        "microkits_own_variable_is_overwritten",
        &[(
            r#"cached="false" setvar_vaddr="uart""#,
            r#"cached="false" setvar_vaddr="uart" setvar_size="microkit_irqs""#,
        )],
        "D",
        &[
            "shell's mapping of 'uart'",
            "microkit_irqs",
            "no setvar_size",
        ],
    ),
    (
        "the_size_of_the_prefill_is_told",
        &[(
            r#"setvar_size="policy_size""#,
            r#"setvar_prefill_size="policy_size""#,
        )],
        "D",
        &[
            "audit's mapping of 'policy'",
            "setvar_prefill_size=\"policy_size\"",
        ],
    ),
    // Interrupts, channels and children.
    (
        "the_watchdogs_number_is_not_told",
        &[(WATCHDOG, r#"<irq irq="34" id="2" />"#)],
        "D",
        &["audit's IRQ 34", "no setvar_id", "watchdog_channel"],
    ),
    (
        "watchdog_and_timer_are_told_as_each_other",
        &[
            (WATCHDOG, r#"<irq irq="34" id="2" setvar_id="x" />"#),
            (
                TIMER,
                r#"<irq irq="30" id="3" setvar_id="watchdog_channel" />"#,
            ),
            (r#"setvar_id="x""#, r#"setvar_id="timer_channel""#),
        ],
        "D",
        &["audit's IRQ 34", "timer_channel", "watchdog_channel"],
    ),
    (
        "the_watchdogs_interrupt_has_another_number_and_inference_has_its_old_one",
        &[
            (
                WATCHDOG,
                r#"<irq irq="34" id="7" setvar_id="watchdog_channel" />"#,
            ),
            (
                CHANNELS,
                "<channel><end pd=\"audit\" id=\"2\" /><end pd=\"inference\" id=\"2\" /></channel>    <channel>\n        <end pd=\"audit\" id=\"0\"",
            ),
        ],
        "D",
        &["channel of audit and inference", "second", "line"],
    ),
    (
        "audit_and_inference_have_a_second_channel",
        &[(
            "</system>",
            "<channel><end pd=\"audit\" id=\"9\" /><end pd=\"inference\" id=\"9\" /></channel></system>",
        )],
        "D",
        &["channel of audit and inference", "second"],
    ),
    (
        "shell_and_audit_have_a_second_channel",
        &[(
            "</system>",
            "<channel><end pd=\"shell\" id=\"9\" /><end pd=\"audit\" id=\"9\" /></channel></system>",
        )],
        "D",
        &["channel of shell and audit", "second"],
    ),
    (
        "audit_takes_shells_channel_for_inferences",
        &[
            (r#"setvar_id="client_0_channel""#, r#"setvar_id="x""#),
            (
                r#"setvar_id="inference_channel""#,
                r#"setvar_id="client_0_channel""#,
            ),
            (r#"setvar_id="x""#, r#"setvar_id="inference_channel""#),
        ],
        "D",
        &[
            "audit's end of the channel of audit and shell",
            "inference_channel",
            "client_0_channel",
        ],
    ),
    (
        "a_channels_number_is_not_told",
        &[(
            r#"<end pd="inference" id="0" setvar_id="audit_channel" />"#,
            r#"<end pd="inference" id="0" />"#,
        )],
        "D",
        &[
            "inference's end of the channel of audit and inference",
            "no setvar_id",
        ],
    ),
    (
        "shell_may_not_notify_audit",
        &[(
            r#"<end pd="shell" id="0" setvar_id="audit_channel" />"#,
            r#"<end pd="shell" id="0" setvar_id="audit_channel" notify="false" />"#,
        )],
        "D",
        &[
            "shell's end of the channel of audit and shell",
            "notify=\"false\"",
        ],
    ),
    (
        "audit_may_not_notify_inference",
        &[(
            r#"<end pd="audit" id="1" setvar_id="inference_channel" />"#,
            r#"<end pd="audit" id="1" setvar_id="inference_channel" notify="false" />"#,
        )],
        "D",
        &[
            "audit's end of the channel of audit and inference",
            "notify=\"false\"",
        ],
    ),
    (
        "the_childs_number_is_not_told",
        &[(r#"id="0" setvar_id="inference_child""#, r#"id="5""#)],
        "D",
        &[
            "inference as a child of audit",
            "no setvar_id",
            "inference_child",
        ],
    ),
    (
        "the_child_is_told_as_a_channel",
        &[
            (r#"setvar_id="inference_child""#, r#"setvar_id="x""#),
            (
                r#"setvar_id="inference_channel""#,
                r#"setvar_id="inference_child""#,
            ),
            (r#"setvar_id="x""#, r#"setvar_id="inference_channel""#),
        ],
        "D",
        &["inference as a child of audit", "inference_channel"],
    ),
    (
        "the_uarts_interrupt_is_an_edge",
        &[(
            UART,
            r#"<irq irq="33" id="1" trigger="edge" setvar_id="uart_channel" />"#,
        )],
        "D",
        &["shell's IRQ 33", "trigger=\"edge\"", "level"],
    ),
    (
        "the_watchdogs_interrupt_is_an_edge",
        &[(
            WATCHDOG,
            r#"<irq irq="34" id="2" trigger="edge" setvar_id="watchdog_channel" />"#,
        )],
        "D",
        &["audit's IRQ 34", "trigger=\"edge\""],
    ),
    (
        "the_watchdog_has_the_next_interrupt",
        &[(r#"irq="34""#, r#"irq="35""#)],
        "I6",
        &["audit does not have its watchdog", "IRQ 34"],
    ),
    (
        "the_timer_has_no_interrupt",
        &[(TIMER, "")],
        "I6",
        &["audit does not have its timer", "IRQ 30"],
    ),
    (
        "a_channels_number_is_written_as_the_tool_does_not_read_it",
        &[(r#"<end pd="shell" id="0""#, r#"<end pd="shell" id="0x0""#)],
        "refused",
        &["'id'", "0x0", "decimal"],
    ),
    // Domains.
    (
        "shell_and_audit_run_each_others_program",
        &[
            (AUDIT, r#"<program_image path="x.elf" />"#),
            (SHELL, AUDIT),
            (r#"path="x.elf""#, r#"path="shell.elf""#),
        ],
        "D",
        &["audit (line", "'shell.elf'", "'audit.elf'"],
    ),
    (
        "inference_runs_another_program",
        &[(INFERENCE, r#"<program_image path="engine.elf" />"#)],
        "D",
        &["inference (line", "'engine.elf'"],
    ),
    (
        "shell_has_the_floating_point_registers",
        &[(
            r#"name="shell" priority="110" fpu="false""#,
            r#"name="shell" priority="110""#,
        )],
        "D",
        &["shell (line", "fpu=\"true\""],
    ),
    (
        "audit_has_the_floating_point_registers",
        &[(
            r#"name="audit" priority="120" fpu="false""#,
            r#"name="audit" priority="120" fpu="true""#,
        )],
        "D",
        &["audit (line", "fpu=\"true\""],
    ),
    (
        "inference_has_no_floating_point_registers",
        &[(r#"budget="10000""#, r#"fpu="false" budget="10000""#)],
        "D",
        &["inference (line", "fpu=\"false\""],
    ),
    (
        "audit_has_the_default_stack",
        &[(
            r#"name="audit" priority="120" fpu="false" stack_size="0x80000""#,
            r#"name="audit" priority="120" fpu="false""#,
        )],
        "D",
        &["audit (line", "stack of 0x2000 bytes", "0x80000"],
    ),
    (
        "inference_has_half_its_stack",
        &[(
            r#"period="10000" stack_size="0x80000""#,
            r#"period="10000" stack_size="0x40000""#,
        )],
        "D",
        &["inference (line", "stack of 0x40000 bytes", "0x80000"],
    ),
    (
        "shells_stack_is_a_page_smaller",
        &[(
            r#"name="shell" priority="110" fpu="false" stack_size="0x40000""#,
            r#"name="shell" priority="110" fpu="false" stack_size="0x3f000""#,
        )],
        "D",
        &["shell (line", "stack of 0x3f000 bytes"],
    ),
    (
        "shells_budget_is_below_its_period",
        &[(
            r#"name="shell" priority="110""#,
            r#"name="shell" budget="10" period="100000" priority="110""#,
        )],
        "I7",
        &["shell", "budget of 10 ", "period of 100000"],
    ),
    (
        "audits_period_is_shorter_than_the_kernel_can_keep",
        &[(
            r#"name="audit" priority="120""#,
            r#"name="audit" budget="1" priority="120""#,
        )],
        "D",
        &["audit (line", "period of 1 µs", "1000"],
    ),
    (
        "inferences_period_is_longer_than_the_kernel_takes",
        &[(
            r#"budget="10000" period="10000""#,
            r#"budget="18446744073709551615" period="18446744073709551615""#,
        )],
        "D",
        &["inference (line", "period of 18446744073709551615"],
    ),
    (
        "inference_has_the_priority_of_shell",
        &[(r#"priority="100""#, r#"priority="110""#)],
        "I7",
        &["shell has priority 110", "not above inference's 110"],
    ),
    (
        "shell_has_the_lowest_priority",
        &[(r#"priority="110""#, r#"priority="0""#)],
        "I7",
        &["shell has priority 0", "not above inference's 100"],
    ),
    (
        "audit_runs_on_another_core",
        &[(r#"priority="120""#, r#"priority="120" cpu="1""#)],
        "D",
        &["audit (line", "runs on core 1, but the policy demands 0"],
    ),
    (
        "inference_is_in_a_scheduling_domain",
        &[(r#"priority="100""#, r#"priority="100" domain="low""#)],
        "refused",
        &["'domain'", "line"],
    ),
    (
        "shells_symbols_are_another_files",
        &[(
            SHELL,
            r#"<program_image path="shell.elf" path_for_symbols="audit.elf" />"#,
        )],
        "refused",
        &["'path_for_symbols'", "line"],
    ),
];

pub fn trials() -> Vec<Trial> {
    let trial = |(name, changes, claim, words): &'static Mutation| {
        Trial::test(format!("pins::{name}"), move || {
            let mut text = SYSTEM.clone();
            for (from, to) in *changes {
                text = replace(&text, from, to);
            }
            let claims = core::slice::from_ref(claim);
            Caught { claims, words }.judge(&check_description(&text))
        })
    };
    MUTATIONS.iter().map(trial).collect()
}

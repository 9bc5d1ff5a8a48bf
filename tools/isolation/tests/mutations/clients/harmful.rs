//! Harmful changes to a description with two clients, and what refuses each.

/// Name, what is replaced by what, the claims that must be violated, words of one message.
pub(super) type Mutation = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
    &'static [&'static str],
);

const SHELL: &str = r#"<program_image path="shell.elf" />"#;
const TRIAGE: &str = r#"<program_image path="triage.elf" />"#;
pub(super) const REGIONS: &str = r#"    <memory_region name="audit_log""#;
pub(super) const END: &str = "</system>";
/// Audit's side of the clients' rings.
pub(super) const SHELLS_RING_IN_AUDIT: &str =
    r#"setvar_vaddr="client_0_to_audit" setvar_size="client_0_to_audit_size""#;
pub(super) const TRIAGES_RING_IN_AUDIT: &str =
    r#"setvar_vaddr="client_1_to_audit" setvar_size="client_1_to_audit_size""#;

pub(super) const MUTATIONS: &[Mutation] = &[
    // Resources shared by two clients.
    (
        "the_clients_share_a_region",
        &[
            (
                REGIONS,
                r#"<memory_region name="extra" size="0x1000" /><memory_region name="audit_log""#,
            ),
            (
                SHELL,
                r#"<program_image path="shell.elf" /><map mr="extra" vaddr="0x40000000" perms="rw" />"#,
            ),
            (
                TRIAGE,
                r#"<program_image path="triage.elf" /><map mr="extra" vaddr="0x40000000" perms="r" />"#,
            ),
        ],
        &["I1", "I2", "D"],
        &["shell and triage share region 'extra'", "line"],
    ),
    (
        "what_the_clients_share_is_a_flow",
        &[
            (
                REGIONS,
                r#"<memory_region name="extra" size="0x1000" /><memory_region name="audit_log""#,
            ),
            (
                SHELL,
                r#"<program_image path="shell.elf" /><map mr="extra" vaddr="0x40000000" perms="rw" />"#,
            ),
            (
                TRIAGE,
                r#"<program_image path="triage.elf" /><map mr="extra" vaddr="0x40000000" perms="r" />"#,
            ),
        ],
        &["I1"],
        &["a flow avoids audit: shell → triage"],
    ),
    (
        "a_client_reads_what_the_other_asks",
        &[(
            TRIAGE,
            r#"<program_image path="triage.elf" /><map mr="shell_to_audit" vaddr="0x40000000" perms="r" />"#,
        )],
        &["I1", "I2", "D"],
        &["shell and triage share region 'shell_to_audit'", "line"],
    ),
    (
        "a_client_reads_what_the_other_is_told",
        &[(
            SHELL,
            r#"<program_image path="shell.elf" /><map mr="audit_to_triage" vaddr="0x40000000" perms="r" />"#,
        )],
        &["I1", "I2", "D"],
        &[
            "'audit_to_triage'",
            "mapped in shell",
            "neither its writer audit nor a reader",
        ],
    ),
    (
        "a_client_writes_what_the_other_is_told",
        &[(
            TRIAGE,
            r#"<program_image path="triage.elf" /><map mr="audit_to_shell" vaddr="0x40000000" perms="rw" />"#,
        )],
        &["I1", "I2", "D"],
        &["'audit_to_shell'", "2 writers", "audit", "triage"],
    ),
    (
        "a_client_asks_in_the_others_name",
        &[(
            TRIAGE,
            r#"<program_image path="triage.elf" /><map mr="shell_to_audit" vaddr="0x40000000" perms="rw" />"#,
        )],
        &["I1", "I2", "D"],
        &[
            "'shell_to_audit'",
            "writable in triage",
            "its writer is shell",
        ],
    ),
    (
        "the_clients_read_the_same_constants",
        &[(
            SHELL,
            r#"<program_image path="shell.elf" /><map mr="events" vaddr="0x40000000" perms="r" />"#,
        )],
        &["I1", "I4", "D"],
        &["'events'", "mapped in shell", "its readers are triage"],
    ),
    (
        "a_client_has_the_others_device",
        &[(
            TRIAGE,
            r#"<program_image path="triage.elf" /><map mr="uart" vaddr="0x40000000" cached="false" />"#,
        )],
        &["I1", "I2", "I6"],
        &["'uart' (UART)", "mapped in triage", "belongs to shell"],
    ),
    (
        "a_client_has_the_others_interrupt",
        &[
            (
                r#"        <irq irq="33" id="1" setvar_id="uart_channel" />"#,
                "",
            ),
            (
                TRIAGE,
                r#"<program_image path="triage.elf" /><irq irq="33" id="1" setvar_id="uart_channel" />"#,
            ),
        ],
        &["I6"],
        &["triage has IRQ 33 (UART), but it belongs to shell"],
    ),
    (
        "a_client_has_a_device_that_nobody_knows",
        &[
            (
                REGIONS,
                r#"<memory_region name="virtio" size="0x1000" phys_addr="0xa000000" /><memory_region name="audit_log""#,
            ),
            (
                TRIAGE,
                r#"<program_image path="triage.elf" /><map mr="virtio" vaddr="0x40000000" cached="false" />"#,
            ),
        ],
        &["P", "D"],
        &["'virtio'", "0xa000000", "triage", "[[device]]"],
    ),
    (
        "the_clients_have_a_channel",
        &[(
            END,
            "<channel><end pd=\"shell\" id=\"9\" /><end pd=\"triage\" id=\"9\" /></channel></system>",
        )],
        &["I1", "P", "D"],
        &["shell holds a channel to triage's notification", "line"],
    ),
    (
        "a_client_may_notify_the_other_one_way",
        &[(
            END,
            "<channel><end pd=\"shell\" id=\"9\" notify=\"false\" /><end pd=\"triage\" id=\"9\" /></channel></system>",
        )],
        &["I1", "P"],
        &["triage holds a channel to shell's notification"],
    ),
    (
        "a_client_reaches_the_others_device_past_audit",
        &[(
            END,
            "<channel><end pd=\"shell\" id=\"9\" notify=\"false\" /><end pd=\"triage\" id=\"9\" /></channel></system>",
        )],
        &["I6"],
        &[
            "triage reaches the UART without audit",
            "triage → shell → UART",
        ],
    ),
    (
        "a_domain_goes_between_the_clients",
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
                TRIAGE,
                r#"<program_image path="triage.elf" /><map mr="out" vaddr="0x40000000" perms="r" />"#,
            ),
            (
                END,
                "<protection_domain name=\"spy\" priority=\"90\"><program_image path=\"spy.elf\" /><map mr=\"in\" vaddr=\"0x1000000\" perms=\"r\" /><map mr=\"out\" vaddr=\"0x2000000\" perms=\"rw\" /></protection_domain></system>",
            ),
        ],
        &["I1", "I2", "P"],
        &["a flow avoids audit", "shell → spy → triage"],
    ),
    (
        "a_client_is_the_others_child",
        &[
            (
                r#"<protection_domain name="triage" priority"#,
                r#"<protection_domain name="triage" id="5" priority"#,
            ),
            (
                "        <irq irq=\"33\" id=\"1\" setvar_id=\"uart_channel\" />\n    </protection_domain>\n",
                "        <irq irq=\"33\" id=\"1\" setvar_id=\"uart_channel\" />\n",
            ),
            (
                "setvar_vaddr=\"from_audit\" setvar_size=\"from_audit_size\" />\n    </protection_domain>\n\n    <channel>",
                "setvar_vaddr=\"from_audit\" setvar_size=\"from_audit_size\" />\n    </protection_domain></protection_domain>\n\n    <channel>",
            ),
        ],
        &["I1", "I8", "D"],
        &["shell holds triage's TCB"],
    ),
    (
        "a_client_is_a_child_of_audit_beside_inference",
        &[
            (
                "        </protection_domain>\n    </protection_domain>\n",
                "        </protection_domain>\n",
            ),
            (
                r#"    <protection_domain name="shell" priority"#,
                r#"    <protection_domain name="shell" id="5" priority"#,
            ),
            (
                "<irq irq=\"33\" id=\"1\" setvar_id=\"uart_channel\" />\n    </protection_domain>",
                "<irq irq=\"33\" id=\"1\" setvar_id=\"uart_channel\" />\n    </protection_domain></protection_domain>",
            ),
        ],
        &["I1", "I8", "D"],
        &["shell and inference both hold audit's endpoint"],
    ),
    // Resources shared by a client and inference.
    (
        "a_client_reads_what_inference_says",
        &[(
            TRIAGE,
            r#"<program_image path="triage.elf" /><map mr="inference_to_audit" vaddr="0x40000000" perms="r" />"#,
        )],
        &["I1", "I2"],
        &["triage and inference share region 'inference_to_audit'"],
    ),
    (
        "a_client_reads_the_arena",
        &[(
            TRIAGE,
            r#"<program_image path="triage.elf" /><map mr="arena" vaddr="0x40000000" perms="r" />"#,
        )],
        &["I1", "I3"],
        &["'arena'", "mapped in triage", "belongs to inference alone"],
    ),
    (
        "a_client_and_inference_have_a_channel",
        &[(
            END,
            "<channel><end pd=\"inference\" id=\"9\" /><end pd=\"triage\" id=\"9\" /></channel></system>",
        )],
        &["I1", "P"],
        &["triage holds a channel to inference's notification"],
    ),
    (
        "a_client_reads_the_log",
        &[(
            TRIAGE,
            r#"<program_image path="triage.elf" /><map mr="audit_log" vaddr="0x40000000" perms="r" />"#,
        )],
        &["I2", "I3"],
        &["'audit_log'", "mapped in triage", "belongs to audit alone"],
    ),
    // Audit mistakes one client for another.
    (
        "the_clients_rings_are_exchanged_in_audits_slots",
        &[
            (SHELLS_RING_IN_AUDIT, "X"),
            (TRIAGES_RING_IN_AUDIT, SHELLS_RING_IN_AUDIT),
            ("X", TRIAGES_RING_IN_AUDIT),
        ],
        &["D"],
        &[
            "client_0_to_audit for the client in slot 0, whose channel goes to 'shell', but region 'triage_to_audit'",
            "line",
        ],
    ),
    (
        "what_audit_says_goes_to_the_other_client",
        &[
            (r#"setvar_vaddr="audit_to_client_0""#, r#"setvar_vaddr="x""#),
            (
                r#"setvar_vaddr="audit_to_client_1""#,
                r#"setvar_vaddr="audit_to_client_0""#,
            ),
            (r#"setvar_vaddr="x""#, r#"setvar_vaddr="audit_to_client_1""#),
        ],
        &["D"],
        &[
            "audit's mapping of 'audit_to_shell'",
            "setvar_vaddr=\"audit_to_client_1\"",
            "needs setvar_vaddr=\"audit_to_client_0\"",
        ],
    ),
    (
        "the_sizes_of_two_slots_are_exchanged",
        &[
            (r#""client_0_to_audit_size""#, r#""x""#),
            (r#""client_1_to_audit_size""#, r#""client_0_to_audit_size""#),
            (r#""x""#, r#""client_1_to_audit_size""#),
        ],
        &["D"],
        &[
            "audit's mapping of 'triage_to_audit'",
            "setvar_size=\"client_0_to_audit_size\"",
        ],
    ),
    (
        "the_clients_channels_are_exchanged_in_audits_slots",
        &[
            (r#""client_0_channel""#, r#""x""#),
            (r#""client_1_channel""#, r#""client_0_channel""#),
            (r#""x""#, r#""client_1_channel""#),
        ],
        &["D"],
        &[
            "audit's end of the channel of audit and triage",
            "setvar_id=\"client_0_channel\"",
            "needs setvar_id=\"client_1_channel\"",
        ],
    ),
    (
        "two_slots_have_the_same_channel",
        &[(
            r#"<end pd="audit" id="4" setvar_id="client_1_channel" />"#,
            r#"<end pd="audit" id="0" setvar_id="client_1_channel" />"#,
        )],
        &["refused"],
        &["line", "'id' is '0' a second time"],
    ),
    (
        "both_slots_channels_go_to_one_client",
        &[(
            r#"<end pd="triage" id="0" setvar_id="audit_channel" />"#,
            r#"<end pd="shell" id="9" setvar_id="other_channel" />"#,
        )],
        &["P", "D"],
        &[
            "client_1_to_audit for the client in slot 1, whose channel goes to 'shell', but region 'triage_to_audit'",
            "line",
        ],
    ),
    (
        "two_clients_are_in_one_slot",
        &[(
            TRIAGES_RING_IN_AUDIT,
            r#"setvar_vaddr="client_0_to_audit" setvar_size="x""#,
        )],
        &["refused"],
        &["line", "'client_0_to_audit' a second time"],
    ),
    (
        "a_client_is_in_another_slot_than_the_policy_has_it",
        &[
            (
                TRIAGES_RING_IN_AUDIT,
                r#"setvar_vaddr="client_2_to_audit" setvar_size="client_2_to_audit_size""#,
            ),
            (
                r#"setvar_vaddr="audit_to_client_1" setvar_size="audit_to_client_1_size""#,
                r#"setvar_vaddr="audit_to_client_2" setvar_size="audit_to_client_2_size""#,
            ),
            (r#""client_1_channel""#, r#""client_2_channel""#),
        ],
        &["D"],
        &[
            "'triage' is the client in slot 2 of audit (line",
            "the policy has it in slot 1",
        ],
    ),
    (
        "a_client_is_in_a_slot_that_audit_does_not_have",
        &[
            (
                TRIAGES_RING_IN_AUDIT,
                r#"setvar_vaddr="client_4_to_audit" setvar_size="client_4_to_audit_size""#,
            ),
            (
                r#"setvar_vaddr="audit_to_client_1" setvar_size="audit_to_client_1_size""#,
                r#"setvar_vaddr="audit_to_client_4" setvar_size="audit_to_client_4_size""#,
            ),
            (r#""client_1_channel""#, r#""client_4_channel""#),
        ],
        &["D"],
        &["'triage' is the client in slot 4 of audit"],
    ),
    (
        "a_slot_has_no_size",
        &[(r#" setvar_size="client_1_to_audit_size""#, "")],
        &["D"],
        &[
            "audit has client_1_to_audit for the client in slot 1, but not client_1_to_audit_size",
            "line",
        ],
    ),
    (
        "a_slot_has_no_address",
        &[(r#" setvar_vaddr="audit_to_client_1""#, "")],
        &["D"],
        &["the client in slot 1, but not audit_to_client_1:"],
    ),
    (
        "a_slot_has_no_channel",
        &[(r#" setvar_id="client_1_channel""#, "")],
        &["D"],
        &["the client in slot 1, but not client_1_channel"],
    ),
    (
        "a_slot_is_told_its_size_as_its_address",
        &[(
            TRIAGES_RING_IN_AUDIT,
            r#"setvar_vaddr="client_1_to_audit_size" setvar_size="client_1_to_audit""#,
        )],
        &["D"],
        &[
            "audit's mapping of 'triage_to_audit'",
            "setvar_vaddr=\"client_1_to_audit_size\"",
        ],
    ),
    (
        "a_slot_is_told_an_interrupt_as_its_channel",
        &[
            (r#" setvar_id="client_1_channel""#, ""),
            (
                r#"<irq irq="30" id="3" setvar_id="timer_channel" />"#,
                r#"<irq irq="30" id="3" setvar_id="client_1_channel" />"#,
            ),
        ],
        &["D"],
        &["audit's IRQ 30", "client_1_channel", "timer_channel"],
    ),
    (
        "a_third_slot_is_half_set",
        &[(
            r#"setvar_vaddr="policy" setvar_size="policy_size""#,
            r#"setvar_vaddr="policy" setvar_size="client_2_to_audit_size""#,
        )],
        &["D"],
        &["audit has client_2_to_audit_size for the client in slot 2, but not client_2_to_audit"],
    ),
    (
        "a_client_is_told_its_rings_as_each_other",
        &[
            (
                "mr=\"triage_to_audit\" vaddr=\"0x11000000\" perms=\"rw\" setvar_vaddr=\"to_audit\"",
                "mr=\"triage_to_audit\" vaddr=\"0x11000000\" perms=\"rw\" setvar_vaddr=\"x\"",
            ),
            (
                "mr=\"audit_to_triage\" vaddr=\"0x11100000\" perms=\"r\" setvar_vaddr=\"from_audit\"",
                "mr=\"audit_to_triage\" vaddr=\"0x11100000\" perms=\"r\" setvar_vaddr=\"to_audit\"",
            ),
            (r#"setvar_vaddr="x""#, r#"setvar_vaddr="from_audit""#),
        ],
        &["D"],
        &[
            "triage's mapping of 'triage_to_audit'",
            "setvar_vaddr=\"from_audit\"",
            "needs setvar_vaddr=\"to_audit\"",
        ],
    ),
    (
        "a_client_has_a_variable_of_its_own_name",
        &[(
            "<map mr=\"triage_to_audit\" vaddr=\"0x11000000\" perms=\"rw\" setvar_vaddr=\"to_audit\"",
            "<map mr=\"triage_to_audit\" vaddr=\"0x11000000\" perms=\"rw\" setvar_vaddr=\"triage_to_audit\"",
        )],
        &["D"],
        &[
            "triage's mapping of 'triage_to_audit'",
            "needs setvar_vaddr=\"to_audit\"",
        ],
    ),
    (
        "a_client_is_not_told_its_channel",
        &[(
            r#"<end pd="triage" id="0" setvar_id="audit_channel" />"#,
            r#"<end pd="triage" id="0" />"#,
        )],
        &["D"],
        &[
            "triage's end of the channel of audit and triage",
            "no setvar_id",
        ],
    ),
    // A client's rings and channel.
    (
        "a_clients_ring_is_a_page_smaller",
        &[(
            r#"name="triage_to_audit" size="0x23000""#,
            r#"name="triage_to_audit" size="0x22000""#,
        )],
        &["D"],
        &["'triage_to_audit' (line", "0x22000 bytes", "0x23000"],
    ),
    (
        "the_ring_to_a_client_is_twice_as_large",
        &[(
            r#"name="audit_to_triage" size="0x23000""#,
            r#"name="audit_to_triage" size="0x46000""#,
        )],
        &["D"],
        &["'audit_to_triage' (line", "0x46000 bytes", "0x23000"],
    ),
    (
        "a_clients_ring_is_filled",
        &[(
            r#"name="triage_to_audit" size="0x23000""#,
            r#"name="triage_to_audit" prefill_path="ring.bin" size="0x23000""#,
        )],
        &["D"],
        &["'triage_to_audit'", "filled from 'ring.bin'"],
    ),
    (
        "a_clients_ring_lies_at_a_physical_address",
        &[(
            r#"name="triage_to_audit" size="0x23000""#,
            r#"name="triage_to_audit" phys_addr="0x60000000" size="0x23000""#,
        )],
        &["P"],
        &["'triage_to_audit' at physical address 0x60000000"],
    ),
    (
        "a_clients_ring_is_uncached_in_audit",
        &[(
            r#"mr="triage_to_audit" vaddr="0x11400000" perms="r""#,
            r#"mr="triage_to_audit" vaddr="0x11400000" perms="r" cached="false""#,
        )],
        &["D"],
        &["audit's mapping of 'triage_to_audit'", "uncached"],
    ),
    (
        "audit_does_not_map_a_clients_ring",
        &[(
            r#"        <map mr="triage_to_audit" vaddr="0x11400000" perms="r" setvar_vaddr="client_1_to_audit" setvar_size="client_1_to_audit_size" />
"#,
            "",
        )],
        &["D"],
        &[
            "'triage_to_audit' (line",
            "not mapped in audit, whose program needs it",
        ],
    ),
    (
        "a_client_may_change_what_audit_has_said",
        &[(
            r#"mr="audit_to_triage" vaddr="0x11100000" perms="r""#,
            r#"mr="audit_to_triage" vaddr="0x11100000" perms="rw""#,
        )],
        &["I2", "D"],
        &["'audit_to_triage'", "2 writers", "audit", "triage"],
    ),
    (
        "audit_may_change_what_a_client_has_said",
        &[(
            r#"mr="triage_to_audit" vaddr="0x11400000" perms="r""#,
            r#"mr="triage_to_audit" vaddr="0x11400000" perms="rw""#,
        )],
        &["I2", "D"],
        &[
            "'triage_to_audit'",
            "writable in audit",
            "its writer is triage",
        ],
    ),
    (
        "a_client_and_audit_have_a_second_channel",
        &[(
            END,
            "<channel><end pd=\"triage\" id=\"9\" /><end pd=\"audit\" id=\"9\" /></channel></system>",
        )],
        &["D"],
        &["channel of triage and audit", "the second channel"],
    ),
    (
        "a_client_may_not_notify_audit",
        &[(
            r#"<end pd="triage" id="0""#,
            r#"<end pd="triage" notify="false" id="0""#,
        )],
        &["D"],
        &[
            "triage's end of the channel of audit and triage",
            "notify=\"false\"",
        ],
    ),
    (
        "a_client_has_no_channel_with_audit",
        &[(
            "    <channel>\n        <end pd=\"audit\" id=\"4\" setvar_id=\"client_1_channel\" />\n        <end pd=\"triage\" id=\"0\" setvar_id=\"audit_channel\" />\n    </channel>\n",
            "",
        )],
        &["P", "D"],
        &["channel of audit and triage", "does not exist"],
    ),
    // Time, and the program of a client.
    (
        "a_client_is_above_audit",
        &[(
            r#"name="triage" priority="110""#,
            r#"name="triage" priority="130""#,
        )],
        &["I7"],
        &[
            "audit has priority 120 (line",
            "not above triage's 130 (line",
        ],
    ),
    (
        "a_client_is_as_high_as_audit",
        &[(
            r#"name="shell" priority="110""#,
            r#"name="shell" priority="120""#,
        )],
        &["I7"],
        &["audit has priority 120", "not above shell's 120"],
    ),
    (
        "a_client_is_below_inference",
        &[(
            r#"name="triage" priority="110""#,
            r#"name="triage" priority="90""#,
        )],
        &["I7"],
        &["triage has priority 90", "not above inference's 100"],
    ),
    (
        "inference_is_between_the_clients",
        &[(
            r#"name="shell" priority="110""#,
            r#"name="shell" priority="99""#,
        )],
        &["I7"],
        &["shell has priority 99", "not above inference's 100"],
    ),
    (
        "a_clients_budget_is_below_its_period",
        &[(
            r#"name="triage" priority="110""#,
            r#"name="triage" budget="500" period="1000" priority="110""#,
        )],
        &["I7"],
        &["triage has a budget of 500 µs in a period of 1000"],
    ),
    (
        "a_client_runs_the_others_program",
        &[(TRIAGE, r#"<program_image path="shell.elf" />"#)],
        &["D"],
        &["triage (line", "'shell.elf'", "'triage.elf'"],
    ),
    (
        "a_client_has_the_floating_point_registers",
        &[(
            r#"name="triage" priority="110" fpu="false""#,
            r#"name="triage" priority="110""#,
        )],
        &["D"],
        &["triage (line", "fpu=\"true\""],
    ),
    (
        "a_client_has_too_small_a_stack",
        &[(
            r#"name="triage" priority="110" fpu="false" stack_size="0x10000""#,
            r#"name="triage" priority="110" fpu="false" stack_size="0x1000""#,
        )],
        &["D"],
        &["triage (line", "a stack of 0x1000 bytes"],
    ),
];

//! Descriptions that are refused before any claim is checked, and harmless changes.

use super::harmful::{SHELLS_RING_IN_AUDIT, TRIAGES_RING_IN_AUDIT};

/// A change to the policy with two clients: its name, what is replaced by what, the error's words.
pub(super) type Refusal = (&'static str, (&'static str, &'static str), &'static str);

const SLOT_1: &str = "domain = \"triage\"\nslot = 1\n";

pub(super) const REFUSALS: &[Refusal] = &[
    (
        "a_slot_that_audit_does_not_have",
        (SLOT_1, "domain = \"triage\"\nslot = 4\n"),
        "[[client]] 'triage' has slot 4: audit has the slots 0 to 3",
    ),
    (
        "two_clients_in_one_slot",
        (SLOT_1, "domain = \"triage\"\nslot = 0\n"),
        "[[client]] 'shell' and 'triage' both have slot 0",
    ),
    (
        "a_client_in_two_slots",
        (
            SLOT_1,
            "domain = \"triage\"\nslot = 1\n[[client]]\ndomain = \"triage\"\nslot = 2\n",
        ),
        "two [[client]] lines of 'triage'",
    ),
    (
        "a_client_twice",
        (
            SLOT_1,
            "domain = \"triage\"\nslot = 1\n[[client]]\ndomain = \"triage\"\nslot = 1\n",
        ),
        "two [[client]] lines of 'triage'",
    ),
    (
        "the_engine_as_a_client",
        (SLOT_1, "domain = \"inference\"\nslot = 1\n"),
        "[[client]] 'inference' is the engine",
    ),
    (
        "the_mediator_as_a_client",
        (SLOT_1, "domain = \"audit\"\nslot = 1\n"),
        "[[client]] 'audit' is the mediator",
    ),
    (
        "the_monitor_as_a_client",
        (SLOT_1, "domain = \"monitor\"\nslot = 1\n"),
        "[[client]] 'monitor' is trusted",
    ),
    (
        "a_client_of_the_name_of_all",
        (SLOT_1, "domain = \"clients\"\nslot = 1\n"),
        "[[client]] 'clients' is what scheduling calls all clients",
    ),
    (
        "a_client_without_a_slot",
        (SLOT_1, "domain = \"triage\"\n"),
        "missing field `slot`",
    ),
    (
        "a_client_with_more_than_a_client_has",
        (SLOT_1, "domain = \"triage\"\nslot = 1\nuser = \"triage\"\n"),
        "unknown field `user`",
    ),
    (
        "a_line_about_a_clients_ring",
        (
            SLOT_1,
            "domain = \"triage\"\nslot = 1\n[[private]]\nregion = \"triage_to_audit\"\ndomain = \"triage\"\n",
        ),
        "the line that says who maps region 'triage_to_audit' follows from [[client]] 'triage'",
    ),
    (
        "a_size_of_a_clients_ring",
        (
            SLOT_1,
            "domain = \"triage\"\nslot = 1\n[[region]]\nname = \"audit_to_triage\"\nbytes = \"ring\"\npage = 0x1000\naddress = \"x\"\n",
        ),
        "[[region]] 'audit_to_triage' follows from [[client]] 'triage'",
    ),
    (
        "a_line_about_a_clients_channel",
        (
            SLOT_1,
            "domain = \"triage\"\nslot = 1\n[[channel]]\nbetween = [\"triage\", \"audit\"]\nvariables = [\"a\", \"b\"]\n",
        ),
        "[[channel]] of audit and triage follows from [[client]] 'triage'",
    ),
    (
        "clients_above_the_mediator",
        (
            "order = [\"audit\", \"clients\", \"inference\"]",
            "order = [\"clients\", \"audit\", \"inference\"]",
        ),
        "'audit', 'clients' and 'inference' in this order",
    ),
    (
        "clients_below_the_engine",
        (
            "order = [\"audit\", \"clients\", \"inference\"]",
            "order = [\"audit\", \"inference\", \"clients\"]",
        ),
        "'audit', 'clients' and 'inference' in this order",
    ),
    (
        "an_order_without_the_clients",
        (
            "order = [\"audit\", \"clients\", \"inference\"]",
            "order = [\"audit\", \"inference\"]",
        ),
        "'audit', 'clients' and 'inference' in this order",
    ),
    (
        "a_client_with_a_place_of_its_own",
        (
            "order = [\"audit\", \"clients\", \"inference\"]",
            "order = [\"audit\", \"shell\", \"clients\", \"inference\"]",
        ),
        "no client by its own name",
    ),
    (
        "an_audit_that_need_not_say_what_it_needs",
        (
            "program = \"audit.elf\"\n",
            "program = \"audit.elf\"\nmarked = false\n",
        ),
        "[[domain]] 'audit' has marked = false",
    ),
];

/// Harmless changes to the description and to the policy.
pub(super) type Edit = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, &'static str)],
);

pub(super) const HARMLESS: &[Edit] = &[
    ("two_clients_are_there", &[], &[]),
    (
        "the_slots_are_exchanged_here_and_there",
        &[
            (SHELLS_RING_IN_AUDIT, "X"),
            (TRIAGES_RING_IN_AUDIT, SHELLS_RING_IN_AUDIT),
            ("X", TRIAGES_RING_IN_AUDIT),
            (
                r#"setvar_vaddr="audit_to_client_0" setvar_size="audit_to_client_0_size""#,
                "X",
            ),
            (
                r#"setvar_vaddr="audit_to_client_1" setvar_size="audit_to_client_1_size""#,
                r#"setvar_vaddr="audit_to_client_0" setvar_size="audit_to_client_0_size""#,
            ),
            (
                "X",
                r#"setvar_vaddr="audit_to_client_1" setvar_size="audit_to_client_1_size""#,
            ),
            (r#""client_0_channel""#, r#""x""#),
            (r#""client_1_channel""#, r#""client_0_channel""#),
            (r#""x""#, r#""client_1_channel""#),
        ],
        &[
            (
                "domain = \"shell\"\nslot = 0\n",
                "domain = \"shell\"\nslot = X\n",
            ),
            (SLOT_1, "domain = \"triage\"\nslot = 0\n"),
            ("slot = X", "slot = 1"),
        ],
    ),
    (
        "a_client_is_in_the_last_slot",
        &[
            (
                TRIAGES_RING_IN_AUDIT,
                r#"setvar_vaddr="client_3_to_audit" setvar_size="client_3_to_audit_size""#,
            ),
            (
                r#"setvar_vaddr="audit_to_client_1" setvar_size="audit_to_client_1_size""#,
                r#"setvar_vaddr="audit_to_client_3" setvar_size="audit_to_client_3_size""#,
            ),
            (r#""client_1_channel""#, r#""client_3_channel""#),
        ],
        &[(SLOT_1, "domain = \"triage\"\nslot = 3\n")],
    ),
    (
        "a_client_is_above_the_other",
        &[(
            r#"name="triage" priority="110""#,
            r#"name="triage" priority="119""#,
        )],
        &[],
    ),
    (
        "a_client_is_below_the_other",
        &[(
            r#"name="triage" priority="110""#,
            r#"name="triage" priority="101""#,
        )],
        &[],
    ),
    (
        "a_clients_channel_has_other_numbers",
        &[
            (r#"<end pd="audit" id="4""#, r#"<end pd="audit" id="61""#),
            (r#"<end pd="triage" id="0""#, r#"<end pd="triage" id="33""#),
        ],
        &[],
    ),
    (
        "a_clients_rings_lie_elsewhere",
        &[
            (
                r#"mr="triage_to_audit" vaddr="0x11000000""#,
                r#"mr="triage_to_audit" vaddr="0x51000000""#,
            ),
            (
                r#"mr="audit_to_triage" vaddr="0x11500000""#,
                r#"mr="audit_to_triage" vaddr="0x51500000""#,
            ),
        ],
        &[],
    ),
    (
        "a_client_has_a_part_of_its_period_where_the_policy_wants_no_more",
        &[(
            r#"name="triage" priority="110""#,
            r#"name="triage" budget="500" period="1000" priority="110""#,
        )],
        &[(
            "whole_budget = [\"audit\", \"clients\", \"inference\"]",
            "whole_budget = [\"audit\", \"shell\", \"inference\"]\n[[scheduling.part]]\ndomain = \"triage\"\nmost_percent = 50",
        )],
    ),
];

//! A system with two clients, shell in slot 0 and triage in slot 1, made from the system's own description and policy,
//! as an author of an additional component would. Triage has no device, but a region of events that nobody writes.

/// Inserts a piece before the only place that has these words.
fn before(text: &str, place: &str, piece: &str) -> String {
    assert_eq!(
        text.matches(place).count(),
        1,
        "'{place}' must be there once"
    );
    text.replace(place, &format!("{piece}{place}"))
}

/// The description.
pub fn system(one: &str) -> String {
    let text = before(
        one,
        "    <memory_region name=\"audit_to_inference\"",
        r#"    <memory_region name="triage_to_audit" size="0x23000" page_size="0x1000" />
    <memory_region name="audit_to_triage" size="0x23000" page_size="0x1000" />
    <memory_region name="events" size="0x1000" page_size="0x1000" prefill_path="events.txt" />
"#,
    );
    let text = before(
        &text,
        "        <map mr=\"audit_to_inference\" vaddr=\"0x11200000\" perms=\"rw\"",
        r#"        <map mr="triage_to_audit" vaddr="0x11400000" perms="r" setvar_vaddr="client_1_to_audit" setvar_size="client_1_to_audit_size" />
        <map mr="audit_to_triage" vaddr="0x11500000" perms="rw" setvar_vaddr="audit_to_client_1" setvar_size="audit_to_client_1_size" />
"#,
    );
    let text = before(
        &text,
        "    <channel>\n        <end pd=\"audit\" id=\"0\"",
        r#"    <protection_domain name="triage" priority="110" fpu="false" stack_size="0x10000">
        <program_image path="triage.elf" />
        <map mr="events" vaddr="0x10000000" perms="r" setvar_vaddr="events" setvar_size="events_size" />
        <map mr="triage_to_audit" vaddr="0x11000000" perms="rw" setvar_vaddr="to_audit" setvar_size="to_audit_size" />
        <map mr="audit_to_triage" vaddr="0x11100000" perms="r" setvar_vaddr="from_audit" setvar_size="from_audit_size" />
    </protection_domain>

"#,
    );
    before(
        &text,
        "</system>",
        r#"    <channel>
        <end pd="audit" id="4" setvar_id="client_1_channel" />
        <end pd="triage" id="0" setvar_id="audit_channel" />
    </channel>
"#,
    )
}

/// The policy.
pub fn policy(one: &str) -> String {
    format!(
        "{one}
[[client]]
domain = \"triage\"
slot = 1

[[constant]]
region = \"events\"
readers = [\"triage\"]

[[region]]
name = \"events\"
bytes = {{ least = 0x1000, most = 0x10_0000 }}
page = 0x1000
prefill = \"events.txt\"
address = \"events\"
size = \"events_size\"

[[domain]]
name = \"triage\"
program = \"triage.elf\"
fpu = false
stack = {{ least = 0x1_0000, most = 0x40_0000 }}
period = {{ least = 1_000, most = 100_000 }}
"
    )
}

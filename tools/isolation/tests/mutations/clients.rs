//! Trials of changes to a description with two clients, and to the policy's lines about them. Clients must be as
//! isolated from each other as from inference, and audit must not mistake one for the other.

mod harmful;
mod refused;

use crate::harness::{Caught, POLICY_TEXT, SYSTEM, changed, check_with, none, replace};
use crate::two_clients;
use harmful::{END, MUTATIONS, Mutation, REGIONS};
use libtest_mimic::Trial;
use refused::{Edit, HARMLESS, REFUSALS, Refusal};

/// A client that has more of its period than the policy grants, and one that has no line about its part.
fn more_than_its_part() -> Result<(), libtest_mimic::Failed> {
    let text = two_clients::system(&SYSTEM).replace(
        r#"name="triage" priority="110""#,
        r#"name="triage" budget="600" period="1000" priority="110""#,
    );
    let whole = "whole_budget = [\"audit\", \"clients\", \"inference\"]";
    let policy = two_clients::policy(POLICY_TEXT);
    assert!(policy.contains(whole));
    let others = "whole_budget = [\"audit\", \"shell\", \"inference\"]";
    let part = "[[scheduling.part]]\ndomain = \"triage\"\nmost_percent = 50";
    let claims = &["I7"];
    let said = check_with(&text, &policy.replace(whole, &format!("{others}\n{part}")));
    let words = &[
        "triage has a budget of 600 µs in a period of 1000 µs",
        "more than 50 %",
    ];
    Caught { claims, words }.judge(&said)?;
    let said = check_with(&text, &policy.replace(whole, others));
    let words = &["triage (line", "has 0 lines about its budget"];
    Caught { claims, words }.judge(&said)
}

/// The same exchange of slots, only in the description. It is harmless, too, because audit identifies clients by their
/// channels. But audit would look at the clients in another order than the policy says, and the message says so.
fn exchanged_in_the_description_alone() -> Result<(), libtest_mimic::Failed> {
    let (_, changes, _) = HARMLESS[1];
    let text = changed(&two_clients::system(&SYSTEM), changes);
    let words = &[
        "'shell' is the client in slot 1 of audit (line",
        "the policy has it in slot 0",
    ];
    let claims = &["D"];
    let said = check_with(&text, &two_clients::policy(POLICY_TEXT));
    Caught { claims, words }.judge(&said)
}

/// As many clients as audit has slots.
fn four_clients() -> Result<(), libtest_mimic::Failed> {
    let mut text = two_clients::system(&SYSTEM);
    let mut policy = two_clients::policy(POLICY_TEXT);
    for (name, slot) in [("second", 2), ("third", 3)] {
        let of_triage = |from: &str, to: &str| {
            let start = text.find(from).unwrap();
            let end = start + text[start..].find(to).unwrap() + to.len();
            let piece = text[start..end].replace("triage", name);
            let piece = piece.replace("client_1", &format!("client_{slot}"));
            let piece = piece.replace("id=\"4\"", &format!("id=\"{}\"", slot + 10));
            piece
                .replace("0x11400000", &format!("0x6{slot}000000"))
                .replace("0x11500000", &format!("0x7{slot}000000"))
        };
        let regions = of_triage(
            "    <memory_region name=\"triage_to_audit\"",
            "page_size=\"0x1000\" />\n    <memory_region name=\"audit_to_triage\" size=\"0x23000\" page_size=\"0x1000\" />\n",
        );
        let maps = of_triage(
            "        <map mr=\"triage_to_audit\" vaddr=\"0x11400000\"",
            "setvar_size=\"audit_to_client_1_size\" />\n",
        );
        let domain = of_triage(
            "    <protection_domain name=\"triage\"",
            "</protection_domain>\n",
        );
        let events = "        <map mr=\"events\" vaddr=\"0x10000000\" perms=\"r\" setvar_vaddr=\"events\" setvar_size=\"events_size\" />\n";
        let domain = replace(&domain, events, "");
        let channel = of_triage(
            "    <channel>\n        <end pd=\"audit\" id=\"4\"",
            "</channel>\n",
        );
        text = replace(&text, REGIONS, &format!("{regions}{REGIONS}"));
        let place = "        <map mr=\"audit_to_inference\" vaddr=\"0x11200000\" perms=\"rw\"";
        text = replace(&text, place, &format!("{maps}{place}"));
        text = replace(&text, END, &format!("{domain}{channel}{END}"));
        policy += &format!(
            "\n[[client]]\ndomain = \"{name}\"\nslot = {slot}\n\n[[domain]]\nname = \"{name}\"\nprogram = \"{name}.elf\"\n\
             fpu = false\nstack = {{ least = 0x1_0000, most = 0x40_0000 }}\nperiod = {{ least = 1_000, most = 100_000 }}\n"
        );
    }
    none(&check_with(&text, &policy))
}

/// A client that the policy does not name, and one that is missing from the description.
fn the_policy_has_other_clients() -> Result<(), libtest_mimic::Failed> {
    let (one, two) = (SYSTEM.clone(), two_clients::system(&SYSTEM));
    let (policy_of_one, policy_of_two) = (POLICY_TEXT.to_owned(), two_clients::policy(POLICY_TEXT));
    let words = &[
        "'triage' is the client in slot 1 of audit (line",
        "no [[client]] in the policy: write domain = \"triage\" and slot = 1 there",
    ];
    let claims = &["D", "P"];
    Caught { claims, words }.judge(&check_with(&two, &policy_of_one))?;
    let words = &["a [[client]] 'triage', but audit has no slot that is set for it"];
    Caught { claims, words }.judge(&check_with(&one, &policy_of_two))?;
    let words = &["a [[client]] 'triage', but its ring 'audit_to_triage' does not exist"];
    Caught { claims, words }.judge(&check_with(&one, &policy_of_two))
}

pub fn harmful() -> Vec<Trial> {
    let trial = |(name, changes, claims, words): &'static Mutation| {
        Trial::test(format!("clients::{name}"), move || {
            let text = changed(&two_clients::system(&SYSTEM), changes);
            let said = check_with(&text, &two_clients::policy(POLICY_TEXT));
            Caught { claims, words }.judge(&said)
        })
    };
    let refusal = |(name, change, words): &'static Refusal| {
        Trial::test(format!("clients::policy::{name}"), move || {
            let policy = changed(&two_clients::policy(POLICY_TEXT), &[*change]);
            let said = check_with(&two_clients::system(&SYSTEM), &policy);
            let (claims, words) = (&["refused"], core::slice::from_ref(words));
            Caught { claims, words }.judge(&said)
        })
    };
    let mut trials: Vec<_> = MUTATIONS.iter().map(trial).collect();
    trials.extend(REFUSALS.iter().map(refusal));
    trials.push(Trial::test(
        "clients::the_policy_has_other_clients",
        the_policy_has_other_clients,
    ));
    trials
}

pub fn harmless() -> Vec<Trial> {
    let edit = |(name, changes, of_policy): &'static Edit| {
        Trial::test(format!("harmless::clients::{name}"), move || {
            let text = changed(&two_clients::system(&SYSTEM), changes);
            let policy = changed(&two_clients::policy(POLICY_TEXT), of_policy);
            none(&check_with(&text, &policy))
        })
    };
    let mut trials: Vec<_> = HARMLESS.iter().map(edit).collect();
    trials.push(Trial::test("harmless::clients::four_clients", four_clients));
    trials.push(Trial::test(
        "explained::clients::the_slots_are_exchanged_in_the_description_alone",
        exchanged_in_the_description_alone,
    ));
    trials.push(Trial::test(
        "explained::clients::a_client_has_more_than_its_part_of_the_time",
        more_than_its_part,
    ));
    trials
}

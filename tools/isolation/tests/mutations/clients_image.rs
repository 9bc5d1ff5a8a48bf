//! Harmful changes to the image of a system with two clients: one of them has something of the other's.

use crate::harness::{Caught, Image, Mutation, READ_WRITE, check_image_of_two};
use isolation::capdl::format::{Object, Rights, Slot};
use libtest_mimic::Trial;

const READ: Rights = Rights {
    write: false,
    ..READ_WRITE
};

/// An unmapped address, under a page table that each domain has.
const FREE: u64 = 0x003f_f000;

/// Maps the frame with this name in a domain.
fn map(image: &mut Image, domain: &str, frame: &str, rights: Rights) {
    let page = image.index(frame);
    let (table, slot) = image.page(domain, FREE);
    let body = image.put(&table, slot, "Frame", Some(page));
    (body.rights, body.cached, body.executable) = (Some(rights), Some(true), Some(false));
}

/// Exchanges the contents of two slots, but not their badges and rights.
fn exchange(image: &mut Image, first: (&str, u32), second: (&str, u32)) {
    let a = image.cap(first.0, first.1).body.object;
    let b = image.cap(second.0, second.1).body.object;
    image.cap(first.0, first.1).body.object = b;
    image.cap(second.0, second.1).body.object = a;
}

const MUTATIONS: &[Mutation] = &[
    (
        "a_client_may_signal_the_other",
        |image| {
            let body = image.give("cnode_shell", 20, "Notification", "ntfn_triage");
            (body.badge, body.rights) = (Some(4), Some(READ_WRITE));
        },
        &["A", "I1", "P"],
        &["shell", "slot 20", "triage's notification"],
    ),
    (
        "a_page_of_what_a_client_asks_is_readable_in_the_other",
        |image| map(image, "triage", "frame_mr_shell_to_audit_000000004", READ),
        &["A", "I1", "I2"],
        &["shell and triage share region 'shell_to_audit'"],
    ),
    (
        "a_page_of_what_a_client_is_told_is_writable_in_the_other",
        |image| {
            map(
                image,
                "shell",
                "frame_mr_audit_to_triage_000000000",
                READ_WRITE,
            );
        },
        &["A", "I1", "I2"],
        &["'audit_to_triage'", "writable in shell"],
    ),
    (
        "a_page_of_a_clients_stack_is_in_the_other",
        |image| {
            map(image, "shell", "frame_triage_stack_000000003", READ_WRITE);
        },
        &["A", "I1", "I2"],
        &["triage's stack", "shell"],
    ),
    (
        "a_page_of_a_clients_ring_lies_in_the_others_in_audit",
        |image| {
            let (shells, shell) = image.page("audit", 0x1100_0000);
            let (triages, triage) = image.page("audit", 0x1140_0000);
            exchange(image, (&shells, shell), (&triages, triage));
        },
        &["A"],
        &[
            "audit: address 0x11000000 holds page 0 of region 'triage_to_audit'",
            "demands page 0 of region 'shell_to_audit'",
        ],
    ),
    (
        "a_client_signals_in_the_others_name",
        |image| image.cap("cnode_triage", 10).body.badge = Some(1),
        &["A"],
        &["triage", "slot 10", "badge 0x1", "0x10"],
    ),
    (
        "audit_signals_the_other_client",
        |image| exchange(image, ("cnode_audit", 10), ("cnode_audit", 14)),
        &["A"],
        &[
            "audit: slot 10 holds triage's notification",
            "shell's notification",
        ],
    ),
    (
        "a_client_has_the_others_tcb",
        |image| {
            image.give("cnode_triage", 202, "Tcb", "tcb_shell");
        },
        &["A", "I1", "I8"],
        &["triage", "slot 202", "shell's TCB"],
    ),
    (
        "a_client_has_the_others_address_space",
        |image| {
            image.give("cnode_shell", 9, "PageTable", "pud_triage");
        },
        &["A", "I1", "I8"],
        &["shell", "slot 9", "triage's VSpace"],
    ),
    (
        "a_client_has_the_others_reply_object",
        |image| {
            image.give("cnode_shell", 9, "Reply", "reply_triage");
        },
        &["A", "I1", "I8"],
        &["shell", "slot 9", "triage's reply object"],
    ),
    (
        "the_clients_have_an_endpoint_of_their_own",
        |image| {
            let new = image.add("ep_tunnel", Object::Endpoint);
            for cnode in ["cnode_shell", "cnode_triage"] {
                image.put(cnode, 30, "Endpoint", Some(new)).rights = Some(READ_WRITE);
            }
        },
        &["A", "I1", "I8"],
        &["shell and triage both hold tunnel's endpoint"],
    ),
    (
        "a_clients_faults_go_to_audit",
        |image| {
            let audit = image.index("ep_audit");
            image.cap("tcb_triage", 5).body.object = Some(audit);
        },
        &["A", "I1"],
        &["triage and inference both hold audit's endpoint"],
    ),
    (
        "a_clients_faults_come_as_the_others",
        |image| {
            let badge = image.cap("cnode_shell", 2).body.badge;
            image.cap("cnode_triage", 2).body.badge = badge;
        },
        &["A"],
        &["triage", "slot 2", "badge"],
    ),
    (
        "a_client_waits_before_the_monitor",
        |image| {
            if let Object::Tcb(tcb) = image.object("tcb_monitor") {
                tcb.extra.prio = 105;
                tcb.extra.max_prio = 105;
            }
        },
        &["A", "I8"],
        &[
            "triage may take messages from monitor's endpoint, whose priority 105 is not above its own 110",
        ],
    ),
    (
        "a_client_is_above_audit_in_the_image",
        |image| {
            if let Object::Tcb(tcb) = image.object("tcb_triage") {
                tcb.extra.prio = 130;
                tcb.extra.max_prio = 130;
            }
        },
        &["A", "I7"],
        &["audit has priority 120, not above triage's 130"],
    ),
    (
        "a_client_has_the_uart_besides_the_other",
        |image| {
            map(image, "triage", "frame_mr_uart_000000000", READ_WRITE);
        },
        &["A", "I1", "I6"],
        &["'uart' (UART)", "mapped in triage", "belongs to shell"],
    ),
    (
        "a_client_has_the_others_interrupt_in_the_image",
        |image| {
            let cap = image.take("cnode_shell", 139);
            image.slots("cnode_triage").push(Slot { slot: 139, cap });
        },
        &["A", "I6"],
        &["triage has IRQ 33 (UART), but it belongs to shell"],
    ),
    (
        "a_client_runs_the_others_file",
        |image| {
            let page = image.code("shell").clone();
            *image.code("triage") = page;
        },
        &["A", "I1"],
        &["triage", "holds shell's program"],
    ),
];

pub fn trials() -> Vec<Trial> {
    let trial = |(name, change, claims, words): &'static Mutation| {
        Trial::test(format!("clients::image::{name}"), move || {
            let mut image = Image::of_two();
            change(&mut image);
            Caught { claims, words }.judge(&check_image_of_two(&image.spec))
        })
    };
    MUTATIONS.iter().map(trial).collect()
}

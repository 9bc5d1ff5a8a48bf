//! Harmful changes to an image's CNodes and TCBs that the description does not show.

use crate::harness::{Caught, Image, Mutation, READ_WRITE, check_image};
use crate::pages;
use isolation::capdl::format::{Object, Rights};
use libtest_mimic::Trial;
use serde_json::json;

const ALL: Rights = Rights {
    grant: true,
    ..READ_WRITE
};

const MUTATIONS: &[Mutation] = &[
    // An extra capability.
    (
        "shell_may_signal_inference",
        |image| {
            let body = image.give("cnode_shell", 20, "Notification", "ntfn_inference");
            (body.badge, body.rights) = (Some(4), Some(READ_WRITE));
        },
        &["A", "I1", "P"],
        &["shell", "slot 20", "inference's notification"],
    ),
    (
        "inference_may_call_audit",
        |image| {
            let body = image.give("cnode_inference", 74, "Endpoint", "ep_audit");
            (body.badge, body.rights) = (Some(1 << 63), Some(ALL));
        },
        &["A", "I8"],
        &["inference", "slot 74", "audit's endpoint"],
    ),
    (
        "shell_and_inference_have_an_endpoint_of_their_own",
        |image| {
            let new = image.add("ep_tunnel", Object::Endpoint);
            for cnode in ["cnode_shell", "cnode_inference"] {
                image.put(cnode, 30, "Endpoint", Some(new)).rights = Some(ALL);
            }
        },
        &["A", "I1", "I8"],
        &["inference", "slot 30", "tunnel's endpoint"],
    ),
    (
        "inference_has_an_untyped",
        |image| {
            let new = image.add(
                "untyped",
                Object::Untyped(json!({"size_bits": 20, "paddr": null})),
            );
            image.put("cnode_inference", 9, "Untyped", Some(new));
        },
        &["A", "I8"],
        &["inference", "slot 9", "Untyped"],
    ),
    (
        "an_untyped_is_left_over",
        |image| {
            image.add(
                "untyped",
                Object::Untyped(json!({"size_bits": 20, "paddr": null})),
            );
        },
        &["A"],
        &["'untyped'", "Untyped", "belongs to nobody"],
    ),
    (
        "inference_has_irq_control",
        |image| {
            image.put("cnode_inference", 9, "IrqControl", None);
        },
        &["A", "I8"],
        &["inference", "slot 9", "IrqControl"],
    ),
    (
        "shell_has_asid_control",
        |image| {
            image.put("cnode_shell", 9, "AsidControl", None);
        },
        &["A", "I8"],
        &["shell", "slot 9", "AsidControl"],
    ),
    (
        "shell_has_an_asid_pool",
        |image| {
            let new = image.add("pool", Object::AsidPool(json!({"high": 1})));
            image.put("cnode_shell", 9, "AsidPool", Some(new));
        },
        &["A", "I8"],
        &["shell", "slot 9", "AsidPool"],
    ),
    (
        "inference_may_call_the_secure_monitor",
        |image| {
            let new = image.add("arm_smc", Object::ArmSmc);
            image.put("cnode_inference", 7, "ArmSmc", Some(new));
        },
        &["A", "I8"],
        &["inference", "slot 7", "ArmSmc"],
    ),
    (
        "inference_has_its_scheduling_context",
        |image| {
            image.give(
                "cnode_inference",
                9,
                "SchedContext",
                "sched_context_inference",
            );
        },
        &["A", "I8"],
        &["inference", "slot 9", "scheduling context"],
    ),
    (
        "audit_has_a_frame_of_the_arena",
        |image| {
            image
                .give("cnode_audit", 9, "Frame", "frame_mr_arena_000000001")
                .rights = Some(READ_WRITE);
        },
        &["A", "I8"],
        &["audit", "slot 9", "page 1 of region 'arena'"],
    ),
    (
        "shell_has_audits_vspace",
        |image| {
            image.give("cnode_shell", 9, "PageTable", "pud_audit");
        },
        &["A", "I8"],
        &["shell", "slot 9", "foreign VSpace", "audit's VSpace"],
    ),
    (
        "shell_has_a_reply_object_of_audits",
        |image| {
            image.give("cnode_shell", 9, "Reply", "reply_audit");
        },
        &["A", "I8"],
        &["shell", "slot 9", "audit's reply object"],
    ),
    // CNodes that can be addressed.
    (
        "inference_can_name_its_cnode",
        |image| {
            let body = image.give("cnode_inference", 9, "CNode", "cnode_inference");
            (body.guard, body.guard_size) = (Some(0), Some(49));
        },
        &["A", "I8"],
        &["inference", "slot 9", "lookup of 64 bits can name"],
    ),
    (
        "shell_can_name_its_root_cnode",
        |image| {
            let body = image.give("cnode_shell", 9, "CNode", "cnode_shell_root");
            (body.guard, body.guard_size) = (Some(0), Some(0));
        },
        &["A", "I8"],
        &["shell", "slot 9", "lookup of 64 bits can name"],
    ),
    (
        "the_root_slot_ends_a_lookup",
        |image| {
            // 58 bits of guard and 6 of the root CNode: a full-depth lookup names its slot 0.
            image.cap("tcb_inference", 0).body.guard_size = Some(58);
        },
        &["A", "I8"],
        &[
            "inference",
            "slot 0 of the root CNode",
            "lookup of 64 bits can name",
        ],
    ),
    (
        "a_second_cnode_is_in_the_root",
        |image| {
            let body = image.give("cnode_inference_root", 1, "CNode", "cnode_audit");
            (body.guard, body.guard_size) = (Some(0), Some(49));
        },
        &["A", "I1", "I8"],
        &["inference", "slot 1 of the root CNode", "audit's CNode"],
    ),
    (
        "a_slot_is_beyond_its_cnode",
        |image| {
            let cap = image.take("cnode_shell", 139);
            let slots = image.slots("cnode_shell");
            slots.push(isolation::capdl::format::Slot { slot: 513, cap });
        },
        &["A"],
        &["'cnode_shell' has no slot 513"],
    ),
    (
        "the_guard_of_a_cnode_is_shorter",
        |image| {
            image.cap("cnode_shell_root", 0).body.guard_size = Some(48);
        },
        &["A"],
        &["shell", "guard of 0x30", "0x31"],
    ),
    (
        "a_cnode_has_another_guard",
        |image| {
            image.cap("cnode_shell_root", 0).body.guard = Some(5);
        },
        &["A"],
        &["shell", "guard of 0x5"],
    ),
    // TCBs in the wrong hands.
    (
        "shell_has_inferences_tcb",
        |image| {
            image.give("cnode_shell", 202, "Tcb", "tcb_inference");
        },
        &["A", "I1", "I8"],
        &["shell", "slot 202", "inference's TCB"],
    ),
    (
        "inference_has_its_own_tcb",
        |image| {
            image.give("cnode_inference", 6, "Tcb", "tcb_inference");
        },
        &["A"],
        &["inference", "slot 6", "row B1"],
    ),
    (
        "audit_has_shells_tcb",
        |image| {
            image.give("cnode_audit", 203, "Tcb", "tcb_shell");
        },
        &["A", "I8"],
        &["audit", "slot 203", "shell's TCB"],
    ),
    (
        "audit_has_not_inferences_tcb",
        |image| {
            image.take("cnode_audit", 202);
        },
        &["A", "I8"],
        &["audit", "slot 202", "does not hold inference's TCB"],
    ),
    (
        "a_capability_is_of_the_wrong_kind",
        |image| {
            image.cap("cnode_shell", 10).kind = "Endpoint".to_owned();
        },
        &["A", "I8"],
        &["shell", "slot 10", "Endpoint 'ntfn_audit'"],
    ),
    (
        "a_thread_is_missing",
        |image| {
            let shell = image.index("tcb_shell");
            image.spec.objects[shell].name = Some("tcb_console".to_owned());
        },
        &["A", "P"],
        &["no thread of shell"],
    ),
    (
        "a_thread_more_is_there",
        |image| {
            let tcb = image.object("tcb_inference").clone();
            image.add("tcb_spy", tcb);
        },
        &["A", "P"],
        &["thread of spy"],
    ),
    (
        "a_thread_is_called_otherwise",
        |image| {
            let shell = image.index("tcb_shell");
            image.spec.objects[shell].name = Some("shell".to_owned());
        },
        &["A", "P"],
        &["TCB is called 'shell'"],
    ),
    (
        "a_thread_does_not_start",
        |image| {
            if let Object::Tcb(tcb) = image.object("tcb_audit") {
                tcb.extra.resume = false;
            }
        },
        &["A"],
        &["audit's thread does not start"],
    ),
    (
        "a_cnode_is_out_of_reach",
        |image| {
            let body = image.give("cnode_shell_root", 1, "CNode", "cnode_shell");
            (body.guard, body.guard_size) = (Some(0), Some(60));
            let body = image.give("cnode_shell", 9, "CNode", "cnode_audit");
            (body.guard, body.guard_size) = (Some(0), Some(49));
        },
        &["A", "I8"],
        &["shell", "no lookup of 64 bits reaches", "slot 9"],
    ),
    (
        "a_cnode_has_no_bits",
        |image| {
            let object = isolation::capdl::format::CNode {
                size_bits: 0,
                slots: vec![],
            };
            let new = image.add("cnode_none", Object::CNode(object));
            image
                .put("cnode_shell_root", 1, "CNode", Some(new))
                .guard_size = Some(0);
        },
        &["A", "I8"],
        &["'cnode_none'", "no bits"],
    ),
    (
        "an_interrupts_handler_is_none",
        |image| {
            let shell = image.index("tcb_shell");
            image.spec.irqs[1].handler = shell;
        },
        &["A"],
        &["handler of IRQ 33", "not an object for an interrupt"],
    ),
    // Endpoints, notifications, badges.
    (
        "inferences_faults_go_to_the_monitor",
        |image| {
            let monitor = image.index("ep_fault_monitor");
            for (name, slot) in [("tcb_inference", 5), ("cnode_inference", 2)] {
                image.cap(name, slot).body.object = Some(monitor);
            }
        },
        &["A", "I1", "I8"],
        &["inference's faults do not go to audit"],
    ),
    (
        "shells_faults_go_to_audit",
        |image| {
            let audit = image.index("ep_audit");
            image.cap("tcb_shell", 5).body.object = Some(audit);
        },
        &["A", "I1"],
        &[
            "shell",
            "fault endpoint",
            "audit's endpoint",
            "monitor's endpoint",
        ],
    ),
    (
        "inferences_faults_have_a_siblings_badge",
        |image| {
            image.cap("cnode_inference", 2).body.badge = Some((1 << 62) | 1);
        },
        &["A"],
        &["inference", "slot 2", "badge 0x4000000000000001"],
    ),
    (
        "shell_signals_as_inference",
        |image| {
            image.cap("cnode_shell", 10).body.badge = Some(2);
        },
        &["A"],
        &["shell", "slot 10", "badge 0x2", "0x1"],
    ),
    (
        "a_notification_has_grant",
        |image| {
            image.rights("cnode_shell", 10).grant = true;
        },
        &["A"],
        &["shell", "slot 10", "read, write, grant"],
    ),
    (
        "audit_cannot_signal_inference",
        |image| {
            image.rights("cnode_audit", 11).write = false;
        },
        &["A"],
        &["audit", "slot 11", "has read", "demands read, write"],
    ),
    (
        "audits_notification_is_not_bound",
        |image| {
            image.take("tcb_audit", 8);
        },
        &["A", "I8"],
        &["audit's notification", "bound to no thread", "may wait"],
    ),
    (
        "a_notification_is_bound_to_another",
        |image| {
            let shell = image.index("ntfn_shell");
            image.cap("tcb_inference", 8).body.object = Some(shell);
        },
        &["A", "I1", "I8"],
        &["inference", "bound notification", "shell's notification"],
    ),
];

pub fn trials() -> Vec<Trial> {
    let trial = |(name, change, claims, words): &'static Mutation| {
        Trial::test(format!("image::{name}"), move || {
            let mut image = Image::new();
            change(&mut image);
            Caught { claims, words }.judge(&check_image(&image.spec))
        })
    };
    MUTATIONS
        .iter()
        .chain(pages::MUTATIONS)
        .map(trial)
        .collect()
}

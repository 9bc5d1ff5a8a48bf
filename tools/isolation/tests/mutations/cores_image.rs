//! Harmful changes to the image of the system on several cores: a worker with an additional frame, notification or
//! capability, or on another core.

use crate::harness::{Caught, Image, Mutation, READ_WRITE, check_image_of_cores};
use isolation::capdl::format::{Object, Rights, TcbExtra};
use libtest_mimic::Trial;

const READ: Rights = Rights {
    write: false,
    ..READ_WRITE
};

/// Where workers map the arena, of which the fixture has 16 pages.
const ARENA: &str = "pt_worker1_vaddr_0x20000000";

/// Maps a frame after the arena of worker1.
fn map(image: &mut Image, frame: &str, rights: Rights) {
    let body = image.give(ARENA, 16, "Frame", frame);
    body.rights = Some(rights);
    (body.cached, body.executable) = (Some(true), Some(false));
}

fn thread<'a>(image: &'a mut Image, name: &str) -> &'a mut TcbExtra {
    match image.object(name) {
        Object::Tcb(tcb) => &mut tcb.extra,
        other => panic!("'{name}' is a {}", other.kind()),
    }
}

const MUTATIONS: &[Mutation] = &[
    // An additional frame.
    (
        "a_worker_reads_a_page_of_the_log",
        |image| map(image, "frame_mr_audit_log_000000001", READ),
        &["A", "C", "I3"],
        &["worker1", "page 1 of region 'audit_log'"],
    ),
    (
        "a_worker_writes_a_page_of_the_log",
        |image| map(image, "frame_mr_audit_log_000000001", READ_WRITE),
        &["A", "C", "I2", "I3"],
        &["worker1", "page 1 of region 'audit_log'"],
    ),
    (
        "a_worker_writes_a_page_of_inferences_ring",
        |image| map(image, "frame_mr_inference_to_audit_000000001", READ_WRITE),
        &["A", "I2"],
        &["worker1", "page 1 of region 'inference_to_audit'"],
    ),
    (
        "a_worker_writes_a_page_of_the_store",
        |image| map(image, "frame_mr_model_store_000000001", READ_WRITE),
        &["A", "C", "I4"],
        &["worker1", "page 1 of region 'model_store'"],
    ),
    (
        "a_worker_reads_a_page_of_shells_ring",
        |image| map(image, "frame_mr_shell_to_audit_000000001", READ),
        &["A", "C"],
        &["worker1", "page 1 of region 'shell_to_audit'"],
    ),
    (
        "a_worker_holds_a_frame_of_the_arena",
        |image| {
            let body = image.give("cnode_worker1", 9, "Frame", "frame_mr_arena_000000001");
            body.rights = Some(READ_WRITE);
        },
        &["A", "I8"],
        &["worker1", "slot 9", "page 1 of region 'arena'"],
    ),
    (
        "a_page_of_the_arena_is_executable_in_a_worker",
        |image| image.mapping("worker1", 0x2000_0000).executable = Some(true),
        &["A", "I5"],
        &["worker1", "page 0 of region 'arena'"],
    ),
    (
        "shell_reads_a_page_of_the_arena",
        |image| {
            let arena = image.index("frame_mr_arena_000000001");
            image.mapping("shell", 0x1110_4000).object = Some(arena);
        },
        &["A", "I3"],
        &["shell", "page 1 of region 'arena'"],
    ),
    // An additional notification.
    (
        "a_worker_may_signal_shell",
        |image| {
            let body = image.give("cnode_worker1", 12, "Notification", "ntfn_shell");
            (body.badge, body.rights) = (Some(4), Some(READ_WRITE));
        },
        &["A", "I1", "C"],
        &["worker1", "slot 12", "shell's notification"],
    ),
    (
        "a_worker_may_signal_another",
        |image| {
            let body = image.give("cnode_worker1", 12, "Notification", "ntfn_worker2");
            (body.badge, body.rights) = (Some(4), Some(READ_WRITE));
        },
        &["A", "P"],
        &["worker1", "slot 12", "worker2's notification"],
    ),
    (
        "shell_may_signal_a_worker",
        |image| {
            let body = image.give("cnode_shell", 20, "Notification", "ntfn_worker3");
            (body.badge, body.rights) = (Some(4), Some(READ_WRITE));
        },
        &["A", "I1", "C"],
        &["shell", "slot 20", "worker3's notification"],
    ),
    (
        "a_worker_signals_as_another",
        |image| image.cap("cnode_worker1", 11).body.badge = Some(4),
        &["A"],
        &["worker1", "slot 11", "badge 0x4", "0x2"],
    ),
    // An additional capability.
    (
        "a_worker_may_call_audit",
        |image| {
            let body = image.give("cnode_worker1", 74, "Endpoint", "ep_audit");
            (body.badge, body.rights) = (Some(1 << 63), Some(READ_WRITE));
        },
        &["A", "I8"],
        &["worker1", "slot 74", "audit's endpoint"],
    ),
    (
        "a_worker_has_its_own_tcb",
        |image| {
            image.give("cnode_worker1", 6, "Tcb", "tcb_worker1");
        },
        &["A"],
        &["worker1", "slot 6"],
    ),
    (
        "a_worker_has_inferences_tcb",
        |image| {
            image.give("cnode_worker1", 202, "Tcb", "tcb_inference");
        },
        &["A", "I8"],
        &["worker1", "slot 202", "inference's TCB"],
    ),
    (
        "a_worker_has_inferences_address_space",
        |image| {
            image.give("cnode_worker1", 9, "PageTable", "pud_inference");
        },
        &["A", "I8"],
        &["worker1", "slot 9", "inference's VSpace"],
    ),
    (
        "a_worker_has_its_scheduling_context",
        |image| {
            image.give("cnode_worker1", 9, "SchedContext", "sched_context_worker1");
        },
        &["A", "I8"],
        &["worker1", "slot 9", "scheduling context"],
    ),
    (
        "a_worker_has_irq_control",
        |image| {
            image.put("cnode_worker1", 9, "IrqControl", None);
        },
        &["A", "I8"],
        &["worker1", "slot 9", "IrqControl"],
    ),
    (
        "audit_has_not_a_workers_tcb",
        |image| {
            image.take("cnode_audit", 203);
        },
        &["A", "I8"],
        &["audit", "does not hold worker1's TCB"],
    ),
    (
        "a_workers_faults_have_anothers_badge",
        |image| image.cap("cnode_worker1", 2).body.badge = Some((1 << 62) | 2),
        &["A"],
        &["worker1", "slot 2", "badge 0x4000000000000002"],
    ),
    // Another core, another priority.
    (
        "a_worker_is_on_core_0",
        |image| thread(image, "tcb_worker1").affinity = 0,
        &["A", "I7"],
        &["worker1", "core 0", "1"],
    ),
    (
        "a_worker_is_on_anothers_core",
        |image| thread(image, "tcb_worker1").affinity = 2,
        &["A", "I7"],
        &["worker1", "core 2", "1"],
    ),
    (
        "a_worker_is_on_a_core_that_is_not_there",
        |image| thread(image, "tcb_worker3").affinity = 4,
        &["A", "I7"],
        &["worker3", "core 4", "3"],
    ),
    (
        "audit_is_on_a_workers_core",
        |image| thread(image, "tcb_audit").affinity = 1,
        &["A", "I7"],
        &["audit", "core 1", "0"],
    ),
    (
        "the_monitor_is_on_a_workers_core",
        |image| thread(image, "tcb_monitor").affinity = 1,
        &["A", "I7"],
        &["monitor", "core 1", "0"],
    ),
    (
        "a_worker_is_above_shell",
        |image| {
            let thread = thread(image, "tcb_worker1");
            (thread.prio, thread.max_prio) = (115, 115);
        },
        &["A", "I7"],
        &["worker1", "115"],
    ),
    (
        "a_worker_may_give_a_higher_priority",
        |image| thread(image, "tcb_worker1").max_prio = 120,
        &["A", "I7"],
        &["worker1", "120"],
    ),
];

pub fn harmful() -> Vec<Trial> {
    let trial = |(name, change, claims, words): &'static Mutation| {
        Trial::test(format!("cores::image::{name}"), move || {
            let mut image = Image::of_cores();
            change(&mut image);
            Caught { claims, words }.judge(&check_image_of_cores(&image.spec))
        })
    };
    MUTATIONS.iter().map(trial).collect()
}

pub fn harmless() -> Vec<Trial> {
    vec![Trial::test("harmless::cores::image::unchanged", || {
        crate::harness::none(&check_image_of_cores(&Image::of_cores().spec))
    })]
}

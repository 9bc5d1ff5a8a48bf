//! Harmful changes to an image's memory, interrupts and time that the description does not show.

use crate::harness::{Image, Mutation, READ_WRITE};
use isolation::capdl::format::{
    Bytes, Content, Data, ElfContent, Fill, FillEntry, Frame, Object, Range, Slot,
};
use serde_json::json;

/// An unmapped address, under a page table that each domain has.
const FREE: u64 = 0x003f_f000;

pub const MUTATIONS: &[Mutation] = &[
    // Pages.
    (
        "a_page_of_the_arena_is_in_shell",
        |image| {
            let arena = image.index("frame_mr_arena_000000002");
            let (table, _) = image.large_page("shell", 0x1000_0000);
            let body = image.put(&table, 300, "Frame", Some(arena));
            (body.rights, body.cached, body.executable) =
                (Some(READ_WRITE), Some(true), Some(false));
        },
        &["A", "I1", "I2", "I3"],
        &["shell", "page 2 of region 'arena'"],
    ),
    (
        "a_page_of_inferences_program_is_in_shell",
        |image| {
            let page = image.code("inference").clone();
            let (table, slot) = image.page("shell", FREE);
            *image.put(&table, slot, "Frame", None) = page;
        },
        &["A", "I1", "I2"],
        &["shell", "inference's program", "neither system.xml nor"],
    ),
    (
        "a_page_of_audits_stack_is_in_inference",
        |image| {
            let page = image.index("frame_audit_stack_000000063");
            let (table, slot) = image.page("inference", FREE);
            let body = image.put(&table, slot, "Frame", Some(page));
            (body.rights, body.cached, body.executable) =
                (Some(READ_WRITE), Some(true), Some(false));
        },
        &["A", "I2"],
        &["audit's stack", "inference"],
    ),
    (
        "one_page_of_a_ring_is_writable_in_audit",
        |image| {
            image
                .mapping("audit", 0x1100_3000)
                .rights
                .as_mut()
                .unwrap()
                .write = true;
        },
        &["A", "I2"],
        &[
            "audit",
            "0x11003000",
            "page 3 of region 'shell_to_audit'",
            "read, write",
        ],
    ),
    (
        "one_page_of_the_store_is_writable_in_inference",
        |image| {
            image
                .mapping("inference", 0x3000_1000)
                .rights
                .as_mut()
                .unwrap()
                .write = true;
        },
        &["A", "I4"],
        &["inference", "page 1 of region 'model_store'"],
    ),
    (
        "one_page_of_a_ring_is_another_regions",
        |image| {
            let other = image.index("frame_mr_audit_log_000000005");
            image.mapping("shell", 0x1110_4000).object = Some(other);
        },
        &["A", "I2", "I3"],
        &[
            "shell",
            "0x11104000",
            "page 5 of region 'audit_log'",
            "page 4 of region 'audit_to_shell'",
        ],
    ),
    (
        "a_page_of_the_arena_is_executable",
        |image| {
            image.mapping("inference", 0x2000_0000).executable = Some(true);
        },
        &["A", "I5"],
        &[
            "inference",
            "page 0 of region 'arena'",
            "read, write, execute",
        ],
    ),
    (
        "code_of_inference_is_writable",
        |image| {
            image.code("inference").rights = Some(READ_WRITE);
        },
        &["I5"],
        &["inference's program", "read, write, execute"],
    ),
    (
        "the_stack_of_shell_is_executable",
        |image| {
            image.mapping("shell", 0xff_ffff_d000).executable = Some(true);
        },
        &["A", "I5"],
        &["shell's stack", "execute"],
    ),
    (
        "a_page_of_a_region_is_missing",
        |image| {
            let page = image.index("frame_mr_arena_000000003");
            image.spec.objects[page].name = Some("frame_mr_other_000000000".to_owned());
        },
        &["A"],
        &["no page 3 of region 'arena'"],
    ),
    (
        "a_region_that_nobody_maps_is_in_the_image_alone",
        |image| {
            let init = Fill { entries: vec![] };
            let frame = Frame {
                size_bits: 12,
                paddr: None,
                init,
            };
            image.add("frame_mr_hidden_000000000", Object::Frame(frame));
        },
        &["A"],
        &["page 0 of region 'hidden'", "system.xml does not"],
    ),
    (
        "a_page_table_maps_a_tcb",
        |image| {
            let (table, slot) = image.page("inference", FREE);
            image.give(&table, slot, "Tcb", "tcb_audit");
        },
        &["A"],
        &["maps a Tcb at 0x3ff000"],
    ),
    (
        "a_page_table_is_missing",
        |image| {
            let (upper, slot) = image.large_page("shell", 0x1000_0000);
            let uart = image.index("frame_mr_uart_000000000");
            image.cap(&upper, slot).body.object = Some(uart);
        },
        &["A", "I6"],
        &["shell", "page table at 0x10000000 is not one"],
    ),
    (
        "a_page_table_is_of_another_level",
        |image| {
            let (table, _) = image.page("shell", 0x1000_0000);
            if let Object::PageTable(table) = image.object(&table) {
                table.level = Some(2);
            }
        },
        &["A"],
        &["not of level 3"],
    ),
    (
        "a_large_frame_is_mapped_as_a_small_one",
        |image| {
            if let Object::Frame(frame) = image.object("frame_mr_watchdog_000000000") {
                frame.size_bits = 21;
            }
        },
        &["A"],
        &["audit", "frame_mr_watchdog_000000000", "2^21", "2^12"],
    ),
    (
        "the_stack_of_audit_is_filled_from_a_file",
        |image| {
            let bytes = Content::Data(Data::BytesContent(Bytes::default()));
            fill(image, "frame_audit_stack_000000000", bytes);
        },
        &["A"],
        &["frame_audit_stack_000000000", "prefilled"],
    ),
    (
        "the_uart_is_also_in_audit",
        |image| {
            let uart = image.index("frame_mr_uart_000000000");
            let (table, slot) = image.page("audit", FREE);
            let body = image.put(&table, slot, "Frame", Some(uart));
            (body.rights, body.cached, body.executable) =
                (Some(READ_WRITE), Some(false), Some(false));
        },
        &["A", "I2", "I6"],
        &["'uart'", "audit", "belongs to shell"],
    ),
    (
        "the_uart_is_mapped_elsewhere",
        |image| {
            let (table, slot) = image.page("shell", 0x1000_0000);
            let cap = image.take(&table, slot);
            image.slots(&table).push(Slot {
                slot: slot + 7,
                cap,
            });
        },
        &["A"],
        &[
            "shell",
            "address 0x10000000",
            "does not hold page 0 of region 'uart'",
        ],
    ),
    (
        "the_uart_is_cached",
        |image| {
            image.mapping("shell", 0x1000_0000).cached = Some(true);
        },
        &["A", "I6"],
        &["'uart'", "cached"],
    ),
    (
        "a_page_table_is_shared",
        |image| {
            let (table, _) = image.page("audit", 0x1200_0000);
            let (upper, _) = image.large_page("shell", 0x1000_0000);
            image.give(&upper, 400, "PageTable", &table);
        },
        &["A"],
        &["page table", "audit and of shell"],
    ),
    (
        "a_ring_lies_on_the_uart",
        |image| {
            if let Object::Frame(frame) = image.object("frame_mr_inference_to_audit_000000000") {
                frame.paddr = Some(0x900_0000);
            }
        },
        &["A", "I2"],
        &[
            "frame_mr_inference_to_audit_000000000",
            "frame_mr_uart_000000000",
            "same physical memory",
        ],
    ),
    (
        "a_page_of_a_program_is_a_device",
        |image| {
            if let Object::Frame(frame) = image.object("frame_elf_inference_000000000") {
                frame.paddr = Some(0xa00_0000);
            }
        },
        &["A"],
        &["frame_elf_inference_000000000", "0xa000000", "no region"],
    ),
    (
        "a_page_more_is_in_inference",
        |image| {
            let new = image.add(
                "scratch",
                Object::Frame(Frame {
                    size_bits: 12,
                    paddr: None,
                    init: Fill { entries: vec![] },
                }),
            );
            let (table, slot) = image.page("inference", FREE);
            let body = image.put(&table, slot, "Frame", Some(new));
            (body.rights, body.cached, body.executable) =
                (Some(READ_WRITE), Some(true), Some(false));
        },
        &["A"],
        &["inference", "0x3ff000", "'scratch'"],
    ),
    // Contents of memory.
    (
        "shells_program_is_in_inference",
        |image| {
            fill(image, "frame_elf_inference_000000003", elf(2));
        },
        &["A"],
        &["inference's program", "ELF file 2", "its own, 1"],
    ),
    (
        "shell_and_inference_have_each_others_programs",
        |image| {
            for object in &mut image.spec.objects {
                let name = object.name.as_deref().unwrap_or_default();
                let file = match name {
                    name if name.starts_with("frame_elf_shell_") => 1,
                    name if name.starts_with("frame_elf_inference_") => 2,
                    _ => continue,
                };
                if let Object::Frame(frame) = &mut object.object {
                    for entry in &mut frame.init.entries {
                        entry.content = elf(file);
                    }
                }
            }
        },
        &["A"],
        &["shell's program", "ELF file 1", "its own, 2"],
    ),
    (
        "audits_program_is_not_filled",
        |image| {
            for object in &mut image.spec.objects {
                if let Object::Frame(frame) = &mut object.object
                    && object
                        .name
                        .as_deref()
                        .is_some_and(|name| name.starts_with("frame_elf_audit_"))
                {
                    frame.init.entries.clear();
                }
            }
        },
        &["A"],
        &["audit's program", "no ELF file"],
    ),
    (
        "the_arena_is_filled_from_a_file",
        |image| {
            fill(
                image,
                "frame_mr_arena_000000000",
                Content::Data(Data::BytesContent(Bytes::default())),
            );
        },
        &["A"],
        &["'arena'", "prefilled"],
    ),
    (
        "the_store_is_filled_from_a_program",
        |image| {
            fill(image, "frame_mr_model_store_000000000", elf(1));
        },
        &["A"],
        &["frame_mr_model_store_000000000", "ELF file 1"],
    ),
    (
        "a_ring_is_filled_with_boot_information",
        |image| {
            fill(
                image,
                "frame_mr_shell_to_audit_000000000",
                Content::BootInfo(json!({"id": 0, "offset": 0})),
            );
        },
        &["A"],
        &["frame_mr_shell_to_audit_000000000", "boot information"],
    ),
    // Interrupts and time.
    (
        "the_interrupt_of_the_uart_is_inferences",
        |image| {
            let cap = image.take("cnode_shell", 139);
            image.slots("cnode_inference").push(Slot { slot: 139, cap });
        },
        &["A", "I1", "I6"],
        &["inference has IRQ 33", "UART", "belongs to shell"],
    ),
    (
        "the_interrupt_of_the_uart_is_delivered_to_audit",
        |image| {
            let audit = image.index("ntfn_audit");
            image.cap("irq_33_shell", 0).body.object = Some(audit);
        },
        &["A"],
        &["audit", "delivery of IRQ 33", "neither"],
    ),
    (
        "the_watchdogs_interrupt_has_another_badge",
        |image| {
            image.cap("irq_34_audit", 0).body.badge = Some(1);
        },
        &["A"],
        &["audit", "delivery of IRQ 34", "badge 0x1", "0x4"],
    ),
    (
        "two_interrupts_have_each_others_handlers",
        |image| {
            let handlers = [image.spec.irqs[1].handler, image.spec.irqs[2].handler];
            (image.spec.irqs[1].handler, image.spec.irqs[2].handler) = (handlers[1], handlers[0]);
        },
        &["A"],
        &["object of IRQ 34", "handler of IRQ 33"],
    ),
    (
        "two_handlers_share_an_interrupt",
        |image| {
            let handler = image.index("irq_33_shell");
            image
                .spec
                .irqs
                .push(isolation::capdl::format::IrqEntry { irq: 34, handler });
        },
        &["A"],
        &["IRQ 34", "two handlers"],
    ),
    (
        "shell_is_above_audit",
        |image| {
            tcb(image, "tcb_shell").prio = 130;
        },
        &["A", "I7"],
        &["audit has priority 120", "not above shell's 130"],
    ),
    (
        "inference_may_raise_its_priority",
        |image| {
            tcb(image, "tcb_inference").max_prio = 255;
        },
        &["A", "I7"],
        &["inference may give priority 255"],
    ),
    (
        "the_monitor_is_below_audit",
        |image| {
            tcb(image, "tcb_monitor").prio = 115;
        },
        &["A", "I8"],
        &[
            "audit may take messages from monitor's endpoint",
            "115",
            "120",
        ],
    ),
    (
        "the_monitor_is_a_little_lower",
        |image| {
            tcb(image, "tcb_monitor").prio = 254;
        },
        &["A", "I8"],
        &["the monitor has priority 254, not 255"],
    ),
    (
        "inference_has_half_of_its_time",
        |image| {
            if let Object::SchedContext(context) = image.object("sched_context_inference") {
                context.extra.budget = 5000;
            }
        },
        &["A", "I7"],
        &["inference", "budget of 5000"],
    ),
    (
        "inference_has_no_time_of_its_own",
        |image| {
            image.take("tcb_inference", 6);
        },
        &["A", "I7"],
        &["inference has no scheduling context"],
    ),
    (
        "inference_runs_on_shells_time",
        |image| {
            let shell = image.index("sched_context_shell");
            image.cap("tcb_inference", 6).body.object = Some(shell);
        },
        &["A", "I1"],
        &[
            "inference",
            "scheduling context of the TCB",
            "shell's scheduling context",
        ],
    ),
    (
        "audit_has_floating_point",
        |image| {
            tcb(image, "tcb_audit").fpu_disabled = false;
        },
        &["A"],
        &["audit", "fpu true", "false"],
    ),
    (
        "shell_is_in_another_scheduling_domain",
        |image| {
            tcb(image, "tcb_shell").domain = Some(3);
        },
        &["A"],
        &["shell", "partition 3"],
    ),
    (
        "there_is_a_schedule_of_domains",
        |image| {
            image.spec.domain_schedule =
                serde_json::from_value(json!([{"domain": 0, "duration": "EndMarker"}])).unwrap();
        },
        &["A"],
        &["a schedule of 1 turns"],
    ),
    (
        "there_are_asid_slots",
        |image| {
            image.spec.asid_slots.push(0);
        },
        &["A"],
        &["asid_slots"],
    ),
    (
        "two_objects_have_one_name",
        |image| {
            image.add("ntfn_shell", Object::Notification);
        },
        &["A"],
        &["two objects are shell's notification"],
    ),
    (
        "code_of_inference_is_mapped_writable_elsewhere",
        |image| {
            let mut page = image.code("inference").clone();
            (page.rights, page.executable) = (Some(READ_WRITE), Some(false));
            let (table, slot) = image.page("inference", FREE);
            *image.put(&table, slot, "Frame", None) = page;
        },
        &["A"],
        &[
            "frame_elf_inference_",
            "is mapped at",
            "0x3ff000 in inference",
        ],
    ),
];

fn tcb<'a>(image: &'a mut Image, name: &str) -> &'a mut isolation::capdl::format::TcbExtra {
    match image.object(name) {
        Object::Tcb(tcb) => &mut tcb.extra,
        other => panic!("'{name}' is of kind {}", other.kind()),
    }
}

fn elf(elf_id: usize) -> Content {
    Content::Data(Data::ElfContent(ElfContent {
        elf_id,
        elf_seg_idx: 0,
        elf_seg_data_range: Range { start: 0, end: 8 },
    }))
}

fn fill(image: &mut Image, name: &str, content: Content) {
    let Object::Frame(frame) = image.object(name) else {
        panic!("'{name}' is no frame");
    };
    frame.init.entries.push(FillEntry {
        range: Range { start: 0, end: 8 },
        content,
    });
}

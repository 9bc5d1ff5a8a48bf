//! Attacks on the kernel's interface: capabilities that this domain does not have, messages that it should not send,
//! and instructions that user mode forbids.

use crate::machine;
use core::fmt::Write as _;
use core::ops::Range;
use redteam_attacks::Say;
use sel4::{MessageInfo, cap};

/// Number of slots in a domain's CNode.
const SLOTS: u64 = 512;
/// The first slots of its channels' notifications and of its interrupts.
const CHANNELS: u64 = 10;
const IRQS: u64 = 138;
/// Bytes of a small page.
const PAGE: usize = 4096;
const FAULTS: u64 = 2;
const VSPACE: u64 = 3;
const REPLY: u64 = 4;
/// Labels of invocations to try: seL4 16 has fewer.
const LABELS: Range<u64> = 0..80;

/// The labels with which an address space cleans or invalidates the cache for a range of its addresses.
#[cfg(target_arch = "aarch64")]
fn cache_labels() -> [u64; 4] {
    use sel4::sys::invocation_label as label;
    [
        label::ARMVSpaceClean_Data.into(),
        label::ARMVSpaceInvalidate_Data.into(),
        label::ARMVSpaceCleanInvalidate_Data.into(),
        label::ARMVSpaceUnify_Instruction.into(),
    ]
}

/// RISC-V has no such call.
#[cfg(target_arch = "riscv64")]
const fn cache_labels() -> [u64; 0] {
    []
}

/// An address in the part of the address space that the kernel keeps for itself.
#[cfg(target_arch = "aarch64")]
const KERNEL: usize = 0xffff_ff80_4000_0000;
/// An address as above: here the kernel maps the physical memory that it was loaded to.
#[cfg(target_arch = "riscv64")]
const KERNEL: usize = 0xffff_ffc0_8400_0000;

/// The slot of the notification of its first channel's other end: audit, or, for a worker, inference.
fn peers_slot() -> u64 {
    let [first, ..] = crate::own_channels();
    CHANNELS + first as u64
}

/// Slots that the domain has itself: its notification, fault endpoint, address space, reply object, its channels'
/// notifications, and the shell's interrupt. Signals on its notifications and operations on its interrupt are allowed,
/// and a message to the second slot ends this run.
fn is_own(slot: u64) -> bool {
    let irq = crate::own_irq().map(|id| IRQS + id as u64);
    let mut channels = crate::own_channels().into_iter();
    [1, FAULTS, VSPACE, REPLY].contains(&slot)
        || channels.any(|id| CHANNELS + id as u64 == slot)
        || irq == Some(slot)
}

/// The kernel's answers to many invocations.
#[derive(Default)]
struct Tally {
    granted: u32,
    /// Counts by the number of seL4's error.
    refused: [u32; 16],
}

impl Tally {
    fn add(&mut self, label: u64) {
        match label {
            0 => self.granted += 1,
            _ => self.refused[(label as usize).min(15)] += 1,
        }
    }

    fn tell(&self, say: &mut Say) {
        let _ = write!(say, "granted={}", self.granted);
        for (error, count) in self.refused.iter().enumerate() {
            if *count > 0 {
                let _ = write!(say, " error{error}={count}");
            }
        }
    }
}

/// Invokes a slot with these words, and with capabilities attached. Returns the label of the answer: 0, or seL4's
/// error.
fn invoke(slot: u64, label: u64, words: [u64; 8]) -> u64 {
    sel4::with_ipc_buffer_mut(|buffer| {
        for (place, slot) in buffer
            .caps_or_badges_mut()
            .iter_mut()
            .zip([VSPACE, peers_slot(), 1])
        {
            *place = slot;
        }
        for (place, word) in buffer.msg_regs_mut().iter_mut().zip(words) {
            *place = word;
        }
    });
    let [a, b, c, d, ..] = words;
    let info = MessageInfo::new(label, 0, 3, words.len());
    let slot = sel4::CPtr::from_bits(slot).cast::<sel4::cap_type::Endpoint>();
    slot.call_with_mrs(info, [a, b, c, d]).info.label()
}

/// Enters the kernel without effect: sends a message to an empty slot, without waiting.
#[allow(dead_code, reason = "not every hostile domain measures time")]
pub(crate) fn enter() {
    let empty = cap::Endpoint::from_bits(SLOTS - 1);
    empty.nb_send(MessageInfo::new(0, 0, 0, 0));
}

/// Tries every label on every one of these slots.
fn sweep(slots: impl Iterator<Item = u64>, words: [u64; 8], say: &mut Say) {
    let mut tally = Tally::default();
    for slot in slots {
        for label in LABELS {
            tally.add(invoke(slot, label, words));
        }
    }
    tally.tell(say);
}

/// Has the kernel clean the cache of each page, invalidate it, do both, and unify it. A call covers one page, because
/// it cannot be interrupted. Then tries ranges across two pages, which the kernel refuses.
pub(crate) fn maintain_caches(regions: impl Iterator<Item = (usize, usize)>, say: &mut Say) {
    let (mut pages, mut us, mut calls) = (0_u32, 0, 0_u64);
    let (mut alone, mut across) = (Tally::default(), 0_u32);
    for (start, bytes) in regions {
        for page in (start..start + bytes).step_by(PAGE) {
            pages += 1;
            for label in cache_labels() {
                let range = |end: usize| [page as u64, end as u64, 0, 0, 0, 0, 0, 0];
                let before = runtime::counter::now_us();
                alone.add(invoke(VSPACE, label, range(page + PAGE)));
                us += runtime::counter::now_us() - before;
                calls += 1;
                across += u32::from(invoke(VSPACE, label, range(page + PAGE + 1)) == 0);
            }
        }
    }
    let _ = write!(say, "across-pages={across} pages={pages} ");
    alone.tell(say);
    let _ = write!(say, " calls={calls}");
    // The time of all calls: a single one may have been interrupted before or after it.
    if runtime::counter::IS_READABLE {
        let _ = write!(say, " mean-ns={}", us * 1000 / calls.max(1));
    }
}

/// Makes the attack with this name; false if there is none.
pub(crate) fn perform(name: &str, say: &mut Say) -> bool {
    // A copy from the slot of its channel to slot 300, at full depth, with all rights.
    let words = [300, 64, peers_slot(), 64, 0xf, 0xffff, 1, 1];
    match name {
        "read-kernel" => redteam_attacks::read(KERNEL, say),
        "invoke-all-slots" => sweep((0..SLOTS).filter(|slot| !is_own(*slot)), words, say),
        "invoke-address-space" => {
            // The first two words are a range to clean: a page of its own. For other labels, see `words`.
            let page = crate::own_regions()[0].address;
            let [_, _, rest @ ..] = words;
            let mut range = [page as u64, (page + PAGE) as u64, 0, 0, 0, 0, 0, 0];
            range[2..].copy_from_slice(&rest);
            sweep([VSPACE].into_iter(), range, say);
        }
        "maintain-caches" => {
            let regions = crate::own_regions();
            maintain_caches(
                regions.iter().map(|region| (region.address, region.bytes)),
                say,
            );
        }
        "reply-to-nobody" => sweep([REPLY].into_iter(), words, say),
        "invoke-root-slots" => sweep((1..64).map(|slot| slot << 58), words, say),
        "copy-by-root" => {
            let mut tally = Tally::default();
            for root in (0..SLOTS).filter(|slot| !is_own(*slot)) {
                for depth in 1..=64 {
                    let label = sel4::sys::invocation_label::CNodeCopy.into();
                    tally.add(invoke(
                        root,
                        label,
                        [300, depth, peers_slot(), depth, 0xf, 0, 0, 0],
                    ));
                }
            }
            tally.tell(say);
        }
        "signal-foreign-channels" => {
            let mut tally = Tally::default();
            for slot in (CHANNELS..74)
                .chain(IRQS..202)
                .filter(|slot| !is_own(*slot))
            {
                cap::Notification::from_bits(slot).signal();
                tally.add(invoke(slot, 0, [0; 8]));
            }
            tally.tell(say);
        }
        "call-foreign-endpoints" => sweep(74..138, words, say),
        "stop-audit" | "stop-others" => sweep(202..266, words, say),
        "lookup-outside" => {
            let label = invoke(0x10_0000, 0, words);
            let _ = write!(say, "SUCCEEDED: answered {label}");
        }
        "wait-on-audit" | "wait-on-inference" => {
            let (_, badge) = cap::Notification::from_bits(peers_slot()).wait();
            let _ = write!(say, "SUCCEEDED: got {badge:#x}");
        }
        "receive-on-nothing" => {
            let (_, badge) = cap::Endpoint::from_bits(74).recv(cap::Reply::from_bits(REPLY));
            let _ = write!(say, "SUCCEEDED: got {badge:#x}");
        }
        "receive-faults" => {
            let mut received = 0;
            for _ in 0..10_000 {
                let endpoint = cap::Endpoint::from_bits(FAULTS);
                let (_, badge) = endpoint.nb_recv(cap::Reply::from_bits(REPLY));
                // A signal from audit also arrives here, because its notification is bound.
                received += u32::from(badge >> 62 != 0);
            }
            let _ = write!(say, "received={received}");
        }
        "steal-faults" => loop {
            let _ = cap::Endpoint::from_bits(FAULTS).recv(cap::Reply::from_bits(REPLY));
        },
        "forge-fault" => {
            let label = invoke(FAULTS, 6, [0x1234, 0xbad_000, 0, 0, 0, 0, 0, 0]);
            let _ = write!(say, "SUCCEEDED: answered {label}");
        }
        "forge-fault-long" => {
            sel4::with_ipc_buffer_mut(|buffer| buffer.msg_regs_mut()[..120].fill(u64::MAX));
            let info = MessageInfo::new(0x7_7777, 0, 3, 120);
            let answer = cap::Endpoint::from_bits(FAULTS).call(info);
            let _ = write!(say, "SUCCEEDED: answered {}", answer.label());
        }
        // SysDebugPutChar of the debug kernel.
        "debug-putchar" => system_call(-12, say),
        "unknown-system-call" => system_call(0x77, say),
        "write-translation-table" => {
            machine::write_translation_table();
            let _ = write!(say, "SUCCEEDED: wrote");
        }
        "read-performance-counter" => {
            let cycles = machine::read_cycles();
            let _ = write!(say, "{}: {cycles}", machine::CYCLES);
        }
        "call-firmware" => {
            machine::call_firmware();
            let _ = write!(say, "SUCCEEDED: called");
        }
        "call-hypervisor" => {
            machine::call_hypervisor();
            let _ = write!(say, "SUCCEEDED: called");
        }
        _ => return false,
    }
    true
}

fn system_call(number: i64, say: &mut Say) {
    machine::system_call(number);
    let _ = write!(say, "SUCCEEDED: called");
}

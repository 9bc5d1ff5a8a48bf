//! Differences between boards that affect attacks.

use redteam_attacks::client::{self, Must as ClientMust};
use redteam_attacks::worker::{self, Must as WorkerMust};
use redteam_attacks::{Attack, Must};
use std::path::Path;
use std::sync::LazyLock;
use sysdesc::Board;
use sysdesc::board::{Arch, FOLDER};

/// The board to attack: `SEL4_LLM_BOARD`, or the default one.
static BOARD: LazyLock<Board> = LazyLock::new(|| {
    let Ok(name) = std::env::var("SEL4_LLM_BOARD") else {
        return Board::usual();
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(FOLDER);
    Board::find(&folder, &name).expect("make has built for it")
});

/// Required report on RISC-V, where an address space accepts no invocation at all, not even for caches.
const NO_CALL: &str = "granted=0";

/// The end of Microkit's stacks with 39-bit addresses (`pds/sel4/runtime/src/layout.rs`).
const STACK_TOP_SV39: usize = 0x3f_ffff_d000;

/// The board's name, in the table of results.
pub(crate) fn name() -> &'static str {
    &BOARD.name
}

/// Whether the kernel lets every domain write the timer's registers.
pub(crate) fn timer_is_open() -> bool {
    BOARD
        .kernel
        .get("EXPORT_PTMR_USER")
        .is_some_and(|open| *open)
}

/// Attacks by cache maintenance, for which RISC-V has no invocation.
const CACHES: [&str; 4] = [
    "worker-maintain-caches",
    "maintain-caches",
    "shell-maintain-caches",
    "shell-maintain-device-cache",
];

/// Whether an attack can be made on this board.
pub(crate) fn has(attack: &str) -> bool {
    BOARD.arch != Arch::Riscv64 || !CACHES.contains(&attack)
}

/// The required outcome of inference's attack.
pub(crate) fn must(attack: &Attack) -> Must {
    let dies = |of, at| Must::Die { of, at };
    match attack.name {
        // The first write kills it.
        "disarm-timer" | "storm-timer" if !timer_is_open() => dies("an exception", None),
        name if BOARD.arch == Arch::Riscv64 => match name {
            // A clock that the firmware gives to everybody: docs/isolation.md.
            "read-performance-counter" => Must::Say("everybody reads cycles"),
            "invoke-address-space" => Must::Say(NO_CALL),
            // In user mode, the instruction that calls the firmware is a system call.
            "call-firmware" => dies("an unknown system call", None),
            "read-guard-page" => dies("a memory fault", Some(STACK_TOP_SV39 - 0x8_0000 - 8)),
            _ => attack.must,
        },
        _ => attack.must,
    }
}

/// The required outcome of a hostile worker's attack.
pub(crate) fn worker_must(attack: &worker::Attack) -> WorkerMust {
    let dies = WorkerMust::Die;
    match attack.name {
        "worker-disarm-timer" | "worker-storm-timer" if !timer_is_open() => {
            dies("an exception", None)
        }
        name if BOARD.arch == Arch::Riscv64 => match name {
            "worker-read-performance-counter" => WorkerMust::Say("everybody reads cycles"),
            "worker-invoke-address-space" => WorkerMust::Say(NO_CALL),
            "worker-call-firmware" => dies("an unknown system call", None),
            "worker-read-guard-page" => {
                let page = STACK_TOP_SV39 - worker::STACK - 8;
                dies("a memory fault", Some(page))
            }
            _ => attack.must,
        },
        _ => attack.must,
    }
}

/// The hostile shell's required report about an attack that it survives.
pub(crate) fn shell_must(name: &str, must: &'static str) -> &'static str {
    match name {
        "shell-invoke-address-space" if BOARD.arch == Arch::Riscv64 => NO_CALL,
        _ => must,
    }
}

/// The required outcome of the hostile client's attack.
pub(crate) fn client_must(attack: &client::Attack) -> ClientMust {
    match attack.name {
        "mallory-storm-timer" if !timer_is_open() => ClientMust::Die,
        "mallory-invoke-address-space" if BOARD.arch == Arch::Riscv64 => ClientMust::Say(NO_CALL),
        _ => attack.must,
    }
}

//! What an attack meets that depends on the board.

use redteam_attacks::client::{self, Must as ClientMust};
use redteam_attacks::{Attack, Must};
use std::path::Path;
use std::sync::LazyLock;
use sysdesc::Board;
use sysdesc::board::{Arch, FOLDER};

/// The board that is attacked: `SEL4_LLM_BOARD`, or the usual one.
static BOARD: LazyLock<Board> = LazyLock::new(|| {
    let Ok(name) = std::env::var("SEL4_LLM_BOARD") else {
        return Board::usual();
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(FOLDER);
    Board::find(&folder, &name).expect("make has built for it")
});

/// Whether the kernel lets every domain write the timer's registers.
pub(crate) fn timer_is_open() -> bool {
    BOARD
        .kernel
        .get("EXPORT_PTMR_USER")
        .is_some_and(|open| *open)
}

/// What must become of an attack of inference's.
pub(crate) fn must(attack: &Attack) -> Must {
    match attack.name {
        // The first write is the end of it.
        "disarm-timer" | "storm-timer" if !timer_is_open() => Must::Die {
            of: "an exception",
            at: None,
        },
        // A clock that the firmware gives to everybody: docs/isolation.md.
        "read-performance-counter" if BOARD.arch == Arch::Riscv64 => {
            Must::Say("everybody reads cycles")
        }
        _ => attack.must,
    }
}

/// What must become of an attack of the hostile client's.
pub(crate) fn client_must(attack: &client::Attack) -> ClientMust {
    match attack.name {
        "mallory-storm-timer" if !timer_is_open() => ClientMust::Die,
        _ => attack.must,
    }
}

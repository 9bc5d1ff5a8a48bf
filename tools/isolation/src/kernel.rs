//! Claim K: what the kernel's configuration (`gen_config.json` of the SDK) lets user code do without a capability.
//!
//! An option that differs from the table is a violation: either user code gets more than is documented, or a residual
//! channel of docs/isolation.md is closed and the document is out of date. If a board's kernel differs from the others,
//! the board's file says so (`[kernel]`).

use crate::claims::Finding;
use crate::microkit::Configuration;
use crate::policy::Policy;
use serde_json::{Map, Value};
use sysdesc::{Arch, Board};

/// An option of the kernel that decides what user code may do.
struct Switch {
    name: &'static str,
    /// The architecture that has it; `None` for both.
    arch: Option<Arch>,
    /// The values in release, debug and benchmark.
    expected: [Expected; 3],
    /// The effect of the option if it is on.
    means: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    On,
    Off,
    Text(&'static str),
}
use Expected::{Off, On, Text};

const OPTIONS: &[Switch] = &[
    Switch {
        name: "KERNEL_MCS",
        arch: None,
        expected: [On; 3],
        means: "scheduling contexts: I7 depends on them",
    },
    Switch {
        name: "MAX_NUM_NODES",
        arch: None,
        expected: [Text("1"); 3],
        means: "one core: row M2 depends on it, unless a system says otherwise",
    },
    Switch {
        name: "ENABLE_SMP_SUPPORT",
        arch: None,
        expected: [Off; 3],
        means: "domains run side by side",
    },
    Switch {
        name: "EXPORT_PCNT_USER",
        arch: Some(Arch::Aarch64),
        expected: [On; 3],
        means: "every domain can read the time (the physical counter)",
    },
    Switch {
        name: "EXPORT_PTMR_USER",
        arch: Some(Arch::Aarch64),
        expected: [Off; 3],
        means: "every domain can write the physical timer's registers, which hold 64 bits and are not switched per \
                thread: a residual channel, and the reason why the timer's interrupt is only a hint",
    },
    Switch {
        name: "EXPORT_VCNT_USER",
        arch: Some(Arch::Aarch64),
        expected: [Off; 3],
        means: "every domain can read the virtual counter",
    },
    Switch {
        name: "EXPORT_VTMR_USER",
        arch: Some(Arch::Aarch64),
        expected: [Off; 3],
        means: "every domain can write the virtual timer's registers",
    },
    Switch {
        name: "AARCH64_USER_CACHE_ENABLE",
        arch: Some(Arch::Aarch64),
        expected: [On; 3],
        means: "every domain can clean and invalidate caches by the addresses that it has mapped",
    },
    Switch {
        name: "ARM_HYPERVISOR_SUPPORT",
        arch: Some(Arch::Aarch64),
        expected: [On; 3],
        means: "a domain with its own VSpace can invalidate cached data that it may only read (row M3)",
    },
    Switch {
        name: "ALLOW_SMC_CALLS",
        arch: Some(Arch::Aarch64),
        expected: [On; 3],
        means: "a domain with an SMC capability could call the firmware; none has one (I8)",
    },
    Switch {
        name: "SET_TLS_BASE_SELF",
        arch: None,
        expected: [Off; 3],
        means: "every domain can set its own TLS register by a system call",
    },
    Switch {
        name: "DANGEROUS_CODE_INJECTION",
        arch: None,
        expected: [Off; 3],
        means: "every domain can run code in the kernel",
    },
    Switch {
        name: "VERIFICATION_BUILD",
        arch: None,
        expected: [On, Off, Off],
        means: "features that are not part of the verified kernels are refused at build time",
    },
    Switch {
        name: "DEBUG_BUILD",
        arch: None,
        expected: [Off, On, Off],
        means: "every domain can halt the system, name any TCB that it holds and dump the scheduler by system calls",
    },
    Switch {
        name: "PRINTING",
        arch: None,
        expected: [Off, On, Off],
        means: "every domain can print on the console through the kernel, past shell and audit",
    },
    Switch {
        name: "HARDWARE_DEBUG_API",
        arch: None,
        expected: [Off, On, Off],
        means: "a domain that holds a TCB can set breakpoints in its thread",
    },
    Switch {
        name: "ENABLE_BENCHMARKS",
        arch: None,
        expected: [Off, Off, On],
        means: "every domain can reset and read the kernel's benchmark counters by system calls",
    },
    Switch {
        name: "EXPORT_PMU_USER",
        arch: Some(Arch::Aarch64),
        expected: [Off, Off, On],
        means: "every domain can read and set the performance counters, which are not switched per thread",
    },
    Switch {
        name: "PT_LEVELS",
        arch: Some(Arch::Riscv64),
        expected: [Text("3"); 3],
        means: "Sv39: it determines where Microkit puts stacks, and the structure of the image's page tables",
    },
    Switch {
        name: "RISCV_EXT_D",
        arch: Some(Arch::Riscv64),
        expected: [On; 3],
        means: "floating-point registers, which are switched with the domain that may use them",
    },
    Switch {
        name: "RISCV_USE_CLINT_MTIME",
        arch: Some(Arch::Riscv64),
        expected: [Off; 3],
        means: "the kernel takes the time from a device, not from the counter that every domain can read",
    },
];

impl Switch {
    /// Whether kernels of this board have it.
    fn is_of(&self, board: &Board) -> bool {
        self.arch.is_none_or(|arch| arch == board.arch)
    }

    /// The values that it must have on this board, in release, debug and benchmark.
    fn expected_on(&self, board: &Board) -> [Expected; 3] {
        match board.kernel.get(self.name) {
            Some(true) => [On; 3],
            Some(false) => [Off; 3],
            None => self.expected,
        }
    }
}

/// The table of what each board's release kernel must be, for the document.
#[must_use]
pub fn table(boards: &[Board]) -> String {
    let mut text = String::from("| option of the release kernel |");
    for board in boards {
        text += &format!(" `{}` |", board.name);
    }
    text += " what it means if it is on |\n|---|";
    text += &"---|".repeat(boards.len() + 1);
    text.push('\n');
    for option in OPTIONS {
        text += &format!("| `{}` |", option.name);
        for board in boards {
            let [release, ..] = option.expected_on(board);
            let value = match release {
                _ if !option.is_of(board) => "not present",
                On => "**on**",
                Off => "off",
                Text(value) => value,
            };
            text += &format!(" {value} |");
        }
        text += &format!(" {} |\n", option.means);
    }
    text
}

/// Whether a system is for one core or for several. Microkit has a kernel configuration for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// Everything is on core 0.
    One,
    /// Its description puts domains on more cores.
    Several,
}

impl Cores {
    /// What a policy asks for.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        if policy.core.is_empty() {
            Self::One
        } else {
            Self::Several
        }
    }

    /// The required value of an option, if it depends on the number of cores.
    fn expects(self, option: &str) -> Option<Expected> {
        match (self, option) {
            // Every board has four cores.
            (Self::Several, "MAX_NUM_NODES") => Some(Text("4")),
            (Self::Several, "ENABLE_SMP_SUPPORT") => Some(On),
            _ => None,
        }
    }
}

/// Checks the configuration of a kernel.
#[must_use]
pub fn check(
    options: &Map<String, Value>,
    board: &Board,
    configuration: Configuration,
    cores: Cores,
) -> Finding {
    let index = match configuration {
        Configuration::Release => 0,
        Configuration::Debug => 1,
        Configuration::Benchmark => 2,
    };
    let mut finding = Finding::default();
    for name in board.kernel.keys() {
        if !OPTIONS.iter().any(|option| option.name == name) {
            finding.violation(format!(
                "boards/{}.toml has kernel option {name}, which this checker does not know",
                board.name
            ));
        }
    }
    for option in OPTIONS.iter().filter(|option| option.is_of(board)) {
        let Some(value) = options.get(option.name) else {
            finding.violation(format!(
                "the kernel's configuration has no option {}",
                option.name
            ));
            continue;
        };
        let is = match value {
            Value::Bool(on) => on.to_string(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let everywhere = match cores.expects(option.name) {
            Some(expected) => [expected; 3],
            None => option.expected_on(board),
        };
        let expected = everywhere[index];
        let must = match expected {
            On => "true",
            Off => "false",
            Text(text) => text,
        };
        if is != must {
            finding.violation(format!(
                "{} is {is}, in the {} configuration for {} it must be {must} ({})",
                option.name,
                configuration.name(),
                board.name,
                option.means
            ));
        } else if expected != everywhere[0] {
            let lost = if expected == On { "" } else { "without: " };
            finding
                .not_claimed
                .push(format!("{} = {is}: {lost}{}", option.name, option.means));
        } else if expected != Off {
            finding.evidence(format!("{} = {is}: {}", option.name, option.means));
        }
    }
    finding
}

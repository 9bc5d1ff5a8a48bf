//! Claim K: what the kernel's configuration (`gen_config.json` of the SDK) lets user code do without any
//! capability.
//!
//! An option that is not as the table says is a violation: either user code gets more than is
//! written down, or a residual channel of docs/isolation.md is closed and the document is behind.

use crate::claims::Finding;
use crate::microkit::Configuration;
use serde_json::{Map, Value};

/// An option of the kernel that decides what user code may do.
struct Switch {
    name: &'static str,
    /// In release, debug, benchmark.
    expected: [Expected; 3],
    /// What it means where it is on.
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
        expected: [On; 3],
        means: "scheduling contexts: I7 rests on them",
    },
    Switch {
        name: "MAX_NUM_NODES",
        expected: [Text("1"); 3],
        means: "one core: row M2 rests on it",
    },
    Switch {
        name: "ENABLE_SMP_SUPPORT",
        expected: [Off; 3],
        means: "domains run side by side",
    },
    Switch {
        name: "EXPORT_PCNT_USER",
        expected: [On; 3],
        means: "every domain can read the time (the physical counter)",
    },
    Switch {
        name: "EXPORT_PTMR_USER",
        expected: [On; 3],
        means: "every domain can write the physical timer's registers, which hold 64 bits and are not switched per \
                thread: a residual channel, and the reason why the timer's interrupt is only a hint",
    },
    Switch {
        name: "EXPORT_VCNT_USER",
        expected: [Off; 3],
        means: "every domain can read the virtual counter",
    },
    Switch {
        name: "EXPORT_VTMR_USER",
        expected: [Off; 3],
        means: "every domain can write the virtual timer's registers",
    },
    Switch {
        name: "AARCH64_USER_CACHE_ENABLE",
        expected: [On; 3],
        means: "every domain can clean and invalidate caches by the addresses that it has mapped",
    },
    Switch {
        name: "ARM_HYPERVISOR_SUPPORT",
        expected: [On; 3],
        means: "whoever holds its own VSpace can invalidate cached data that it may only read (row M3)",
    },
    Switch {
        name: "ALLOW_SMC_CALLS",
        expected: [On; 3],
        means: "whoever held an SMC capability could call the firmware; nobody does (I8)",
    },
    Switch {
        name: "SET_TLS_BASE_SELF",
        expected: [Off; 3],
        means: "every domain can set its own TLS register by a system call",
    },
    Switch {
        name: "DANGEROUS_CODE_INJECTION",
        expected: [Off; 3],
        means: "every domain can run code in the kernel",
    },
    Switch {
        name: "VERIFICATION_BUILD",
        expected: [On, Off, Off],
        means: "features that are no part of the verified kernels are refused at build time",
    },
    Switch {
        name: "DEBUG_BUILD",
        expected: [Off, On, Off],
        means: "every domain can halt the system, name any TCB that it holds and dump the scheduler by system calls",
    },
    Switch {
        name: "PRINTING",
        expected: [Off, On, Off],
        means: "every domain can print on the console through the kernel, past shell and audit",
    },
    Switch {
        name: "HARDWARE_DEBUG_API",
        expected: [Off, On, Off],
        means: "whoever holds a TCB can set breakpoints in its thread",
    },
    Switch {
        name: "ENABLE_BENCHMARKS",
        expected: [Off, Off, On],
        means: "every domain can reset and read the kernel's benchmark counters by system calls",
    },
    Switch {
        name: "EXPORT_PMU_USER",
        expected: [Off, Off, On],
        means: "every domain can read and set the performance counters, which are not switched per thread",
    },
];

/// Checks the configuration of a kernel.
#[must_use]
pub fn check(options: &Map<String, Value>, configuration: Configuration) -> Finding {
    let index = match configuration {
        Configuration::Release => 0,
        Configuration::Debug => 1,
        Configuration::Benchmark => 2,
    };
    let mut finding = Finding::default();
    for option in OPTIONS {
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
        let expected = option.expected[index];
        let must = match expected {
            On => "true",
            Off => "false",
            Text(text) => text,
        };
        if is != must {
            finding.violation(format!(
                "{} is {is}, in the {} configuration it is {must} ({})",
                option.name,
                configuration.name(),
                option.means
            ));
        } else if expected != option.expected[0] {
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

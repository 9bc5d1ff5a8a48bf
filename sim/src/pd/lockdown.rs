//! The end of a domain's authority over Linux.
//!
//! Only the calls that the ports need are left, each only on its own descriptors, and those that `abort` needs. Every
//! other call traps, and the supervisor sees that as a fault: no mapping, opening, sockets, processes, signals to
//! others, or tracing. Only two domains may exit: the one that halts the system, with its two statuses, and one that
//! reports its own faults because nobody traces it.

use super::SetupError;
use super::environment::Rights;
use rustix::fd::RawFd;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};
use std::collections::BTreeMap;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Gives up all rights except `rights`, permanently. Sets `no_new_privs`.
pub(super) fn apply(rights: &Rights) -> Result<(), SetupError> {
    let mut rules = Rules::new();
    let with_descriptor = |descriptors: &[RawFd]| {
        descriptors
            .iter()
            .map(|&number| rule(&[(0, number as u32)]))
            .collect()
    };
    let mut allow = |call: libc::c_long, with: Result<Vec<SeccompRule>, SetupError>| {
        let with = with?;
        if !with.is_empty() {
            rules.insert(call, with);
        }
        Ok::<(), SetupError>(())
    };
    allow(libc::SYS_read, with_descriptor(&rights.read))?;
    allow(libc::SYS_write, with_descriptor(&rights.write))?;
    allow(
        libc::SYS_timerfd_settime,
        with_descriptor(rights.arm.as_slice()),
    )?;
    let disk: Vec<_> = rights.disk.map(|(disk, _)| disk).into_iter().collect();
    allow(libc::SYS_pread64, with_descriptor(&disk))?;
    if rights.disk.is_some_and(|(_, writable)| writable) {
        allow(libc::SYS_pwrite64, with_descriptor(&disk))?;
        allow(libc::SYS_fdatasync, with_descriptor(&disk))?;
    }
    let statuses = rights
        .exit
        .iter()
        .map(|&status| rule(&[(0, status.into())]));
    allow(libc::SYS_exit_group, statuses.collect())?;
    // `abort` signals its own process only.
    let own = rustix::process::getpid().as_raw_pid() as u32;
    allow(
        libc::SYS_tgkill,
        rule(&[(0, own), (1, own), (2, libc::SIGABRT as u32)]).map(one),
    )?;

    let always = vec![
        libc::SYS_ppoll,
        libc::SYS_clock_gettime,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigprocmask,
        libc::SYS_getpid,
        libc::SYS_gettid,
    ];
    rules.extend(always.into_iter().map(|call| (call, Vec::new())));

    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, arch)?;
    apply_filter(&BpfProgram::try_from(filter)?)?;
    Ok(())
}

fn one(rule: SeccompRule) -> Vec<SeccompRule> {
    vec![rule]
}

/// Arguments and the values that they must have. Only the lower 32 bits are compared, which are all that the kernel
/// uses.
fn rule(arguments: &[(u8, u32)]) -> Result<SeccompRule, SetupError> {
    let condition = |&(index, value): &(u8, u32)| {
        let (length, value) = (SeccompCmpArgLen::Dword, u64::from(value));
        SeccompCondition::new(index, length, SeccompCmpOp::Eq, value)
    };
    let conditions = arguments.iter().map(condition).collect::<Result<_, _>>()?;
    Ok(SeccompRule::new(conditions)?)
}

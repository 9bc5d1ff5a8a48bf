//! Domains and supervisors that die, and their remains.

use super::Test;
use super::domains::{CHILD, Mode, ORDER_AT, UNMAPPED};
use super::harness::{Folder, SYSTEM, run, run_with, supervisor};
use protocol::wire::FaultKind;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

pub(super) fn silent_death() -> Test {
    // A domain that reports its own faults may exit, but in no other way than with this status.
    let run = run_with(b'z', Mode::Once, &["--no-ptrace"], b"");
    let expected = vec![u64::from(CHILD), FaultKind::Unknown as u64, 0, 0];
    check!(run.numbers("fault ")? == vec![expected], run);
    check!(run.status == Some(0), run);
    Ok(())
}

/// The filter allows only calls of this architecture. Any other way into the kernel kills; if the kernel does not have
/// that way, the instruction faults.
pub(super) fn other_architecture() -> Test {
    if !cfg!(target_arch = "x86_64") {
        return Ok(());
    }
    let run = run(b'i', Mode::Once);
    let faults = run.numbers("fault ")?;
    let possible = [FaultKind::Capability as u64, FaultKind::Memory as u64];
    check!(faults.len() == 1 && possible.contains(&faults[0][1]), run);
    check!(run.status == Some(0), run);
    Ok(())
}

pub(super) fn stack_overflow() -> Test {
    for options in [&[][..], &["--no-ptrace"]] {
        let run = run_with(b'v', Mode::Once, options, b"");
        let faults = run.numbers("fault ")?;
        check!(
            faults.len() == 1 && faults[0][1] == FaultKind::Memory as u64,
            run
        );
    }
    Ok(())
}

pub(super) fn well_behaved() -> Test {
    let run = run(b'n', Mode::Once);
    check!(run.status == Some(0) && run.errors.is_empty(), run);
    check!(run.numbers("done")? == [[1, 0]], run);
    Ok(())
}

pub(super) fn restart() -> Test {
    for (order, address) in [(b'1', UNMAPPED + 8), (b'2', ORDER_AT)] {
        for options in [&[][..], &["--no-ptrace"]] {
            let run = run_with(order, Mode::Twice, options, b"");
            let fault = vec![u64::from(CHILD), FaultKind::Memory as u64, address, 1];
            check!(run.numbers("fault ")? == vec![fault], run);
            // Started twice, according to the count in its region. `done` came over the channel.
            check!(run.numbers("done")? == [[2, 0]], run);
            check!(run.status == Some(0), run);
        }
    }
    Ok(())
}

pub(super) fn unresponsive() -> Test {
    let run = run(b'3', Mode::Unresponsive);
    check!(run.numbers("restart")? == [[1]], run);
    check!(run.numbers("done")? == [[2, 0]], run);
    check!(run.status == Some(0) && run.errors.is_empty(), run);
    Ok(())
}

pub(super) fn parentless() -> Test {
    // The last option concerns only domains without a child, and this one has a child.
    for options in [&[][..], &["--no-ptrace"], &["--outlive-clients"]] {
        let run = run_with(b'n', Mode::Panic, options, b"");
        check!(run.status == Some(1), run);
        check!(
            run.errors
                .starts_with("sim: warden: exception (signal 6) (ip 0x"),
            run
        );
        check!(
            run.errors.contains("sim: warden died and has no parent"),
            run
        );
    }
    let run = run_with(b'n', Mode::Panic, &["--debug"], b"");
    check!(
        run.status == Some(1) && run.errors.contains("as ordered"),
        run
    );
    Ok(())
}

fn processes_with(needle: &str) -> usize {
    let is_ours = |entry: &fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(needle)
    };
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(is_ours)
        .count()
}

/// No domain survives its supervisor, whatever ends the supervisor.
pub(super) fn supervisor_dies(signal: Signal, status: Option<i32>) -> Test {
    for options in [&[][..], &["--no-ptrace"]] {
        let folder = Folder::new();
        folder.write("order.bin", [b'n', Mode::Idle as u8]);
        // A name that only this run's processes have.
        let name = format!("w{}s{}", std::process::id(), signal.as_raw());
        let text = SYSTEM.replace("\"bystander\"", &format!("\"{name}\""));
        let system = folder.write("system.xml", text);
        let mut command = supervisor(&system, &folder);
        // `finish` is not used, because the input must stay open.
        command
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn()?;
        let patience = Instant::now();
        while processes_with(&name) == 0 && patience.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
        check!(processes_with(&name) == 1, name);
        std::thread::sleep(Duration::from_millis(300));
        kill_process(Pid::from_child(&child), signal)?;
        let ended = child.wait()?;
        check!(ended.code() == status, ended);
        let patience = Instant::now();
        while processes_with(&name) != 0 && patience.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(20));
        }
        check!(processes_with(&name) == 0, name);
    }
    Ok(())
}

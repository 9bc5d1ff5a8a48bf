//! External programs in place of the probe: this one under another name, and others.

use crate::Test;
use crate::domains::{CHILD, Mode, ORDER_AT, UNMAPPED};
use crate::harness::{Folder, Run, SYSTEM, finish, supervisor};
use protocol::wire::FaultKind;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Under this name, this program is only a domain's program.
const NAME: &str = "outsider";

/// Whether this process was started under that name.
pub fn is_this(arguments: &[OsString]) -> bool {
    arguments
        .first()
        .is_some_and(|program| Path::new(program).ends_with(NAME))
}

/// This program, under that name.
fn outsider(folder: &Folder) -> PathBuf {
    let path = folder.0.join(NAME);
    symlink(std::env::current_exe().unwrap(), &path).unwrap();
    path
}

/// Runs the system with that program as the probe.
fn run_program(program: &Path, folder: &Folder, order: u8, mode: Mode, options: &[&str]) -> Run {
    folder.write("order.bin", [order, mode as u8]);
    // The simulation has no program of that name.
    let text = SYSTEM.replace("probe.elf", "outsider.elf");
    let system = folder.write("system.xml", text);
    let mut command = supervisor(&system, folder);
    command
        .arg(format!("--program=probe={}", program.display()))
        .args(options);
    finish(command, b"")
}

fn run(order: u8, mode: Mode, options: &[&str]) -> Run {
    let folder = Folder::new();
    run_program(&outsider(&folder), &folder, order, mode, options)
}

pub fn well_behaved() -> Test {
    for options in [&[][..], &["--no-ptrace"]] {
        let run = run(b'n', Mode::Once, options);
        check!(run.status == Some(0) && run.errors.is_empty(), run);
        check!(run.numbers("done")? == [[1, 0]], run);
    }
    Ok(())
}

pub fn locked_down() -> Test {
    let call = |order, number: libc::c_long| {
        let words = format!("forbidden system call {number} (ip");
        (order, FaultKind::Capability, number.unsigned_abs(), words)
    };
    let memory = |order, address| {
        let words = format!("memory fault at address {address:#x} (ip");
        (order, FaultKind::Memory, address, words)
    };
    for (order, kind, address, words) in [
        call(b'm', libc::SYS_mmap),
        call(b'O', libc::SYS_openat),
        call(b's', libc::SYS_socket),
        call(b'W', libc::SYS_write),
        call(b'k', libc::SYS_kill),
        call(b'E', libc::SYS_execve),
        call(b'Z', libc::SYS_exit_group),
        memory(b'w', UNMAPPED),
        memory(b'o', ORDER_AT + 0x10),
        memory(b't', 0x1100_0020),
        memory(b'x', 0x1110_0000),
    ] {
        for options in [&[][..], &["--no-ptrace"]] {
            let run = run(order, Mode::Once, options);
            let expected = vec![u64::from(CHILD), kind as u64, address, 1];
            check!(run.numbers("fault ")? == vec![expected], run);
            check!(run.errors.starts_with(&format!("sim: probe: {words}")), run);
        }
    }
    // The program has exactly the probe's four regions.
    let run = run(b'M', Mode::Once, &[]);
    check!(run.errors.lines().count() == 4, run);
    check!(run.errors.contains("mapping 15000000-15001000 r--s"), run);
    Ok(())
}

pub fn restarted() -> Test {
    let run = run(b'1', Mode::Twice, &[]);
    let fault = vec![u64::from(CHILD), FaultKind::Memory as u64, UNMAPPED + 8, 1];
    check!(run.numbers("fault ")? == vec![fault], run);
    check!(run.numbers("done")? == [[2, 0]], run);
    check!(run.status == Some(0), run);
    Ok(())
}

fn script(folder: &Folder, text: &str) -> PathBuf {
    let path = folder.write("script", text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

pub fn unconfined() -> Test {
    let folder = Folder::new();
    let program = script(&folder, "#!/bin/sh\nexec sleep 40\n");
    let run = run_program(&program, &folder, b'n', Mode::Idle, &[]);
    check!(run.status == Some(1), run);
    let expected = format!(
        "sim: probe did not start: {} has not locked itself down; is it made with sim::domain_main or sim/c?\n",
        program.display()
    );
    check!(run.errors == expected, run);
    Ok(())
}

pub fn no_domain() -> Test {
    let folder = Folder::new();
    let program = script(&folder, "#!/bin/sh\nexit 7\n");
    let run = run_program(&program, &folder, b'n', Mode::Idle, &[]);
    check!(run.status == Some(1), run);
    check!(
        run.errors.contains("probe did not start:")
            && run.errors.contains("script ended with status 7"),
        run
    );

    let folder = Folder::new();
    let program = script(&folder, "neither a script nor an ELF file");
    let run = run_program(&program, &folder, b'n', Mode::Idle, &[]);
    check!(run.status == Some(1), run);
    check!(
        run.errors
            .contains("probe cannot be started: Exec format error"),
        run
    );
    Ok(())
}

pub fn wrong_names() -> Test {
    let folder = Folder::new();
    folder.write("order.bin", [b'n', Mode::Once as u8]);
    let system = folder.write("system.xml", SYSTEM);
    let own = outsider(&folder);
    let own = own.display();
    let file = folder.write("plain", "");
    for (arguments, status, message) in [
        (
            vec![format!("prob={own}")],
            1,
            "the system has no protection domain 'prob'; it has warden, probe, bystander"
                .to_owned(),
        ),
        (
            vec!["probe=/nowhere/x".to_owned()],
            1,
            "--program probe=/nowhere/x: No such file".to_owned(),
        ),
        (
            vec![format!("probe={}", file.display())],
            1,
            "not an executable file".to_owned(),
        ),
        (
            vec![format!("probe={own}"), format!("probe={own}")],
            1,
            "names a program for probe twice".to_owned(),
        ),
        (vec![own.to_string()], 2, "write DOMAIN=FILE".to_owned()),
    ] {
        let mut command = supervisor(&system, &folder);
        for argument in &arguments {
            command.arg(format!("--program={argument}"));
        }
        let run = finish(command, b"");
        check!(
            run.status == Some(status) && run.errors.contains(&message),
            (message, run)
        );
    }
    Ok(())
}

pub fn threads() -> Test {
    let run = run(b'H', Mode::Once, &[]);
    check!(run.status == Some(1), run);
    check!(run.errors.contains("probe: it has 2 threads"), run);
    Ok(())
}

pub fn by_hand() -> Test {
    let folder = Folder::new();
    let program = outsider(&folder);
    for arguments in [&[][..], &["--help"]] {
        let mut command = Command::new(&program);
        command.args(arguments);
        let run = finish(command, b"");
        check!(run.status == Some(2), run);
        check!(
            run.errors
                .contains("sel4-llm-sim SYSTEM.XML --program DOMAIN=")
                && run.errors.contains(NAME),
            run
        );
    }
    Ok(())
}

pub fn debug_output() -> Test {
    let quiet = run(b'g', Mode::Once, &[]);
    check!(quiet.status == Some(0) && quiet.errors.is_empty(), quiet);
    let run = run(b'g', Mode::Once, &["--debug"]);
    check!(run.status == Some(0), run);
    let lines: Vec<_> = run.errors.lines().collect();
    let long = "x".repeat(300);
    let (first, rest) = long.split_at(256);
    // Both ways to make a terminal clear its screen are gone.
    let expected = [
        "probe: one".to_owned(),
        "probe: two ?[2J\u{fffd}?2J é".to_owned(),
        format!("probe: {first}"),
        format!("probe: {rest}"),
    ];
    check!(lines == expected, run);
    Ok(())
}

pub fn variables() -> Test {
    let folder = Folder::new();
    folder.write("order.bin", [b'V', Mode::Once as u8]);
    let text = SYSTEM
        .replace(
            r#"<map mr="order" vaddr="0x15000000" perms="r" setvar_vaddr="order" />
        </pro"#,
            r#"<map mr="order" vaddr="0x15000000" perms="r" setvar_vaddr="order" setvar_size="order_size" setvar_prefill_size="order_bytes" />
        </pro"#,
        )
        .replace(
            r#"<end pd="probe" id="0" />"#,
            r#"<end pd="probe" id="0" setvar_id="warden_channel" />"#,
        );
    let system = folder.write("system.xml", text);
    let mut command = supervisor(&system, &folder);
    let own = outsider(&folder);
    command.arg(format!("--program=probe={}", own.display()));
    let run = finish(command, b"");
    check!(run.status == Some(0), run);
    let mut found: Vec<_> = run
        .errors
        .lines()
        .filter_map(|line| line.strip_prefix("variable "))
        .collect();
    found.sort_unstable();
    let expected = [
        "from_probe 0x11100000",
        "order 0x15000000",
        "order_bytes 0x2",
        "order_size 0x1000",
        "scratch 0x14000000",
        "to_probe 0x11000000",
        "warden_channel 0x0",
    ];
    check!(found == expected, run);
    Ok(())
}

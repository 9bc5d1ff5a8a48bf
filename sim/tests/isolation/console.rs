//! The console, and files named by the user.

use super::Test;
use super::domains::Mode;
use super::harness::{Folder, SYSTEM, finish, supervisor};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// On a pseudo-terminal, Ctrl-C is a byte for the shell, and the mode is restored however the run ends.
pub(super) fn terminal() -> Test {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};
    for signal in [None, Some(Signal::TERM), Some(Signal::INT)] {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let mut keyboard = fs::File::from(openpt(flags)?);
        grantpt(&keyboard)?;
        unlockpt(&keyboard)?;
        let path = ptsname(&keyboard, Vec::new())?.into_string()?;
        let open = || fs::File::options().read(true).write(true).open(&path);
        let screen = open()?;
        let mode = || tcgetattr(&screen).map(|mode| mode.local_modes);
        let before = mode()?;
        check!(before.contains(LocalModes::ECHO | LocalModes::ISIG), before);

        let folder = Folder::new();
        folder.write("order.bin", [b'n', Mode::Echo as u8]);
        let system = folder.write("system.xml", SYSTEM);
        let mut child = supervisor(&system, &folder)
            .stdin(open()?)
            .stdout(open()?)
            .stderr(open()?)
            .spawn()?;
        let patience = Instant::now();
        while mode()? == before && patience.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(10));
        }
        check!(
            !mode()?.intersects(LocalModes::ECHO | LocalModes::ISIG | LocalModes::ICANON),
            ()
        );
        // This line is printed before the terminal is raw.
        let mut hint = *b"sim: Ctrl-] ends the simulation\r\n";
        keyboard.read_exact(&mut hint)?;
        check!(&hint == b"sim: Ctrl-] ends the simulation\r\n", hint);
        keyboard.write_all(b"a\x03b\x1a\x11")?;
        let mut echoed = [0; 5];
        keyboard.read_exact(&mut echoed)?;
        check!(&echoed == b"a\x03b\x1a\x11", echoed);
        match signal {
            None => keyboard.write_all(b"\x04")?,
            Some(signal) => {
                kill_process(Pid::from_child(&child), signal)?;
            }
        }
        let status = child.wait()?.code();
        let expected = match signal {
            None => 0,
            Some(Signal::INT) => 130,
            Some(_) => 143,
        };
        check!(status == Some(expected), status);
        check!(mode()? == before, mode()?);
    }
    Ok(())
}

pub(super) fn closed_console() -> Test {
    let folder = Folder::new();
    folder.write("order.bin", [b'n', Mode::Echo as u8]);
    let system = folder.write("system.xml", SYSTEM);
    let mut child = supervisor(&system, &folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    drop(child.stdout.take());
    let mut input = child.stdin.take().ok_or("no input")?;
    input.write_all(b"nobody reads this\n")?;
    let output = child.wait_with_output()?;
    check!(output.status.code() == Some(1), output);
    check!(
        String::from_utf8_lossy(&output.stderr).contains("the console is gone"),
        output
    );
    Ok(())
}

pub(super) fn log_file() -> Test {
    let folder = Folder::new();
    folder.write("order.bin", [b'1', Mode::Twice as u8]);
    let system = folder.write("system.xml", SYSTEM);
    let log = folder.0.join("run.log");
    let mut command = supervisor(&system, &folder);
    command.arg("--log").arg(&log);
    let run = finish(command, b"");
    check!(run.status == Some(0), run);
    let text = fs::read_to_string(&log)?;
    for line in [
        "warden: started as process",
        "probe: memory fault at address 0x12000008 (ip 0x",
        "probe: restarted by warden",
        "halted",
    ] {
        check!(text.contains(line), text);
    }
    check!(text.matches("probe: started as process").count() == 2, text);
    Ok(())
}

pub(super) fn large_prefill() -> Test {
    let folder = Folder::new();
    folder.write("order.bin", vec![b'n'; 0x1001]);
    let system = folder.write("system.xml", SYSTEM);
    let run = finish(supervisor(&system, &folder), b"");
    check!(run.status == Some(1), run);
    check!(
        run.errors.contains("region order") && run.errors.contains("4097 bytes"),
        run
    );
    folder.write("order.bin", b"");
    let run = finish(supervisor(&system, &folder), b"");
    check!(
        run.status == Some(1) && run.errors.contains("is empty"),
        run
    );
    Ok(())
}

pub(super) fn missing_prefill() -> Test {
    let folder = Folder::new();
    let system = folder.write("system.xml", SYSTEM);
    let run = finish(supervisor(&system, &folder), b"");
    check!(run.status == Some(1), run);
    check!(
        run.errors.contains("no file 'order.bin'") && run.errors.contains("--search-path"),
        run
    );
    Ok(())
}

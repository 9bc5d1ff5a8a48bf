//! The system under test, and how a test runs it.

use crate::domains::Mode;
use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// First argument that makes this program the supervisor.
pub const SUPERVISE: &str = "supervise";

pub const SYSTEM: &str = r#"
<system>
    <memory_region name="to_probe" size="0x2000" />
    <memory_region name="from_probe" size="0x2000" />
    <memory_region name="foreign" size="0x1000" />
    <memory_region name="scratch" size="0x200000" page_size="0x200000" />
    <memory_region name="order" size="0x1000" prefill_path="order.bin" />
    <memory_region name="uart" size="0x1000" phys_addr="0x9000000" />
    <protection_domain name="warden" priority="120">
        <program_image path="warden.elf" />
        <map mr="to_probe" vaddr="0x11000000" perms="rw" setvar_vaddr="to_probe" />
        <map mr="from_probe" vaddr="0x11100000" perms="r" setvar_vaddr="from_probe" />
        <map mr="foreign" vaddr="0x12000000" perms="rw" setvar_vaddr="foreign" />
        <map mr="order" vaddr="0x15000000" perms="r" setvar_vaddr="order" />
        <irq irq="33" id="1" />
        <irq irq="34" id="2" />
        <irq irq="30" id="3" />
        <protection_domain name="probe" priority="100" id="5">
            <program_image path="probe.elf" />
            <map mr="uart" vaddr="0x10000000" perms="rw" cached="false" />
            <map mr="to_probe" vaddr="0x11000000" perms="r" setvar_vaddr="to_probe" />
            <map mr="from_probe" vaddr="0x11100000" perms="rw" setvar_vaddr="from_probe" />
            <map mr="scratch" vaddr="0x14000000" perms="rw" setvar_vaddr="scratch" />
            <map mr="order" vaddr="0x15000000" perms="r" setvar_vaddr="order" />
        </protection_domain>
    </protection_domain>
    <protection_domain name="bystander" priority="1">
        <program_image path="bystander.elf" />
    </protection_domain>
    <channel>
        <end pd="warden" id="0" />
        <end pd="probe" id="0" />
    </channel>
</system>
"#;

/// How a run ended, and its output.
#[derive(Debug)]
pub struct Run {
    pub status: Option<i32>,
    pub output: String,
    pub errors: String,
}

impl Run {
    /// The numbers after the word that begins a line of output.
    pub fn numbers(&self, word: &str) -> Result<Vec<Vec<u64>>, Failed> {
        let lines = self
            .output
            .lines()
            .filter_map(|line| line.strip_prefix(word));
        let parse = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16);
        let numbers: Result<_, _> = lines
            .map(|line| line.split_whitespace().map(parse).collect())
            .collect();
        numbers.map_err(|_| Failed::from(format!("{self:?}")))
    }
}

pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sim-isolation-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn supervisor(system: &Path, folder: &Folder) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg(SUPERVISE)
        .arg(system)
        .arg("--search-path")
        .arg(&folder.0);
    command
}

pub fn finish(mut command: Command, input: &[u8]) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    // The domains end with the supervisor, so killing it bounds a run that hangs.
    let pid = Pid::from_child(&child);
    let (done, waits) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if waits.recv_timeout(Duration::from_secs(60)).is_err() {
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    let _ = done.send(());
    let _ = watch.join();
    Run {
        status: output.status.code(),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs the system with the probe's order and the warden's mode.
pub fn run_with(order: u8, mode: Mode, options: &[&str], input: &[u8]) -> Run {
    let folder = Folder::new();
    folder.write("order.bin", [order, mode as u8]);
    let system = folder.write("system.xml", SYSTEM);
    let mut command = supervisor(&system, &folder);
    command.args(options);
    finish(command, input)
}

pub fn run(order: u8, mode: Mode) -> Run {
    run_with(order, mode, &[], b"")
}

//! Systems with other clients than the main one, run by the simulation's program.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const SYSTEM: &str = include_str!("../../system.xml");

/// The main description with changes, each of which must apply. The files that it needs lie beside it: a policy, no
/// formats, and a store without a model.
struct System(PathBuf);

impl System {
    fn new(name: &str, changes: &[(&str, &str)]) -> Self {
        let mut text = SYSTEM.to_owned();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        let folder = std::env::temp_dir().join(format!("sim-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("system.xml"), text).unwrap();
        fs::write(folder.join("policy.bin"), protocol::testing::policy_bytes()).unwrap();
        let no_formats = formats::encode::image([]).unwrap();
        fs::write(folder.join("formats.bin"), no_formats).unwrap();
        fs::write(folder.join("store.tar"), [0; 1024]).unwrap();
        Self(folder)
    }

    fn start(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_sel4-llm-sim"))
            .arg(self.0.join("system.xml"))
            .arg("--search-path")
            .arg(&self.0)
            .arg("--log")
            .arg(self.log())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn log(&self) -> PathBuf {
        self.0.join("run.log")
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The text from one mark up to the next, including the first.
fn part<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).unwrap();
    let end = text[start..].find(to).unwrap();
    &text[start..start + end]
}

/// Changes that remove shell from the description.
fn without_shell() -> Vec<(&'static str, &'static str)> {
    let ring_in_audit = part(
        SYSTEM,
        "        <map mr=\"shell_to_audit\"",
        "        <map mr=\"audit_to_inference\"",
    );
    let domain = part(
        SYSTEM,
        "    <protection_domain name=\"shell\"",
        "    <channel>",
    );
    let channel = part(
        SYSTEM,
        "    <channel>",
        "    <channel>\n        <end pd=\"audit\" id=\"1\"",
    );
    vec![(ring_in_audit, ""), (domain, ""), (channel, "")]
}

fn wait_for(file: &Path, what: &str) -> String {
    let patience = Instant::now();
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text.contains(what) || patience.elapsed() > Duration::from_secs(60) {
            return text;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_system_without_a_client_boots_and_goes_on() {
    let system = System::new("headless", &without_shell());
    let mut child = system.start();
    let log = wait_for(&system.log(), "inference: started");
    assert!(
        log.contains("audit: started") && !log.contains("shell"),
        "{log}"
    );
    // This is longer than the boot takes, and covers two ticks of the watchdog.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(child.try_wait().unwrap(), None);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let mut said = String::new();
    child.stderr.unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn half_of_a_client_is_named() {
    const RINGS: &str = r#"<memory_region name="audit_to_inference""#;
    const SLOT: &str = r#"<map mr="audit_to_inference""#;
    let theirs =
        r#"<map mr="x_to_audit" vaddr="0x11600000" perms="r" setvar_vaddr="client_2_to_audit" />"#;
    let ours =
        r#"<map mr="audit_to_x" vaddr="0x11700000" perms="rw" setvar_vaddr="audit_to_client_2" />"#;
    let regions = format!(
        r#"<memory_region name="x_to_audit" size="0x23000" /><memory_region name="audit_to_x" size="0x23000" />{RINGS}"#
    );
    for (name, slot, message) in [
        (
            "deaf",
            ours.to_owned(),
            "'client_2_to_audit' to read, but system.xml does not give it",
        ),
        (
            "mute",
            theirs.to_owned(),
            "'audit_to_client_2' to write, but system.xml does not give it",
        ),
        (
            "nobody",
            format!("{theirs}{ours}"),
            "'client_2_channel', but system.xml sets it with no setvar_id",
        ),
    ] {
        let slot = format!("{slot}{SLOT}");
        let system = System::new(name, &[(RINGS, &regions), (SLOT, &slot)]);
        let Output { status, stderr, .. } = system.start().wait_with_output().unwrap();
        let said = text(&stderr);
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(
            said.contains("audit: the program needs") && said.contains(message),
            "{said}"
        );
    }
}

//! Disk images for systems that have one (`systems/disk`), and starting such a system with an image.
//!
//! `SEL4_LLM_RUN_DISK` starts it; in that command, `$DISK` is the image.

use super::{Session, command, finish, printed};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// An image in a file, which is removed with it.
#[derive(Debug)]
pub struct Image(PathBuf);

impl Image {
    /// An image without a file system: this many zeros.
    ///
    /// # Panics
    /// The file cannot be made.
    #[must_use]
    pub fn blank(bytes: u64) -> Self {
        static IMAGES: AtomicU32 = AtomicU32::new(0);
        let number = IMAGES.fetch_add(1, Ordering::Relaxed);
        let name = format!("sel4-llm-disk-{}-{number}.img", std::process::id());
        let image = Self(std::env::temp_dir().join(name));
        let file = std::fs::File::create(&image.0).expect("a temporary file");
        file.set_len(bytes).expect("room for an image");
        image
    }

    /// An image with a file system and a log file, made by `llmtool disk create` with these options.
    ///
    /// # Panics
    /// The tool fails.
    #[must_use]
    pub fn create(options: &[&str]) -> Self {
        let image = Self::blank(0);
        std::fs::remove_file(&image.0).expect("the file that was made");
        image.tool("create", options);
        image
    }

    /// Adds files to it with `llmtool disk add`.
    ///
    /// # Panics
    /// The tool fails.
    pub fn add(&self, arguments: &[&str]) {
        self.tool("add", arguments);
    }

    /// Runs `llmtool disk COMMAND IMAGE ARGUMENTS`. Returns its output.
    ///
    /// # Panics
    /// The tool fails.
    pub fn tool(&self, name: &str, arguments: &[&str]) -> String {
        let mut tool = command("SEL4_LLM_LLMTOOL");
        tool.args(["disk", name]).arg(&self.0).args(arguments);
        let output = finish(tool, b"");
        assert!(
            output.status.success(),
            "llmtool disk {name} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs `llmtool COMMAND IMAGE OPTIONS`, which may fail.
    ///
    /// # Panics
    /// The tool does not start.
    #[must_use]
    pub fn try_tool(&self, command_and_kind: &[&str], options: &[&str]) -> Output {
        let mut tool = command("SEL4_LLM_LLMTOOL");
        tool.args(command_and_kind).arg(&self.0).args(options);
        tool.output().expect("llmtool starts")
    }

    /// The path of the image.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Image {
    /// As a read-only device.
    #[must_use]
    pub fn read_only(&self) -> Drive {
        Drive {
            drive: format!("{},readonly=on", self.0.display()),
            beside: Beside::Nothing,
        }
    }

    /// As a device that reports an I/O error for each operation of this kind in QEMU's `blkdebug` driver: `read`,
    /// `write` or `flush`.
    ///
    /// # Panics
    /// A file cannot be written.
    #[must_use]
    pub fn failing(&self, kind: &str) -> Drive {
        let rules = self.0.with_extension("blkdebug");
        let rule =
            format!("[inject-error]\nevent = \"none\"\niotype = \"{kind}\"\nerrno = \"5\"\n");
        std::fs::write(&rules, rule).expect("a temporary file");
        let drive = format!("blkdebug:{}:{}", rules.display(), self.0.display());
        Drive {
            drive,
            beside: Beside::Rules(rules),
        }
    }

    /// As a device that can be stopped ([`Drive::stops_at`]).
    #[must_use]
    pub fn stoppable(&self) -> Drive {
        Drive {
            drive: format!("blkdebug::{}", self.0.display()),
            beside: Beside::Monitor(self.0.with_extension("qmp")),
        }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// An image as a QEMU device with a fault.
#[derive(Debug)]
pub struct Drive {
    /// The value of QEMU's option `file=`, possibly with further options.
    drive: String,
    beside: Beside,
}

/// A file that is removed with a drive.
#[derive(Debug)]
enum Beside {
    Nothing,
    /// The rules of `blkdebug`.
    Rules(PathBuf),
    /// The socket of QEMU's monitor.
    Monitor(PathBuf),
}

impl Drive {
    /// The command that starts the system with it.
    pub(crate) fn command(&self, variable: &str) -> Command {
        let mut command = command(variable);
        command.env("DISK", &self.drive);
        if let Beside::Monitor(socket) = &self.beside {
            let socket = format!("unix:{},server=on,wait=off", socket.display());
            command.args(["-qmp", &socket]);
        }
        command
    }

    /// From now on, the operation at this event of QEMU's `blkdebug` driver never ends.
    ///
    /// # Panics
    /// The system does not run, or QEMU refuses.
    pub fn stops_at(&self, event: &str) {
        let Beside::Monitor(socket) = &self.beside else {
            panic!("{} cannot be stopped", self.drive);
        };
        let socket = UnixStream::connect(socket).expect("QEMU's monitor");
        let mut answers = BufReader::new(&socket).lines();
        let mut say = |line: String| {
            (&socket).write_all(line.as_bytes()).expect("QEMU listens");
            let answer = answers.find(|line| {
                let line = line.as_ref().expect("QEMU answers");
                !line.contains("\"event\"") && !line.contains("\"QMP\"")
            });
            let answer = answer.expect("an answer").expect("a line");
            // A command of the human monitor returns what it has printed.
            assert!(
                answer.contains("{\"return\": {}}") || answer.contains("{\"return\": \"\"}"),
                "{answer}"
            );
        };
        say(String::from("{\"execute\": \"qmp_capabilities\"}\n"));
        let line = format!("qemu-io disk \\\"break {event} stopped\\\"");
        say(format!(
            "{{\"execute\": \"human-monitor-command\", \"arguments\": {{\"command-line\": \"{line}\"}}}}\n"
        ));
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        if let Beside::Rules(file) | Beside::Monitor(file) = &self.beside {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// The variable with the command that starts such a system.
const RUN: &str = "SEL4_LLM_RUN_DISK";

/// The command that starts a system with this disk.
pub(crate) fn command_with(image: &Image) -> Command {
    command_of(RUN, image)
}

pub(crate) fn command_of(variable: &str, image: &Image) -> Command {
    let mut command = command(variable);
    command.env("DISK", image.path());
    command
}

/// Types `input` into a system with this disk and lets it end.
///
/// # Panics
/// The system cannot be started.
#[must_use]
pub fn session_with(image: &Image, input: impl AsRef<[u8]>) -> Session {
    session_of(RUN, image, input)
}

/// Like [`session_with`], with the system that this variable starts.
///
/// # Panics
/// The system cannot be started.
#[must_use]
pub fn session_of(variable: &str, image: &Image, input: impl AsRef<[u8]>) -> Session {
    typed_into(command_of(variable, image), input.as_ref())
}

/// Like [`session_with`], without a disk; only in the simulation.
///
/// # Panics
/// The system cannot be started.
#[must_use]
pub fn session_without_disk(input: impl AsRef<[u8]>) -> Session {
    let run = std::env::var(RUN).expect("make sets it");
    let without = run.replace(" --disk \"$DISK\"", "");
    assert_ne!(run, without, "a command that names the disk");
    let mut command = Command::new("sh");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    command.args(["-c", &format!("exec {without}")]);
    command.current_dir(root);
    typed_into(command, input.as_ref())
}

fn typed_into(command: Command, input: &[u8]) -> Session {
    let output = finish(command, input);
    Session {
        output: printed(
            &String::from_utf8_lossy(&output.stdout),
            &String::from_utf8_lossy(input),
        ),
        status: output.status.code(),
    }
}

/// Whether the system runs in QEMU.
#[must_use]
pub fn is_emulated() -> bool {
    std::env::var(RUN).is_ok_and(|command| command.contains("qemu-system-"))
}

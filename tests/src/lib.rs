//! Drives a running sel4-llm through its console, for the end-to-end suite.
//!
//! The suite does not know the runtime. The environment says how to start it, as shell commands run from the
//! repository's root: `SEL4_LLM_RUN` (the system), `SEL4_LLM_RUN_INJECT` (one whose inference misbehaves if a prompt
//! says so, with the test store and the test policy), `SEL4_LLM_RUN_INJECT_SHIPPED` (the same with `policy.toml` and
//! its models), `SEL4_LLM_EXAMPLE` and `SEL4_LLM_EXAMPLE_INJECT` (an example, likewise) and `SEL4_LLM_LLMTOOL` (the
//! host tool).
//!
//! [`session`] pipes a script into the system, as another program would. [`Terminal`] is a person at a serial console:
//! a pseudo-terminal, keys, and the bytes that come back. [`person::Person`] also has a terminal of a given size, which
//! answers queries, and looks at its screen.

pub mod books;
pub mod console;
pub mod disk;
pub mod export;
pub mod live;
pub mod person;
pub mod results;
pub mod scripted;
mod waiting;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use expectrl::process::unix::WaitStatus;
use expectrl::session::{OsSession, Session as Console};
use expectrl::{Eof, Expect as _, Needle};

/// Longest wait for anything on the console. Emulation on a busy machine is slow; a test that hangs fails eventually.
const PATIENCE: Duration = Duration::from_secs(120);

/// The output of a session, and how it ended.
pub struct Session {
    /// Its output, with `\n` as line breaks.
    pub output: String,
    /// Its exit status.
    pub status: Option<i32>,
}

fn command(variable: &str) -> Command {
    let run = std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set; run this through make"));
    let mut command = Command::new("sh");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    command
        .args(["-c", &format!("exec {run} \"$@\""), "sh"])
        .current_dir(root);
    command
}

fn finish(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("sh starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input).expect("the system reads its input");
    drop(stdin);
    child.wait_with_output().expect("the system ends")
}

/// Types `input` into a system and waits for it to end.
///
/// # Panics
/// The system cannot be started.
#[must_use]
pub fn session(input: impl AsRef<[u8]>) -> Session {
    run("SEL4_LLM_RUN", input.as_ref())
}

/// Like [`session`], with an inference that misbehaves on demand, and the test store.
///
/// # Panics
/// The system cannot be started.
#[must_use]
pub fn session_with_faults(input: impl AsRef<[u8]>) -> Session {
    run("SEL4_LLM_RUN_INJECT", input.as_ref())
}

/// Like [`session`], for the system that this environment variable names.
///
/// # Panics
/// The system cannot be started.
#[must_use]
pub fn session_of(variable: &str, input: impl AsRef<[u8]>) -> Session {
    run(variable, input.as_ref())
}

/// Like [`session_with_faults`], with the policy of `policy.toml`.
///
/// # Panics
/// The system cannot be started.
#[must_use]
pub fn session_with_faults_and_the_shipped_policy(input: impl AsRef<[u8]>) -> Session {
    run("SEL4_LLM_RUN_INJECT_SHIPPED", input.as_ref())
}

/// Runs the host tool with these arguments and, as the last one, a file with this text. Returns its output and status.
///
/// # Panics
/// The tool cannot be started.
#[must_use]
pub fn llmtool(arguments: &[&str], text: &str) -> (String, Option<i32>) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static FILES: AtomicU32 = AtomicU32::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let name = format!("sel4-llm-tests-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, text).expect("a temporary file");
    let mut command = command("SEL4_LLM_LLMTOOL");
    command.args(arguments).arg(&path);
    let output = finish(command, b"");
    let _ = std::fs::remove_file(path);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    (printed, output.status.code())
}

fn run(variable: &str, input: &[u8]) -> Session {
    let output = finish(command(variable), input);
    Session {
        output: printed(
            &String::from_utf8_lossy(&output.stdout),
            &String::from_utf8_lossy(input),
        ),
        status: output.status.code(),
    }
}

/// A terminal's output without colours and redrawn lines, and the part of `typed` shown after the shell's prompts. A
/// line longer than the terminal's width is on several rows.
fn printed(output: &str, typed: &str) -> String {
    let plain = without_sequences(output).replace("\r\n", "\n");
    let lines = plain.split_inclusive('\n');
    let mut last_drawn = lines
        .map(|line| line.rsplit('\r').next().unwrap_or(line))
        .peekable();
    let mut said = String::new();
    while let Some(line) = last_drawn.next() {
        let Some(echoed) = behind_prompt(line) else {
            said.push_str(line);
            continue;
        };
        // A long line was shown in part, and redrawn completely when it was run.
        let whole = echoed.rsplit('\x08').next().unwrap_or(echoed);
        let mut echoed = whole.trim_end_matches('\n').to_owned();
        let goes_on = |echoed: &str, row: &str| {
            let row = row.trim_end_matches('\n');
            let rest = typed.lines().find_map(|line| line.strip_prefix(echoed));
            !row.is_empty() && !echoed.is_empty() && rest.is_some_and(|rest| rest.starts_with(row))
        };
        while let Some(row) = last_drawn.next_if(|row| goes_on(&echoed, row)) {
            echoed.push_str(row.trim_end_matches('\n'));
        }
    }
    said
}

/// The input on a line that begins with a prompt: `llm> ` or, in a conversation, `chat> `, preceded by a user other
/// than the default one; or the passphrase prompt.
fn behind_prompt(line: &str) -> Option<&str> {
    let behind_a_user = |prompt| {
        let (user, typed) = line.split_once(prompt)?;
        let is_user = user.ends_with('@') && !user.contains(char::is_whitespace);
        (user.is_empty() || is_user).then_some(typed)
    };
    let passphrase = line.strip_prefix("passphrase:");
    passphrase.or_else(|| ["llm> ", "chat> "].into_iter().find_map(behind_a_user))
}

/// `text` without colours and other terminal control sequences (ECMA-48), which the shell writes to a terminal.
#[must_use]
pub fn without_sequences(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|last: char| ('@'..='~').contains(&last));
        plain.push_str(end.map_or(part, |end| &part[end + 1..]));
    }
    plain
}

/// The text that the host tool generates with the default model, without its closing line.
///
/// # Panics
/// The tool fails.
#[must_use]
pub fn llmtool_generate(prompt: &str, options: &[&str]) -> String {
    llmtool_generate_with("models/default.gguf", prompt, options)
}

/// Like [`llmtool_generate`], with this model.
///
/// # Panics
/// The tool fails.
#[must_use]
pub fn llmtool_generate_with(model: &str, prompt: &str, options: &[&str]) -> String {
    let mut command = command("SEL4_LLM_LLMTOOL");
    command
        .args(["generate", "-m", model, "-p", prompt])
        .args(options);
    let output = finish(command, b"");
    assert!(output.status.success(), "llmtool fails");
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .trim_end_matches('\n')
        .to_string()
}

impl Session {
    /// The output between the previous mark and this one; see [`console::mark`].
    ///
    /// # Panics
    /// The mark is missing.
    #[must_use]
    pub fn before(&self, mark: usize) -> String {
        let end = console::answer_to_mark(mark);
        let (before, _) = self
            .output
            .split_once(&end)
            .unwrap_or_else(|| panic!("no {end:?} in {}", self.output));
        let start = console::answer_to_mark(mark.wrapping_sub(1));
        let text = before.rsplit_once(&start).map_or(before, |(_, text)| text);
        console::without_notices(text)
    }

    /// The texts of its generations, each of which comes before a closing line.
    #[must_use]
    pub fn generations(&self) -> Vec<&str> {
        let mut texts = Vec::new();
        let mut rest = self.output.split_once(".\n").map_or("", |(_, rest)| rest);
        loop {
            // A text can be empty; then its closing line directly follows the previous one.
            let at = match closing(rest) {
                Some(_) if rest.starts_with('[') => 0,
                _ => match rest.find("\n[") {
                    Some(at) if closing(&rest[at + 1..]).is_some() => at + 1,
                    _ => break,
                },
            };
            let text = &rest[..at];
            texts.push(text.strip_suffix('\n').unwrap_or(text));
            let line = closing(&rest[at..]).unwrap_or(0);
            rest = &rest[at + line..];
        }
        texts
    }
}

/// Whether the system runs in QEMU, judging by the command that starts it.
#[must_use]
pub fn is_emulated() -> bool {
    std::env::var("SEL4_LLM_RUN").is_ok_and(|command| command.contains("qemu-system-"))
}

/// Length of the closing line at the beginning of `text`, including its line break.
fn closing(text: &str) -> Option<usize> {
    let end = text.find('\n')?;
    text[..end].contains(" tokens/s").then_some(end + 1)
}

/// A person at the console of a running system.
pub struct Terminal(OsSession);

impl Terminal {
    /// Starts the system on a pseudo-terminal and waits for the shell's prompt.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_of("SEL4_LLM_RUN")
    }

    /// Like [`Self::start`], for the system that this environment variable names.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_of(variable: &str) -> Self {
        Self::launch(variable).ready()
    }

    /// Like [`Self::start_of`], with this disk; in the command `$DISK` is the image.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_with_disk(variable: &str, image: &disk::Image) -> Self {
        Self::spawn(disk::command_of(variable, image)).ready()
    }

    fn ready(mut self) -> Self {
        self.expect("sel4-llm is ready.");
        self.expect("llm> ");
        self
    }

    /// Like [`Self::start_of`], without waiting.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn launch(variable: &str) -> Self {
        Self::spawn(command(variable))
    }

    fn spawn(command: Command) -> Self {
        Self(Console::spawn(command).expect("the system starts"))
    }

    /// Types keys.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn type_in(&mut self, keys: impl AsRef<[u8]>) {
        self.0.send(keys).expect("the terminal takes input");
    }

    /// Waits until `what` appears, and returns the text up to its end.
    ///
    /// # Panics
    /// It does not appear.
    pub fn expect(&mut self, what: impl Needle + std::fmt::Debug) -> String {
        self.expect_within(what, PATIENCE)
    }

    /// Like [`Self::expect`], with a time limit.
    ///
    /// # Panics
    /// It does not appear.
    pub fn expect_within(
        &mut self,
        what: impl Needle + std::fmt::Debug,
        patience: Duration,
    ) -> String {
        let found = waiting::wait_for(&mut self.0, &what, patience).unwrap_or_else(|error| {
            let shown = waiting::last_shown(&mut self.0);
            panic!("{what:?}: {error}; shown instead, at its end: {shown:?}")
        });
        let shown = String::from_utf8_lossy(found.before()).into_owned();
        shown + &String::from_utf8_lossy(found.get(0).unwrap_or_default())
    }

    /// Like [`Self::expect_within`]; `None` if it does not appear.
    #[must_use]
    pub fn wait_for(&mut self, what: &str, patience: Duration) -> Option<String> {
        let found = waiting::wait_for(&mut self.0, &what, patience).ok();
        found.map(|found| String::from_utf8_lossy(found.before()).into_owned() + what)
    }

    /// Leaves with Ctrl-], which the runtime handles itself, and returns the exit status.
    ///
    /// # Panics
    /// It does not end, or was killed.
    #[must_use]
    pub fn leave(mut self) -> i32 {
        self.type_in([0x1d]);
        self.end()
    }

    /// Waits for the system to end, and returns the exit status.
    ///
    /// # Panics
    /// It does not end, or was killed.
    #[must_use]
    pub fn end(mut self) -> i32 {
        waiting::wait_for(&mut self.0, &Eof, PATIENCE).expect("the end of the output");
        match self.0.get_process().wait() {
            Ok(WaitStatus::Exited(_, status)) => status,
            other => panic!("ended as {other:?}"),
        }
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn what_a_terminal_shows_is_told_from_what_the_system_says() {
        assert_eq!(
            without_sequences("\x1b[31merror: x\x1b[0m [1m\x1b[2K"),
            "error: x [1m"
        );
        let all = "llm> llmstats\nadmin@llm> whoami\nchat> Hi\nadmin@chat> /exit\nHe said llm> twice\nerror: x\n";
        assert_eq!(printed(all, ""), "He said llm> twice\nerror: x\n");
        // The rows of a long line belong to it; text that only looks like one does not.
        let typed = "whoami\nllminfer \"One day a fox\" -n 4\n";
        let all = "llm> llminfer \"\x08\x08<er \x08\x08llminfer \"One\r\n day a fo\r\nx\" -n 4\r\n met\r\nllm> whoami\r\n day\r\n";
        assert_eq!(printed(all, typed), " met\n day\n");
    }
}

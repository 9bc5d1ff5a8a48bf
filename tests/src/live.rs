//! A system that keeps running while a program talks to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::console;
use crate::disk::{Drive, Image};

/// What went wrong with a system.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// Nothing came for `PATIENCE`.
    #[error("no answer to {command:?} within {} s; the last that it printed: {last:?}", crate::PATIENCE.as_secs())]
    Silent {
        /// The command.
        command: String,
        /// The end of its output.
        last: String,
    },
    /// It ended.
    #[error("the system ended; the last that it printed: {last:?}")]
    Ended {
        /// The end of its output.
        last: String,
    },
    /// Its console takes no input.
    #[error("the console: {0}")]
    Console(#[from] std::io::Error),
    /// Its output is wrong.
    #[error("{0}")]
    Wrong(String),
}

/// The output of a command, and how long it took.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The output without notices.
    pub text: String,
    /// Notices from audit, and about jobs that ended.
    pub notices: Vec<String>,
    /// From the line to the end of its answer.
    pub took: Duration,
}

/// A running system.
#[derive(Debug)]
pub struct Live {
    child: Child,
    /// `None` once its input was closed.
    stdin: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    /// Lines of its standard error.
    errors: Receiver<String>,
    /// Output that does not belong to an answer yet.
    pending: String,
    marks: usize,
}

impl Live {
    /// Starts the command in the variable, with more arguments, and waits until it is ready.
    ///
    /// # Errors
    /// It does not become ready.
    ///
    /// # Panics
    /// The variable is not set, or `sh` cannot be started.
    pub fn start(variable: &str, arguments: &[&str]) -> Result<Self, Broken> {
        let mut command = crate::command(variable);
        command.args(arguments);
        Self::of(command)
    }

    /// Starts the system with this disk, and waits until it is ready.
    ///
    /// # Errors
    /// It does not get ready.
    ///
    /// # Panics
    /// `SEL4_LLM_RUN_DISK` is not set, or `sh` cannot be started.
    pub fn start_with(image: &Image) -> Result<Self, Broken> {
        Self::of(crate::disk::command_with(image))
    }

    /// Starts the system of this variable on a device with a fault, and waits until it is ready.
    ///
    /// # Errors
    /// It does not get ready.
    ///
    /// # Panics
    /// The variable is not set, or `sh` cannot be started.
    pub fn start_on(variable: &str, drive: &Drive) -> Result<Self, Broken> {
        Self::of(drive.command(variable))
    }

    fn of(mut command: Command) -> Result<Self, Broken> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let (stdin, mut stdout, stderr) = (
            child.stdin.take(),
            child.stdout.take().expect("a pipe"),
            child.stderr.take().expect("a pipe"),
        );
        let (sender, errors) = channel();
        std::thread::spawn(move || {
            // Read it to the end, even if nobody needs it any more, so that the writer never blocks.
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(bytes @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..bytes].to_vec()).is_err() {
                    break;
                }
            }
        });
        let mut live = Self {
            child,
            stdin,
            output,
            errors,
            pending: String::new(),
            marks: 0,
        };
        live.wait_for("sel4-llm is ready. Type 'help'.", "the start")?;
        Ok(live)
    }

    /// Process id of the system.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines of standard error since the last call: with `--debug`, the domains' debug output.
    pub fn said(&self) -> impl Iterator<Item = String> {
        self.errors.try_iter()
    }

    /// Waits for output on standard error, with a time limit; `None` if there is none.
    #[must_use]
    pub fn next_said(&self, patience: Duration) -> Option<String> {
        self.errors.recv_timeout(patience).ok()
    }

    /// Runs lines and returns their output.
    ///
    /// # Errors
    /// No answer comes.
    pub fn run(&mut self, lines: &str) -> Result<Answer, Broken> {
        let began = Instant::now();
        self.type_in(format!("{lines}\n").as_bytes())?;
        self.answer(lines, began)
    }

    /// Runs a line and types Ctrl-C after a delay.
    ///
    /// # Errors
    /// No answer comes.
    pub fn run_and_interrupt(&mut self, line: &str, after: Duration) -> Result<Answer, Broken> {
        let began = Instant::now();
        self.type_in(format!("{line}\n").as_bytes())?;
        std::thread::sleep(after);
        self.type_in(&[0x03])?;
        let mut answer = self.answer(line, began)?;
        // It came too late: the shell was at its prompt.
        answer.text = answer.text.replace("^C\n", "");
        Ok(answer)
    }

    /// Types lines, and waits for no answer.
    ///
    /// # Errors
    /// The console takes no input.
    pub fn begin(&mut self, lines: &str) -> Result<(), Broken> {
        self.type_in(lines.as_bytes())
    }

    /// Kills the system, as a power failure does. Returns output that has not been read yet.
    #[must_use]
    pub fn cut(mut self) -> String {
        self.kill();
        let mut printed = std::mem::take(&mut self.pending);
        // The pipe ends when the system has died.
        while let Ok(bytes) = self.output.recv() {
            printed += &String::from_utf8_lossy(&bytes);
        }
        printed
    }

    /// Kills all of its processes. An emulator is a child of the program that wraps its console, and would otherwise go
    /// on.
    fn kill(&mut self) {
        let children = children(self.child.id());
        // If it has ended, there is nothing to kill.
        let _ = self.child.kill();
        for child in children {
            let _ = kill_process(child, Signal::KILL);
        }
        let _ = self.child.wait();
    }

    fn type_in(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let Some(stdin) = &mut self.stdin else {
            return Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into());
        };
        stdin.write_all(bytes)?;
        Ok(stdin.flush()?)
    }

    fn answer(&mut self, command: &str, began: Instant) -> Result<Answer, Broken> {
        self.marks += 1;
        let mark = console::mark(self.marks);
        self.type_in(mark.as_bytes())?;
        let printed = self.wait_for(console::answer_to_mark(self.marks).trim_end(), command)?;
        let took = began.elapsed();
        let printed = crate::printed(&printed, command);
        let lines = printed.split_inclusive('\n');
        let (notices, text): (Vec<&str>, Vec<&str>) =
            lines.partition(|line| console::is_notice(line));
        Ok(Answer {
            text: text.concat(),
            notices: notices.iter().map(|line| line.trim().to_owned()).collect(),
            took,
        })
    }

    /// The output up to the line that contains `what`, without that line.
    fn wait_for(&mut self, what: &str, command: &str) -> Result<String, Broken> {
        let until = Instant::now() + crate::PATIENCE;
        // Where to search from: everything before it was searched.
        let mut from = 0;
        loop {
            let found = self.pending[from..].find(what).map(|at| from + at);
            let end = found.and_then(|at| Some(at + self.pending[at..].find('\n')? + 1));
            if let (Some(at), Some(end)) = (found, end) {
                let rest = self.pending.split_off(end);
                let mut printed = std::mem::replace(&mut self.pending, rest);
                let line = printed[..at].rfind('\n').map_or(0, |newline| newline + 1);
                printed.truncate(line);
                return Ok(printed);
            }
            from = found.unwrap_or_else(|| self.pending.len().saturating_sub(what.len()));
            while !self.pending.is_char_boundary(from) {
                from -= 1;
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.pending += &String::from_utf8_lossy(&bytes),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Broken::Silent {
                        command: command.to_owned(),
                        last: self.last(),
                    });
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Broken::Ended { last: self.last() });
                }
            }
        }
    }

    fn last(&self) -> String {
        let start = self.pending.len().saturating_sub(500);
        let start = (start..).find(|at| self.pending.is_char_boundary(*at));
        self.pending[start.unwrap_or(0)..].to_owned()
    }

    /// Closes its input, which ends the system.
    ///
    /// # Errors
    /// It does not end with status 0.
    pub fn end(mut self) -> Result<(), Broken> {
        self.stdin = None;
        let until = Instant::now() + crate::PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return match status.success() {
                    true => Ok(()),
                    false => Err(Broken::Wrong(format!("the system ended with {status}"))),
                };
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(Broken::Silent {
            command: "the end of the input".to_owned(),
            last: self.last(),
        })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The child processes of this one, from `/proc`.
fn children(parent: u32) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let child = |entry: std::fs::DirEntry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name may contain anything: the other fields follow the last bracket.
        let (_, rest) = stat.rsplit_once(") ")?;
        let is = rest.split(' ').nth(1)?.parse() == Ok(parent);
        is.then(|| Pid::from_raw(pid)).flatten()
    };
    processes.filter_map(child).collect()
}

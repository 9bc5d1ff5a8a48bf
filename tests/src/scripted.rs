//! A console operated by a program that remembers its requests and the answers, so that both can be compared with the
//! audit log.

mod accounts;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::books::Books;
use crate::console::{ended_job, text_and_closing};
use crate::export::{Joined, Table, spread};
use crate::live::{Answer, Broken, Live};
use accounts::reasons;

/// Users of the test builds' policy.
pub const USERS: [&str; 3] = ["guest", "tester", "admin"];

/// Limit of jobs whose end nobody has waited for. The shell keeps 32, and drops the oldest finished one for a new one.
const MOST_JOBS: usize = 20;

/// Number of entries that an export repeats from the previous one.
const OVERLAP: u64 = 20;

/// A request for text.
#[derive(Debug)]
struct Asked {
    #[allow(dead_code)] // For an error message.
    what: String,
    /// Its closing line, once it has arrived.
    closing: Option<String>,
}

#[derive(Debug)]
struct Job {
    id: u32,
    user: &'static str,
    /// Index into the list of requests.
    asked: usize,
}

/// The console; see the module.
#[derive(Debug)]
pub struct Scripted {
    /// The system.
    pub live: Live,
    /// The log as far as it was exported.
    pub log: Joined,
    asked: Vec<Asked>,
    jobs: VecDeque<Job>,
    user: &'static str,
    /// Jobs whose end a notice announced.
    announced: BTreeMap<u32, usize>,
    /// The other clients, the limit of each one's budget, and the number of turns each was told to take.
    others: Vec<(Books, u64)>,
    turns: u64,
    /// Duration of commands that do not generate text.
    shell_us: Vec<u64>,
    checkpoints: usize,
}

impl Scripted {
    /// Starts a system that can misbehave, and gives every user a budget whose period does not end. `others`: its soak
    /// clients.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(arguments: &[&str], others: &[&'static str]) -> Result<Self, Broken> {
        let mut scripted = Self {
            live: Live::start("SEL4_LLM_RUN_INJECT", arguments)?,
            log: Joined::default(),
            asked: Vec::new(),
            jobs: VecDeque::new(),
            user: USERS[0],
            announced: BTreeMap::new(),
            others: others.iter().map(|name| (Books::new(name), 0)).collect(),
            turns: 0,
            shell_us: Vec::new(),
            checkpoints: 0,
        };
        scripted.log_in("tester")?;
        for user in USERS {
            scripted.set_budget(user, 1_000_000_000)?;
        }
        Ok(scripted)
    }

    /// The logged-in user.
    #[must_use]
    pub const fn user(&self) -> &'static str {
        self.user
    }

    /// Number of requests for text typed so far.
    #[must_use]
    pub const fn typed(&self) -> usize {
        self.asked.len()
    }

    /// Completed requests for text of all clients, including typed ones.
    ///
    /// # Errors
    /// Another client reports something wrong.
    pub fn requests(&mut self) -> Result<usize, Broken> {
        for line in self.live.said() {
            take_line(&mut self.others, &line)?;
        }
        let of_others: usize = self.others.iter().map(|(books, _)| books.ended()).sum();
        Ok(self.asked.len() + of_others)
    }

    /// Makes the other clients take another turn, by raising the limit of each one's budget to its current use plus
    /// `allowance`. Only users who may change budgets can do this, and only after a checkpoint.
    ///
    /// # Errors
    /// It fails.
    pub fn begin_turn(&mut self, mut allowance: impl FnMut() -> u64) -> Result<(), Broken> {
        self.turns += 1;
        for index in 0..self.others.len() {
            let (books, before) = &self.others[index];
            let (name, before) = (books.name, *before);
            let (used, _) = self.budget(name)?;
            let mut limit = used + allowance();
            // The same limit again would not start a turn.
            limit += u64::from(limit == before);
            self.set_budget(name, limit)?;
            self.others[index].1 = limit;
        }
        Ok(())
    }

    /// Waits until the other clients have finished their turns.
    fn wait_for_turns(&mut self) -> Result<(), Broken> {
        let mut heard = Instant::now();
        while self
            .others
            .iter()
            .any(|(books, _)| books.turns() < self.turns)
        {
            match self.live.next_said(Duration::from_millis(200)) {
                Some(line) => {
                    take_line(&mut self.others, &line)?;
                    heard = Instant::now();
                }
                None if heard.elapsed() > crate::PATIENCE => {
                    let others = self.others.iter();
                    let turns: Vec<_> = others
                        .map(|(it, _)| (it.name, it.turns(), it.ended()))
                        .collect();
                    return Err(Broken::Wrong(format!(
                        "the others say nothing more in turn {}: {turns:?}",
                        self.turns
                    )));
                }
                // The supervisor may have died; asking a question detects that.
                None => self.ask("whoami").map(|_| ())?,
            }
        }
        Ok(())
    }

    /// Numbers of the user's jobs that may still be running.
    #[must_use]
    pub fn jobs(&self) -> Vec<u32> {
        let mine = self.jobs.iter().filter(|job| job.user == self.user);
        mine.map(|job| job.id).collect()
    }

    fn take_notices(&mut self, answer: &Answer) {
        for line in &answer.notices {
            if let Some((job, _)) = ended_job(line) {
                *self.announced.entry(job).or_default() += 1;
            }
        }
    }

    /// Runs a line that does not generate text, and returns its answer, which must not be empty.
    ///
    /// # Errors
    /// No answer comes, or an empty one.
    pub fn ask(&mut self, line: &str) -> Result<String, Broken> {
        let answer = self.live.run(line)?;
        self.take_notices(&answer);
        self.shell_us.push(answer.took.as_micros() as u64);
        match answer.text.trim() {
            "" => Err(Broken::Wrong(format!("{line:?} has no answer"))),
            _ => Ok(answer.text),
        }
    }

    /// Logs in as this user; false if audit does not allow it now.
    ///
    /// # Errors
    /// There is no answer, or not a valid one.
    pub fn log_in(&mut self, user: &'static str) -> Result<bool, Broken> {
        let (line, expected) = match user {
            "guest" => ("logout", "logged out; now guest "),
            "admin" => ("login admin\nsel4", "logged in as admin "),
            _ => ("login tester", "logged in as tester "),
        };
        let answer = self.ask(line)?;
        let was_nobody = user == "guest" && answer.starts_with("nobody has logged in");
        if was_nobody || answer.starts_with(expected) {
            self.user = user;
            return Ok(true);
        }
        match answer.starts_with("error: a passphrase was tried here a moment ago") {
            true => Ok(false),
            false => Err(Broken::Wrong(format!("{line:?}: {answer}"))),
        }
    }

    /// Gives a user a budget, in a period that does not end during the test. Only users who may change budgets can do
    /// this.
    ///
    /// # Errors
    /// It fails.
    pub fn set_budget(&mut self, user: &str, tokens: u64) -> Result<(), Broken> {
        let line = format!("llmctl budget {user} --tokens {tokens} --period 8000h");
        let answer = self.ask(&line)?;
        match answer.starts_with(&format!("{user}: ")) {
            true => Ok(()),
            false => Err(Broken::Wrong(format!("{line}: {answer}"))),
        }
    }

    /// Tokens that a user has used and reserved.
    fn budget(&mut self, user: &str) -> Result<(u64, u64), Broken> {
        let answer = self.ask(&format!("llmctl budget {user}"))?;
        let number = |before: &str, after: &str| -> Option<u64> {
            let (_, rest) = answer.split_once(before)?;
            rest.split_once(after)?.0.parse().ok()
        };
        match (number("left (", " used"), number("used, ", " reserved")) {
            (Some(used), Some(reserved)) => Ok((used, reserved)),
            _ => Err(Broken::Wrong(format!("no budget: {answer}"))),
        }
    }

    /// Runs a request for text. Returns its output before the closing line, and that line.
    ///
    /// # Errors
    /// There is no closing line.
    pub fn infer(
        &mut self,
        line: &str,
        interrupt: Option<Duration>,
    ) -> Result<(String, String), Broken> {
        let answer = match interrupt {
            None => self.live.run(line)?,
            Some(after) => self.live.run_and_interrupt(line, after)?,
        };
        self.take_notices(&answer);
        if interrupt.is_some() && answer.text.trim().is_empty() {
            // Ctrl-C came before the shell sent the request. If it was sent, the log says so.
            return Ok(Default::default());
        }
        // After a refusal for lack of tokens, the shell says what is left.
        let budget = format!("\n{}: ", self.user);
        let refused = answer.text.split_once(&budget).filter(|(before, rest)| {
            before.starts_with("error: ") && rest.contains(" tokens left (")
        });
        let closed = refused.map_or(answer.text.clone(), |(before, _)| format!("{before}\n"));
        let Some((text, closing)) = text_and_closing(&closed) else {
            let printed = answer.text;
            return Err(Broken::Wrong(format!(
                "{line:?} has no closing line: {printed}"
            )));
        };
        self.asked.push(Asked {
            what: line.to_owned(),
            closing: Some(closing.to_owned()),
        });
        Ok((text.to_owned(), closing.to_owned()))
    }

    /// Starts a request for text in the background.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_job(&mut self, line: &str) -> Result<(), Broken> {
        while self.jobs.len() >= MOST_JOBS {
            self.wait_for_oldest()?;
        }
        let answer = self.ask(&format!("{line} --background"))?;
        let id = answer
            .strip_prefix("job ")
            .and_then(|rest| rest.split_once(": under way"))
            .and_then(|(id, _)| id.parse().ok());
        // If the shell refuses the line on reading it, it never becomes a job.
        let refused =
            text_and_closing(&answer).filter(|(_, closing)| closing.starts_with("error: "));
        if id.is_none() && refused.is_none() {
            return Err(Broken::Wrong(format!("{line:?} started no job: {answer}")));
        }
        let asked = self.asked.len();
        self.asked.push(Asked {
            what: line.to_owned(),
            closing: refused.map(|(_, closing)| closing.to_owned()),
        });
        if let Some(id) = id {
            self.jobs.push_back(Job {
                id,
                user: self.user,
                asked,
            });
        }
        Ok(())
    }

    /// Waits for the oldest job, as its user.
    ///
    /// # Errors
    /// It has no closing line.
    pub fn wait_for_oldest(&mut self) -> Result<(), Broken> {
        let Some(job) = self.jobs.pop_front() else {
            return Ok(());
        };
        let before = self.user;
        if before != job.user {
            self.insist_on(job.user)?;
        }
        let line = format!("llmctl wait {}", job.id);
        let answer = self.live.run(&line)?;
        self.take_notices(&answer);
        let Some((_, closing)) = text_and_closing(&answer.text) else {
            return Err(Broken::Wrong(format!(
                "{line} has no closing line: {answer:?}"
            )));
        };
        self.asked[job.asked].closing = Some(closing.to_owned());
        if before != job.user {
            self.insist_on(before)?;
        }
        Ok(())
    }

    /// Logs in as this user, however long audit makes failed logins wait.
    ///
    /// # Errors
    /// See [`Self::log_in`].
    pub fn insist_on(&mut self, user: &'static str) -> Result<(), Broken> {
        while !self.log_in(user)? {
            std::thread::sleep(Duration::from_millis(250));
        }
        Ok(())
    }

    fn fill(&self, table: &mut Table) {
        let log = &self.log;
        table.row("requests typed", self.asked.len());
        table.row("  admitted", log.count("admit"));
        let refused = log.of("refuse").filter(|entry| entry.prompt_bytes > 0);
        table.row("  refused, with an entry of their own", reasons(refused));
        table.row("  finished, cancelled ones included", log.count("finish"));
        table.row("  cancelled by their user", log.count("cancel"));
        let failed = log.of("fail").filter(|entry| entry.session > 0);
        table.row("  failed", reasons(failed));
        table.row("  past their deadline", log.count("timeout"));
        for (books, _) in &self.others {
            books.fill(table);
        }
        let others = self.others.iter().map(|(books, _)| books.name);
        let users: Vec<_> = USERS.into_iter().chain(others).collect();
        for user in &users {
            table.row(
                &format!("tokens of {user}, by budget and by log"),
                log.charged(user),
            );
        }
        table.row("budgets compared", self.checkpoints * users.len());
        table.row("restarts of inference", log.count("fault"));
        table.row("recoveries", log.count("recover"));
        let recovered = log.of("recover").map(|entry| entry.value).collect();
        table.row("time to recover, by the log", spread(recovered));
        table.row("sessions evicted", log.count("evict"));
        let loads = log.of("load").filter(|entry| !entry.user.is_empty());
        table.row("models loaded by users", loads.count());
        table.row("logins, logouts", log.count("login") + log.count("logout"));
        table.row("protocol violations recorded", log.count("violation"));
        table.row("entries of the log", log.entries.len());
        table.row(
            "answers of the shell without text",
            spread(self.shell_us.clone()),
        );
    }
}

/// Handles a line of standard error that comes from one of the other clients.
fn take_line(others: &mut [(Books, u64)], line: &str) -> Result<(), Broken> {
    let mut books = others.iter_mut().map(|(books, _)| books);
    books
        .try_for_each(|books| books.take(line))
        .map_err(Broken::Wrong)
}

/// The output of `llmtool`.
fn tool(arguments: &[&str], file: &str) -> Result<String, Broken> {
    let (text, status) = crate::llmtool(arguments, file);
    if status == Some(0) {
        return Ok(text);
    }
    let wrong: Vec<&str> = text
        .lines()
        .filter(|line| !line.ends_with("reproduced"))
        .take(20)
        .collect();
    let wrong = wrong.join("\n");
    Err(Broken::Wrong(format!("llmtool {arguments:?}: {wrong}")))
}

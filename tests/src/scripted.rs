//! A console that a program works at, and that remembers what it asked for and what it was told, so that both can be
//! compared with the audit log.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use protocol::error::ErrorCode;

use crate::books::Books;
use crate::console::{ended_job, text_and_closing};
use crate::export::{Entry, Joined, Table, agrees, is_charged, spread};
use crate::live::{Answer, Broken, Live};

/// Users of the test builds' policy.
pub const USERS: [&str; 3] = ["guest", "tester", "admin"];

/// Jobs that nobody has waited for. The shell keeps 32, and the oldest that has ended goes for a new one.
const MOST_JOBS: usize = 20;

/// Entries that an export repeats of the one before.
const OVERLAP: u64 = 20;

/// A request for text.
#[derive(Debug)]
struct Asked {
    #[allow(dead_code)] // For the message of an error.
    what: String,
    /// The line that closed it, once it has come.
    closing: Option<String>,
}

#[derive(Debug)]
struct Job {
    id: u32,
    user: &'static str,
    /// Index of what was asked.
    asked: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Scripted {
    /// The system.
    pub live: Live,
    /// The log as far as it was exported.
    pub log: Joined,
    asked: Vec<Asked>,
    jobs: VecDeque<Job>,
    user: &'static str,
    /// Jobs of which a notice has told that they ended.
    announced: BTreeMap<u32, usize>,
    /// The other clients, the limit of each one's budget, and how many turns it was told to take.
    others: Vec<(Books, u64)>,
    turns: u64,
    /// How long questions took that no request for text is part of.
    shell_us: Vec<u64>,
    checkpoints: usize,
}

impl Scripted {
    /// Starts the system with faults, and gives every user a budget whose period does not end. `others`: the clients of
    /// the soak that it has.
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

    /// Who is logged in.
    #[must_use]
    pub const fn user(&self) -> &'static str {
        self.user
    }

    /// Requests for text so far that were typed.
    #[must_use]
    pub const fn typed(&self) -> usize {
        self.asked.len()
    }

    /// Requests for text of all clients that are over, and those that were typed.
    ///
    /// # Errors
    /// Another client says what it should not.
    pub fn requests(&mut self) -> Result<usize, Broken> {
        for line in self.live.said() {
            take_line(&mut self.others, &line)?;
        }
        let of_others: usize = self.others.iter().map(|(books, _)| books.ended()).sum();
        Ok(self.asked.len() + of_others)
    }

    /// Has the other clients take another turn, by a new limit of each one's budget: what it has used by now, and as many
    /// tokens as `allowance` says. Only who may change budgets can, and only after a checkpoint.
    ///
    /// # Errors
    /// It does not work.
    pub fn begin_turn(&mut self, mut allowance: impl FnMut() -> u64) -> Result<(), Broken> {
        self.turns += 1;
        for index in 0..self.others.len() {
            let (books, before) = &self.others[index];
            let (name, before) = (books.name, *before);
            let (used, _) = self.budget(name)?;
            let mut limit = used + allowance();
            // The same again would begin no turn.
            limit += u64::from(limit == before);
            self.set_budget(name, limit)?;
            self.others[index].1 = limit;
        }
        Ok(())
    }

    /// Waits until the other clients have taken their turns.
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
                // The supervisor's process may have ended: then a question finds it.
                None => self.ask("whoami").map(|_| ())?,
            }
        }
        Ok(())
    }

    /// Numbers of the user's jobs that may be under way.
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

    /// Runs a line that is no request for text, and gives its answer, which must not be empty.
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

    /// Becomes this user; false if audit does not allow it now.
    ///
    /// # Errors
    /// No answer comes, or one that is none.
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

    /// Gives a user a budget, in a period that does not end before all this has. Only who may change budgets can.
    ///
    /// # Errors
    /// It does not work.
    pub fn set_budget(&mut self, user: &str, tokens: u64) -> Result<(), Broken> {
        let line = format!("llmctl budget {user} --tokens {tokens} --period 8000h");
        let answer = self.ask(&line)?;
        match answer.starts_with(&format!("{user}: ")) {
            true => Ok(()),
            false => Err(Broken::Wrong(format!("{line}: {answer}"))),
        }
    }

    /// What a user has used, and what is reserved.
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

    /// A request for text: what it printed before its closing line, and that line.
    ///
    /// # Errors
    /// It is not closed.
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
        // After a refusal for want of tokens the shell tells what is left.
        let budget = format!("\n{}: ", self.user);
        let refused = answer.text.split_once(&budget).filter(|(before, rest)| {
            before.starts_with("error: ") && rest.contains(" tokens left (")
        });
        let closed = refused.map_or(answer.text.clone(), |(before, _)| format!("{before}\n"));
        let Some((text, closing)) = text_and_closing(&closed) else {
            let printed = answer.text;
            return Err(Broken::Wrong(format!("{line:?} is not closed: {printed}")));
        };
        self.asked.push(Asked {
            what: line.to_owned(),
            closing: Some(closing.to_owned()),
        });
        Ok((text.to_owned(), closing.to_owned()))
    }

    /// A request for text in the background.
    ///
    /// # Errors
    /// It does not begin.
    pub fn start_job(&mut self, line: &str) -> Result<(), Broken> {
        while self.jobs.len() >= MOST_JOBS {
            self.wait_for_oldest()?;
        }
        let answer = self.ask(&format!("{line} --background"))?;
        let id = answer
            .strip_prefix("job ")
            .and_then(|rest| rest.split_once(": under way"))
            .and_then(|(id, _)| id.parse().ok());
        // What the shell refuses as it reads the line never becomes a job.
        let refused =
            text_and_closing(&answer).filter(|(_, closing)| closing.starts_with("error: "));
        if id.is_none() && refused.is_none() {
            return Err(Broken::Wrong(format!("{line:?} is no job: {answer}")));
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

    /// Waits for the job that was started first, as its user.
    ///
    /// # Errors
    /// It is not closed.
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
            return Err(Broken::Wrong(format!("{line} is not closed: {answer:?}")));
        };
        self.asked[job.asked].closing = Some(closing.to_owned());
        if before != job.user {
            self.insist_on(before)?;
        }
        Ok(())
    }

    /// Becomes this user, however long audit has whoever failed to log in wait.
    ///
    /// # Errors
    /// As [`Self::log_in`].
    pub fn insist_on(&mut self, user: &'static str) -> Result<(), Broken> {
        while !self.log_in(user)? {
            std::thread::sleep(Duration::from_millis(250));
        }
        Ok(())
    }

    /// Waits for all jobs, exports the log, and compares every user's budget with it, to the token.
    ///
    /// # Errors
    /// Something does not agree.
    pub fn checkpoint(&mut self) -> Result<(), Broken> {
        while !self.jobs.is_empty() {
            self.wait_for_oldest()?;
        }
        self.wait_for_turns()?;
        let before = self.user;
        self.insist_on("tester")?;
        // Inference answers, so no death of it is still to be heard of.
        self.ask("llmctl status")?;
        self.ask("llmctl status")?;
        let stats = self.ask("llmstats --json")?;
        let stats: serde_json::Value = serde_json::from_str(stats.trim())
            .map_err(|error| Broken::Wrong(format!("llmstats: {error}")))?;
        let records = stats["records"].as_u64().unwrap_or(0);
        let known = self.log.entries.last().map_or(0, |entry| entry.sequence);
        let last = match known {
            0 => String::new(),
            _ => format!(" --last {}", records.saturating_sub(known) + OVERLAP),
        };
        let piece = self.ask(&format!("llmctl audit{last} --json"))?;
        self.log.add(&piece).map_err(Broken::Wrong)?;
        let mut ledger = Vec::new();
        let others: Vec<_> = self
            .others
            .iter()
            .map(|(it, limit)| (it.name, *limit))
            .collect();
        for (user, limit) in USERS.map(|user| (user, 0)).into_iter().chain(others) {
            let (used, reserved) = self.budget(user)?;
            ledger.push((user, used, self.log.charged(user)));
            if limit > 0 && used > limit {
                return Err(Broken::Wrong(format!(
                    "{user} has used {used} tokens of {limit}"
                )));
            }
            if reserved != 0 {
                return Err(Broken::Wrong(format!(
                    "{user} has {reserved} tokens reserved, but no request is under way"
                )));
            }
        }
        if let Some((user, used, charged)) = ledger.iter().find(|(_, used, log)| used != log) {
            return Err(Broken::Wrong(format!(
                "{user} has used {used} tokens of the budget, by the log it is {charged}"
            )));
        }
        self.compare_counters(&stats)?;
        self.compare_with_log()?;
        for (books, _) in &self.others {
            books.compare(&self.log).map_err(Broken::Wrong)?;
        }
        self.checkpoints += 1;
        self.insist_on(before)
    }

    /// What audit has counted is what the log has.
    fn compare_counters(&self, stats: &serde_json::Value) -> Result<(), Broken> {
        let log = &self.log;
        let failed = log.of("fail").filter(|entry| entry.session > 0).count() as u64;
        let charged = || log.entries.iter().filter(|entry| is_charged(entry));
        // What is refused again and again is recorded ever more rarely, with the number: some may have no entry yet.
        let refusals = log.of("refuse").chain(log.of("login-failed"));
        let recorded: u64 = refusals.map(|entry| entry.count).sum();
        let refused = stats["refused"].as_u64().unwrap_or(0);
        if recorded > refused || (refused > 0 && recorded == 0) {
            return Err(Broken::Wrong(format!(
                "llmstats has {refused} refused, the log {recorded}"
            )));
        }
        for (name, expected) in [
            ("admitted", log.count("admit") as u64),
            ("failed", failed),
            ("evicted", log.count("evict") as u64),
            ("restarts", log.count("fault") as u64),
            ("timeouts", log.count("timeout") as u64),
            ("prompt_tokens", charged().map(|e| e.prompt_tokens).sum()),
            ("active", 0),
        ] {
            if stats[name].as_u64() != Some(expected) {
                let counted = &stats[name];
                return Err(Broken::Wrong(format!(
                    "llmstats has {counted} {name}, the log {expected}"
                )));
            }
        }
        let ended = stats["finished"].as_u64().zip(stats["cancelled"].as_u64());
        let finished = log.count("finish") as u64;
        if ended.map(|(finished, cancelled)| finished + cancelled) != Some(finished) {
            return Err(Broken::Wrong(format!(
                "llmstats has {ended:?} finished and cancelled, the log {finished}"
            )));
        }
        Ok(())
    }

    /// Every request has one decision and, if it was admitted, one end in the log, and the console said the same.
    fn compare_with_log(&self) -> Result<(), Broken> {
        let ends = self.log.ends().map_err(Broken::Wrong)?;
        // The others have books of their own.
        let typed = |entry: &&Entry| self.others.iter().all(|(it, _)| it.name != entry.user);
        let mut admitted = self.log.of("admit").filter(typed).peekable();
        // What was refused need not have an entry of its own, so it is told from the rest by what the console said.
        for asked in &self.asked {
            let closing = asked.closing.as_deref().unwrap_or("");
            let end = admitted.peek().and_then(|entry| ends.get(&entry.request));
            if end.is_some_and(|end| agrees(closing, end)) {
                admitted.next();
            } else if !closing.starts_with("error: ") {
                return Err(Broken::Wrong(format!(
                    "{asked:?}: the log has {:?}, and as its end {end:?}",
                    admitted.peek()
                )));
            }
        }
        if let Some(entry) = admitted.next() {
            return Err(Broken::Wrong(format!(
                "the log has {entry:?}, which nobody has typed"
            )));
        }
        match self.announced.iter().find(|(_, times)| **times > 1) {
            Some((job, times)) => Err(Broken::Wrong(format!(
                "the end of job {job} was announced {times} times"
            ))),
            None => Ok(()),
        }
    }

    /// Has audit and `llmtool` verify the log, and `llmtool` replay it; figures into a table. The last thing to do.
    ///
    /// # Errors
    /// Something does not hold.
    ///
    /// # Panics
    /// `llmtool` cannot be started.
    pub fn verdict(
        &mut self,
        folder: &Path,
        models: &str,
        table: &mut Table,
    ) -> Result<(), Broken> {
        self.checkpoint()?;
        self.insist_on("tester")?;
        let verified = self.ask("llmctl audit verify")?;
        if !verified.contains(" are unbroken") {
            return Err(Broken::Wrong(format!("llmctl audit verify: {verified}")));
        }
        std::fs::create_dir_all(folder)?;
        let export = self.log.export();
        std::fs::write(folder.join("audit.json"), &export)?;
        let verified = tool(&["audit", "verify"], &export)?;
        let path = std::path::absolute(folder)?.join("texts.json");
        let texts = path.to_string_lossy();
        let replayed = tool(&["replay", "--models", models, "--texts", &texts], &export)?;
        let outputs = self.log.entries.iter().filter(|entry| is_charged(entry));
        let all = format!(
            "{} requests reproduced, 0 differ, 0 not replayed",
            outputs.count()
        );
        let summary = replayed.lines().last().unwrap_or("").to_owned();
        if summary != all {
            return Err(Broken::Wrong(format!(
                "llmtool replay says {summary:?}, not {all:?}"
            )));
        }
        let texts = std::fs::read_to_string(&path)?;
        let texts = crate::books::said(&texts).map_err(Broken::Wrong)?;
        for (books, _) in &self.others {
            books
                .compare_texts(&self.log, &texts)
                .map_err(Broken::Wrong)?;
        }
        self.fill(table);
        table.row(
            "llmtool audit verify",
            verified.lines().next().unwrap_or(""),
        );
        table.row("llmtool replay", summary);
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

/// A line of standard error, if it is one of the other clients'.
fn take_line(others: &mut [(Books, u64)], line: &str) -> Result<(), Broken> {
    let mut books = others.iter_mut().map(|(books, _)| books);
    books
        .try_for_each(|books| books.take(line))
        .map_err(Broken::Wrong)
}

/// How many entries, and of which codes.
fn reasons<'e>(entries: impl Iterator<Item = &'e Entry>) -> String {
    let mut codes: BTreeMap<u16, usize> = BTreeMap::new();
    for entry in entries {
        *codes.entry(entry.code).or_default() += 1;
    }
    let all: usize = codes.values().sum();
    let mut text = all.to_string();
    for (code, count) in codes {
        match ErrorCode::from_u16(code) {
            Some(code) => text += &format!(", {count} {code:?}"),
            None => text += &format!(", {count} of code {code}"),
        }
    }
    text
}

/// What `llmtool` prints.
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

//! Compares the counts of the test with the counters and the log.

use super::{OVERLAP, Scripted, USERS, tool};
use crate::export::{Entry, Table, agrees, is_charged};
use crate::live::Broken;
use protocol::error::ErrorCode;
use std::collections::BTreeMap;
use std::path::Path;

impl Scripted {
    /// Waits for all jobs, exports the log, and compares every user's budget with it, to the token.
    ///
    /// # Errors
    /// Something disagrees.
    pub fn checkpoint(&mut self) -> Result<(), Broken> {
        while !self.jobs.is_empty() {
            self.wait_for_oldest()?;
        }
        self.wait_for_turns()?;
        let before = self.user;
        self.insist_on("tester")?;
        // Inference answers, so none of its deaths is still to be reported.
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
                "{user} has used {used} tokens of the budget, but the log charges {charged}"
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

    /// Checks that audit's counters match the log.
    fn compare_counters(&self, stats: &serde_json::Value) -> Result<(), Broken> {
        let log = &self.log;
        let failed = log.of("fail").filter(|entry| entry.session > 0).count() as u64;
        let charged = || log.entries.iter().filter(|entry| is_charged(entry));
        // Repeated refusals are logged less and less often, with their number, so some may have no entry yet.
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

    /// Checks that every request has one decision and, if admitted, one end in the log, and that the console agreed.
    fn compare_with_log(&self) -> Result<(), Broken> {
        let ends = self.log.ends().map_err(Broken::Wrong)?;
        // The other clients have their own accounts.
        let typed = |entry: &&Entry| self.others.iter().all(|(it, _)| it.name != entry.user);
        let mut admitted = self.log.of("admit").filter(typed).peekable();
        // A refusal need not have its own entry, so the console's output identifies it.
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

    /// Lets audit and `llmtool` verify the log, and `llmtool` replay it; adds figures to a table. Call it last.
    ///
    /// # Errors
    /// A check fails.
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
}

/// Number of entries and their codes.
pub(super) fn reasons<'e>(entries: impl Iterator<Item = &'e Entry>) -> String {
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

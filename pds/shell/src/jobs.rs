//! Background requests, and their text until somebody reads it.

use crate::console::Style;
use protocol::error::Failure;
use protocol::limits::MAX_SESSIONS;
use protocol::name::{FormatName, UserName};
use protocol::wire::client::Finished;
use safe_text::{Sanitiser, beginning};
use sel4_llm_client::RequestId;

/// Jobs that are kept, running or not: as many as the requests that audit admits.
pub(crate) const MAX_JOBS: usize = MAX_SESSIONS;

/// Bytes of a job's text: four for each of the most tokens that a request may generate, and 2 KiB. Longer text is cut
/// and the rest counted. [`MAX_JOBS`] times this is more than half of the shell's memory.
const TEXT_BYTES: usize = 4096;

/// Bytes of the prompt that `llmctl jobs` shows.
const PROMPT_BYTES: usize = 40;

/// Bytes of a failure's detail.
const DETAIL_BYTES: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JobState {
    Running,
    Finished(Finished),
    Failed {
        failure: Failure,
        detail: heapless::Vec<u8, DETAIL_BYTES>,
    },
    /// Audit was restarted and knows nothing of it.
    Lost,
}

impl JobState {
    pub(crate) fn failed(failure: Failure, detail: &[u8]) -> Self {
        let detail = beginning(detail, DETAIL_BYTES);
        Self::Failed {
            failure,
            detail: heapless::Vec::from_slice(detail).unwrap_or_default(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Job {
    /// Its number for the user, which is never reused.
    pub(crate) id: u32,
    pub(crate) request: RequestId,
    pub(crate) owner: UserName,
    /// The format of its answer; empty for none.
    pub(crate) format: FormatName,
    pub(crate) state: JobState,
    /// Whether its owner has been told that it ended.
    pub(crate) announced: bool,
    /// Tokens of its text so far.
    pub(crate) tokens: u32,
    /// Bytes of text that did not fit.
    pub(crate) dropped: u64,
    sanitiser: Sanitiser,
    prompt: heapless::Vec<u8, PROMPT_BYTES>,
    has_whole_prompt: bool,
    text: heapless::String<TEXT_BYTES>,
}

impl Job {
    /// The text, which is safe to show.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The start of the prompt as typed, and whether that is all of it.
    pub(crate) fn prompt(&self) -> (&[u8], bool) {
        (&self.prompt, self.has_whole_prompt)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == JobState::Running
    }

    /// Whether its owner should be told that it has ended.
    pub(crate) fn is_news(&self) -> bool {
        !self.announced && !self.is_running()
    }

    /// The style of its closing line.
    pub(crate) fn style(&self) -> Style {
        match self.state {
            JobState::Failed { .. } | JobState::Lost => Style::Error,
            _ => Style::Aside,
        }
    }

    /// Adds a piece of text that has this many tokens, and passes its safe characters to `show`.
    pub(crate) fn push(&mut self, tokens: u32, piece: &[u8], show: &mut impl FnMut(char)) {
        self.tokens = self.tokens.saturating_add(tokens);
        let (text, dropped) = (&mut self.text, &mut self.dropped);
        self.sanitiser
            .push(piece, &mut |character| keep(text, dropped, character, show));
    }

    /// Ends the job.
    pub(crate) fn end(&mut self, state: JobState, show: &mut impl FnMut(char)) {
        self.state = state;
        let (text, dropped) = (&mut self.text, &mut self.dropped);
        self.sanitiser
            .finish(&mut |character| keep(text, dropped, character, show));
    }
}

fn keep<const N: usize>(
    text: &mut heapless::String<N>,
    dropped: &mut u64,
    character: char,
    show: &mut impl FnMut(char),
) {
    show(character);
    // Once something is missing, nothing after it is kept.
    if *dropped > 0 || text.push(character).is_err() {
        *dropped = dropped.saturating_add(character.len_utf8() as u64);
    }
}

#[derive(Debug)]
pub(crate) struct Jobs {
    jobs: heapless::Vec<Job, MAX_JOBS>,
    last_id: u32,
}

impl Jobs {
    pub(crate) const fn new() -> Self {
        Self {
            jobs: heapless::Vec::new(),
            last_id: 0,
        }
    }

    /// Whether another job can be added. It replaces the oldest one that has ended.
    pub(crate) fn has_room(&self) -> bool {
        !self.jobs.is_full() || self.jobs.iter().any(|job| !job.is_running())
    }

    /// Adds a job and returns its number, or `None` without [`Self::has_room`].
    pub(crate) fn add(
        &mut self,
        request: RequestId,
        owner: UserName,
        format: FormatName,
        prompt: &[u8],
    ) -> Option<u32> {
        let id = self.last_id.wrapping_add(1).max(1);
        let first = beginning(prompt, PROMPT_BYTES);
        let job = Job {
            id,
            request,
            owner,
            format,
            state: JobState::Running,
            announced: false,
            tokens: 0,
            dropped: 0,
            sanitiser: Sanitiser::new(),
            prompt: heapless::Vec::from_slice(first).unwrap_or_default(),
            has_whole_prompt: first.len() == prompt.len(),
            text: heapless::String::new(),
        };
        if let Err(job) = self.jobs.push(job) {
            let ended = self.jobs.iter_mut().filter(|job| !job.is_running());
            *ended.min_by_key(|job| job.id)? = job;
        }
        self.last_id = id;
        Some(id)
    }

    /// The running job of a request.
    pub(crate) fn of_request(&mut self, request: RequestId) -> Option<&mut Job> {
        let mut running = self.jobs.iter_mut().filter(|job| job.is_running());
        running.find(|job| job.request == request)
    }

    /// The user's job with this number.
    pub(crate) fn get(&self, id: u32, owner: UserName) -> Option<&Job> {
        self.of(owner).find(|job| job.id == id)
    }

    /// The user's jobs, in no order.
    pub(crate) fn of(&self, owner: UserName) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(move |job| job.owner == owner)
    }

    /// The user's job with the lowest number above `id`.
    pub(crate) fn after(&self, id: u32, owner: UserName) -> Option<&Job> {
        self.of(owner)
            .filter(|job| job.id > id)
            .min_by_key(|job| job.id)
    }

    /// The user's first ended job that was not announced. Marks it as announced.
    pub(crate) fn announce(&mut self, owner: UserName) -> Option<&Job> {
        let mine = self.jobs.iter_mut().filter(|job| job.owner == owner);
        let ended = mine.filter(|job| job.is_news());
        let job = ended.min_by_key(|job| job.id)?;
        job.announced = true;
        Some(job)
    }

    /// Marks a job as announced.
    pub(crate) fn mark_announced(&mut self, id: u32) {
        for job in self.jobs.iter_mut().filter(|job| job.id == id) {
            job.announced = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::error::ErrorCode;
    use std::string::String;
    use std::vec::Vec;

    fn user(name: &str) -> UserName {
        UserName::new(name).unwrap()
    }

    fn id(number: u32) -> RequestId {
        RequestId::from_number(number)
    }

    fn end(jobs: &mut Jobs, request: u32) {
        let state = JobState::failed(Failure::of(ErrorCode::Busy), b"");
        jobs.of_request(id(request))
            .unwrap()
            .end(state, &mut |_| ());
    }

    #[test]
    fn jobs_are_seen_by_their_owner_alone() {
        let mut jobs = Jobs::new();
        let job = jobs
            .add(id(7), user("guest"), FormatName::EMPTY, b"Once")
            .unwrap();
        assert!(jobs.get(job, user("guest")).is_some() && jobs.get(job, user("admin")).is_none());
        end(&mut jobs, 7);
        assert!(jobs.announce(user("admin")).is_none());
        assert!(jobs.announce(user("guest")).is_some() && jobs.announce(user("guest")).is_none());
        assert!(jobs.of_request(id(7)).is_none(), "its request is over");
    }

    #[test]
    fn the_oldest_that_has_ended_goes_for_a_new_one_and_a_running_one_never() {
        let mut jobs = Jobs::new();
        for request in 1..=MAX_JOBS as u32 {
            jobs.add(id(request), user("guest"), FormatName::EMPTY, b"")
                .unwrap();
        }
        assert!(
            !jobs.has_room()
                && jobs
                    .add(id(99), user("guest"), FormatName::EMPTY, b"")
                    .is_none()
        );
        end(&mut jobs, 5);
        end(&mut jobs, 3);
        assert_eq!(
            jobs.add(id(99), user("guest"), FormatName::EMPTY, b""),
            Some(33)
        );
        let (mut ids, mut id) = (Vec::new(), 0);
        while let Some(job) = jobs.after(id, user("guest")) {
            id = job.id;
            ids.push(id);
        }
        assert!(!ids.contains(&3) && ids.contains(&5) && ids.is_sorted());
    }

    #[test]
    fn text_is_safe_and_what_exceeds_the_room_is_counted() {
        let mut jobs = Jobs::new();
        let job_id = jobs
            .add(id(1), user("guest"), FormatName::EMPTY, &[b'p'; 100])
            .unwrap();
        let job = jobs.of_request(id(1)).unwrap();
        let mut shown = String::new();
        job.push(1, b"\x1b[2J\xc3", &mut |c| shown.push(c));
        job.push(3, b"\xa9", &mut |c| shown.push(c));
        assert_eq!((job.text(), shown.as_str()), ("[2J\u{e9}", "[2J\u{e9}"));
        for _ in 0..TEXT_BYTES {
            job.push(1, "\u{e9}".as_bytes(), &mut |_| ());
        }
        end(&mut jobs, 1);
        let job = jobs.get(job_id, user("guest")).unwrap();
        assert_eq!(
            job.text().len() as u64 + job.dropped,
            2 * TEXT_BYTES as u64 + 5
        );
        assert_eq!(
            (job.prompt().0.len(), job.prompt().1),
            (PROMPT_BYTES, false)
        );
        assert_eq!(job.tokens as usize, TEXT_BYTES + 4);
    }
}

//! What changes if the log is on a disk: when audit goes into service, who waits for an entry to become durable, and
//! what happens to requests if that fails. In a system without a disk, every decision here is made at compile time.

use super::{Monitor, Port};
use crate::files::{Files, FilesEnd, Owner};
use crate::generation::Stop;
use crate::journal::{AskKind, News};
use crate::ledger::model_name;
use crate::table::{InFlight, State, Work};
use disk_log::{Device, Found};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::Fault;
use protocol::wire::client::Event;
use protocol::wire::engine::Command;
use protocol::wire::files::Answer;

/// The result of opening the log at boot, as the code and value of a record.
const fn code_of(found: Found) -> (u16, u64) {
    match found {
        Found::Empty => (1, 0),
        Found::Whole => (2, 0),
        Found::Torn => (3, 0),
        Found::Damaged { after } => (4, after),
    }
}

impl<R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'_, R, W, F> {
    fn files(&self) -> Option<&Files<R, W>> {
        self.files.as_ref().map(FilesEnd::get)
    }

    fn files_mut(&mut self) -> Option<&mut Files<R, W>> {
        self.files.as_mut().map(FilesEnd::get_mut)
    }

    // ---- The beginning --------------------------------------------------------------------------

    /// Whether audit is in service. It is not until the log on the disk was found or has failed. Until then nobody is
    /// heard, so that every entry follows those of earlier boots.
    pub(super) fn serves(&self) -> bool {
        self.files().is_none_or(|files| files.journal.has_begun())
    }

    /// Starts looking for the log; false if there is no disk.
    pub(super) fn start_journal(&mut self) -> bool {
        let Self {
            files,
            gate,
            device,
            ..
        } = self;
        let Some(files) = files else {
            return false;
        };
        let id: Option<Device> = device.id();
        files.get_mut().journal.start(gate.policy(), id);
        true
    }

    /// Goes into service, because the log was found or has failed.
    fn begin_with(&mut self, news: &News, now: u64, port: &mut impl Port) {
        if let News::Opened { newest, .. } = news {
            let (sequence, head) = *newest;
            self.ledger.log.follow(sequence, head);
            let Self { files, ledger, .. } = self;
            if let Some(files) = files {
                files.get_mut().journal.follow(&ledger.log);
            }
        }
        let early = self.files_mut().and_then(|it| it.journal.begins());
        self.begin_service(now);
        match news {
            News::Opened {
                found,
                entries,
                boot,
                ..
            } => {
                let (code, limit) = code_of(*found);
                let record = Record {
                    code,
                    limit,
                    value: *entries,
                    count: u64::from(*boot),
                    ..Record::new(Kind::LogOpened)
                };
                self.record(record, now);
                self.carry_usage(now);
                self.record_usage(now);
            }
            News::Lost(failure) => self.record_loss(*failure, now),
            News::None => {}
        }
        if let Some(fault) = early {
            self.take_fault(fault, now, port);
        }
    }

    /// Inference has failed. If audit is not in service yet, it postpones the reaction; returns whether it did.
    pub(super) fn postpones_fault(&mut self, fault: Fault) -> bool {
        match self.files_mut() {
            Some(files) if !files.journal.has_begun() => {
                files.journal.note_fault(fault);
                true
            }
            _ => false,
        }
    }

    /// Called each second.
    pub(super) fn tick_journal(&mut self) {
        if let Some(files) = self.files_mut() {
            files.journal.tick();
        }
    }

    fn record_loss(&mut self, failure: Failure, now: u64) {
        let refusal = self.log_refusal();
        if let Some(refusal) = refusal {
            self.clients.notify_all(|notices| notices.log_lost(refusal));
        }
        let record = Record {
            code: failure.code as u16,
            value: failure.value,
            limit: failure.limit,
            count: u64::from(refusal.is_some()),
            ..Record::new(Kind::LogLost)
        };
        self.record(record, now);
    }

    // ---- Budgets --------------------------------------------------------------------------------

    /// Continues the users' periods from where the log has left them.
    fn carry_usage(&mut self, now: u64) {
        let users = self.gate.policy().users().len();
        let Self { files, gate, .. } = self;
        let Some(files) = files else {
            return;
        };
        let journal = &mut files.get_mut().journal;
        for user in 0..users {
            let (used, elapsed_us) = journal.usage.carried(user);
            gate.accounts.carry(user, used, elapsed_us, now);
        }
    }

    /// Records what every user has spent, so that the next boot needs no older entry.
    fn record_usage(&mut self, now: u64) {
        for user in 0..self.gate.policy().users().len() {
            let name = self.gate.access.name(user);
            let budget = self.gate.accounts.budget(user, name, now);
            let record = Record {
                name: model_name(&name),
                value: budget.used.saturating_add(budget.reserved),
                limit: budget.period_us.saturating_sub(budget.left_us),
                count: budget.period_us,
                ..Record::new(Kind::Usage)
            };
            self.record(record, now);
        }
    }

    // ---- Admissions -----------------------------------------------------------------------------

    fn log_refusal(&self) -> Option<Failure> {
        self.files().and_then(|files| files.journal.refusal())
    }

    /// # Errors
    /// The log cannot be written, and the policy admits nothing without it.
    pub(super) fn require_log(&self) -> Result<(), Failure> {
        self.log_refusal().map_or(Ok(()), Err)
    }

    /// Whether a client is not heard, because inference has not yet been told of its last request.
    pub(super) fn is_held(&self, client: usize) -> bool {
        self.files()
            .is_some_and(|files| files.journal.holds_of(client))
    }

    /// Sends inference an admitted request; in "ahead" mode, only after its admission is durable.
    pub(super) fn send_admitted(
        &mut self,
        client: Option<usize>,
        number: u32,
        command: &Command<'_>,
    ) {
        if let Some(files) = self.files_mut()
            && files.journal.is_ahead()
            && files.journal.waiting.hold(client, number, command)
        {
            return;
        }
        // There is room, as checked at admission.
        self.link.send(client, number, command);
    }

    /// Notes the entry of an admission that was just written.
    pub(super) fn note_admitted(&mut self, number: u32) {
        let Self { files, ledger, .. } = self;
        if let Some(files) = files {
            let waiting = &mut files.get_mut().journal.waiting;
            waiting.admitted(number, ledger.log.written());
        }
    }

    /// Tells inference of requests whose admission has become durable. Those that cannot go on without the log end
    /// here.
    pub(super) fn release_held(&mut self, now: u64) {
        while let Some((place, may_go_on)) = self.files().and_then(|it| it.journal.next_released())
        {
            let number = self
                .files()
                .and_then(|it| it.journal.waiting.get(place))
                .map_or(0, |(number, ..)| number);
            let is = |entry: &InFlight<'_>| entry.number == number && !entry.is_over();
            let index = self.table.find(is);
            if let Some(index) = index
                && may_go_on
                && !self.pass_on(index, place)
            {
                // Inference has not read earlier messages: later.
                return;
            }
            if let Some(files) = self.files_mut() {
                files.journal.waiting.release(place);
            }
            if let Some(index) = index
                && !may_go_on
            {
                self.end_unrecorded(index, now);
            }
        }
    }

    /// Sends inference a request that was held; false if there is no room.
    fn pass_on(&mut self, index: usize, place: usize) -> bool {
        let entry = self.table.get(index);
        if entry
            .and_then(InFlight::stop)
            .is_some_and(|stop| stop != Stop::No)
        {
            // It was cancelled meanwhile: inference, which does not know it, has been asked to stop it and will say so.
            return true;
        }
        let Self { files, link, .. } = self;
        let Some(files) = files else {
            return true;
        };
        match files.get().journal.waiting.get(place) {
            Some((_, client, frame)) => link.send_kept(client, frame),
            None => true,
        }
    }

    /// Ends a request that inference has not been told of and that cannot go on without the log.
    fn end_unrecorded(&mut self, index: usize, now: u64) {
        let failure = self.log_refusal();
        let failure = failure.unwrap_or(Failure::of(ErrorCode::LogLost));
        let is_tuning = self
            .table
            .get(index)
            .is_some_and(|it| it.tuning().is_some());
        match is_tuning {
            true => self.fail_tuning(index, failure, &[], 0, now),
            false => self.end_request(index, failure.code, now),
        }
        self.note_busy(now);
    }

    // ---- Ends -----------------------------------------------------------------------------------

    /// Notes that a request is over and all its entries are written.
    pub(super) fn note_ended(&mut self, index: usize) {
        let Self {
            files,
            ledger,
            table,
            ..
        } = self;
        let Some(files) = files else {
            return;
        };
        let journal = &mut files.get_mut().journal;
        let waits = journal.is_ahead() || journal.refusal().is_some();
        if let Some(entry) = table.get(index).filter(|_| waits)
            && !matches!(entry.work, Work::Status)
        {
            journal.waiting.ended(entry.number, ledger.log.written());
        }
    }

    /// Whether the next event of a request may be sent. An end may have to wait for its entry.
    pub(super) fn may_tell(&self, entry: &InFlight<'_>) -> bool {
        let Some(files) = self.files() else {
            return true;
        };
        !entry.is_over() || entry.due() > 1 || files.journal.may_tell_end(entry.number)
    }

    /// What a client is told in place of a request's end if that could not be recorded: only that.
    pub(super) fn told_instead(&self, entry: &InFlight<'_>) -> Option<Event<'static>> {
        let files = self.files()?;
        let is_end = matches!(entry.state, State::Ended(_))
            && (entry.generation().is_some() || entry.tuning().is_some());
        let refusal = files.journal.refusal()?;
        let unrecorded = is_end && files.journal.is_unrecorded(entry.number);
        unrecorded.then_some(Event::Failed {
            failure: refusal,
            detail: &[],
        })
    }

    /// Notes that a client was told of a request's end.
    pub(super) fn note_told(&mut self, number: u32) {
        if let Some(files) = self.files_mut() {
            files.journal.waiting.told(number);
        }
    }

    /// The newest entry, its hash, and the number of the boot. With a log on a disk, it is the newest durable entry.
    pub(super) fn head(&self) -> (u64, Hash, u64) {
        let on_disk = self.files().and_then(|files| files.journal.head());
        on_disk.unwrap_or_else(|| {
            let extent = self.ledger.log.extent();
            (extent.next.saturating_sub(1), extent.head, 0)
        })
    }

    // ---- Files ----------------------------------------------------------------------------------

    /// Takes the answer to a question about the log.
    pub(super) fn hear_log(
        &mut self,
        answer: Result<Answer<'_>, Failure>,
        now: u64,
        port: &mut impl Port,
    ) {
        let Some(files) = self.files_mut() else {
            return;
        };
        let news = files.journal.hear(answer);
        self.take_news(&news, now, port);
    }

    /// Takes the result of mounting the file system.
    pub(super) fn log_is_mounted(
        &mut self,
        mounted: Result<(), Failure>,
        now: u64,
        port: &mut impl Port,
    ) {
        let Some(files) = self.files_mut() else {
            return;
        };
        let news = files.journal.mounted(mounted);
        self.take_news(&news, now, port);
    }

    fn take_news(&mut self, news: &News, now: u64, port: &mut impl Port) {
        match news {
            News::None => {}
            _ if !self.serves() => self.begin_with(news, now, port),
            News::Lost(failure) => {
                self.record_loss(*failure, now);
                self.release_held(now);
                // Whoever is waiting for an end is told at once.
                self.work.goes_on();
            }
            // Not reached: the log is opened once.
            News::Opened { .. } => {}
        }
    }

    /// Asks the next question about the log.
    pub(super) fn ask_log(&mut self, now: u64, port: &mut impl Port) {
        let is_due = self
            .files_mut()
            .is_some_and(|it| it.journal.takes_usage_due());
        if is_due {
            self.record_usage(now);
        }
        let Self {
            files,
            ledger,
            work,
            ..
        } = self;
        let Some(files) = files else {
            return;
        };
        let Files { link, journal, .. } = files.get_mut();
        let news = match journal.ask(&ledger.log, work) {
            Ok(None) => News::None,
            Ok(Some(ask)) => {
                let kind = AskKind::of(&ask);
                match link.ask(Owner::Log, &ask, now) {
                    Ok(true) => {
                        journal.was_asked(kind);
                        News::None
                    }
                    Ok(false) => News::None,
                    Err(failure) => journal.cannot_ask(failure),
                }
            }
            Err(news) => news,
        };
        journal.note_written();
        self.take_news(&news, now, port);
    }
}

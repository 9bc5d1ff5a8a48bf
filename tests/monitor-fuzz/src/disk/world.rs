//! A monitor with a disk, from power-on to the next power failure.

use crate::dice::Dice;
use crate::world::{Cause, Journal, Peer, Ring, Runtime, Seen, Watched, memory, pair};
use audit::files::Files;
use audit::log::Cursor;
use audit::{Audit, ClientEnd, ControlError, JournalMemory, KdfBlock, Memory, Texts};
use protocol::limits::WATCHDOG_PERIOD_US;
use protocol::record::Record;
use protocol::testing::TestRegion;

/// Size of a model slot in bytes. It is small, so that slots can be compared after every wake-up.
pub const SLOT_BYTES: usize = 16 << 10;

/// The monitor's memory.
#[derive(Debug)]
pub struct Buffers {
    log: Vec<u8>,
    kdf: Vec<KdfBlock>,
    texts: Box<Texts>,
}

impl Buffers {
    /// Buffers with a log in memory of this size.
    #[must_use]
    pub fn new(log: usize) -> Self {
        Self {
            log: vec![0; log],
            kdf: vec![KdfBlock::new(); 8],
            texts: Box::default(),
        }
    }
}

/// Audit, with an end towards files.
type WithDisk<'m> = Audit<'m, TestRegion, Watched, Files<TestRegion, Watched>>;

/// A monitor and the memory of its journal, which must live at least as long.
struct Monitor<'m> {
    /// Always present, except while it is being dropped.
    audit: Option<Box<WithDisk<'m>>>,
    memory: *mut JournalMemory,
}

impl Drop for Monitor<'_> {
    fn drop(&mut self) {
        self.audit = None;
        // SAFETY: it comes from `Box::into_raw` in `World::new`. The only reference to it was in the monitor, which is
        // gone.
        #[allow(unsafe_code)]
        unsafe {
            drop(Box::from_raw(self.memory));
        }
    }
}

/// A wake-up: what audit did, and what it recorded.
#[derive(Debug)]
pub struct Wake {
    /// What audit did, in order.
    pub seen: Vec<Seen>,
    /// Entries appended to the log in memory.
    pub entries: Vec<(Record, Vec<u8>)>,
}

/// The monitor and its surroundings.
pub struct World<'m> {
    monitor: Monitor<'m>,
    /// The runtime.
    pub runtime: Runtime,
    /// The clients' ends, on channels 0, 1 and so on.
    pub clients: Vec<Peer>,
    /// Inference's end.
    pub inference: Peer,
    /// Whether inference is running.
    pub inference_runs: bool,
    /// Number of times that inference was started.
    pub life: u64,
    /// The end of files.
    pub files: Peer,
    /// The region from which inference reads models of the disk.
    pub slots: TestRegion,
    cursor: Cursor,
    journal: Journal,
    next_tick: u64,
}

impl<'m> World<'m> {
    /// A monitor that has not started, with this many clients.
    ///
    /// # Panics
    /// There are more clients than audit has places for.
    pub fn new(
        buffers: &'m mut Buffers,
        (policy, formats): (&'m [u8], &'m [u8]),
        store: &'m [u8],
        clients: u8,
        (dice, work_us): (Dice, u64),
    ) -> Self {
        let journal = Journal::default();
        let mut ends = heapless::Vec::new();
        let mut peers = Vec::new();
        for channel in 0..clients {
            let (ring, peer) = pair(Ring::Client(usize::from(channel)), &journal);
            let fits = ends.push(ClientEnd { channel, ring }).is_ok();
            assert!(fits, "more clients than audit has places for");
            peers.push(peer);
        }
        let (inference_end, inference) = pair(Ring::Inference, &journal);
        let (files_end, files) = pair(Ring::Files, &journal);
        let (slots, into) = memory(2 * SLOT_BYTES / 8, &journal);
        let (_, staging) = memory(SLOT_BYTES / 8, &journal);
        let (_, adapters) = memory(protocol::adapters::REGION_BYTES / 8, &journal);
        let raw = Box::into_raw(Box::new(JournalMemory::new()));
        // SAFETY: it comes from a box, and only `Monitor::drop` uses it otherwise, which frees it after the monitor.
        #[allow(unsafe_code)]
        let for_journal: &'static mut JournalMemory = unsafe { &mut *raw };
        let memory = Memory {
            log: &mut buffers.log,
            kdf: &mut buffers.kdf,
            texts: &mut buffers.texts,
            policy,
            formats,
            store,
        };
        let files_end = Files::new(files_end, staging, into, store, for_journal);
        let audit = Audit::new(ends, inference_end, memory, adapters, Some(files_end));
        let cursor = audit.log().cursor();
        Self {
            monitor: Monitor {
                audit: Some(Box::new(audit)),
                memory: raw,
            },
            runtime: Runtime::new(dice, work_us, 0, journal.clone()),
            clients: peers,
            inference,
            inference_runs: true,
            life: 0,
            files,
            slots,
            cursor,
            journal,
            next_tick: 1_000_000 + WATCHDOG_PERIOD_US / 3,
        }
    }

    /// Wakes audit.
    pub fn wake(&mut self, cause: Cause) -> Wake {
        self.runtime.begin();
        let Self {
            monitor, runtime, ..
        } = self;
        let mut entries = Vec::new();
        if let Some(audit) = &mut monitor.audit {
            match cause {
                Cause::Start => audit.start(runtime),
                Cause::Signal => audit.on_signal(runtime),
                Cause::Timer => audit.on_timer(runtime),
                Cause::Tick => audit.on_watchdog(runtime),
                Cause::Fault(fault) => audit.on_fault(fault, runtime),
            }
            while let Some(entry) = audit.log().read(&mut self.cursor) {
                entries.push((entry.record, entry.text.to_vec()));
            }
        }
        let seen = self.journal.take();
        for seen in &seen {
            self.passes_on(seen);
        }
        Wake { seen, entries }
    }

    fn passes_on(&mut self, seen: &Seen) {
        match seen {
            Seen::Restarted(Ok(())) => {
                (self.inference.epoch, self.inference_runs) = (0, true);
                (self.inference.wrote, self.inference.owes_signal) = (false, false);
                self.life += 1;
            }
            Seen::Restarted(Err(ControlError::NotStarted)) | Seen::Stopped(Ok(())) => {
                self.inference_runs = false;
            }
            _ => {}
        }
    }

    /// The next time at which the clock wakes audit, and the cause.
    #[must_use]
    pub fn next_alarm(&self) -> (u64, Cause) {
        match self.runtime.timer {
            Some(at) if at <= self.next_tick => (at, Cause::Timer),
            _ => (self.next_tick, Cause::Tick),
        }
    }

    /// Advances the clock to the alarm, which is then over.
    pub fn pass_alarm(&mut self, (at, cause): (u64, Cause)) {
        self.runtime.now = self.runtime.now.max(at);
        match cause {
            Cause::Timer => self.runtime.timer = None,
            _ => self.next_tick = self.runtime.now + WATCHDOG_PERIOD_US,
        }
    }
}

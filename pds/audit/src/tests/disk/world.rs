//! Audit with a `files` played by the test.

use super::*;

pub(super) const SLOT: usize = 64 << 10;

/// Ways in which files misbehaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Misdeed {
    #[default]
    None,
    /// It no longer answers.
    Silence,
    /// It changes a byte of each read from this offset on.
    OtherBytes(usize),
    /// It delivers less of a file than it announced.
    Shrinks,
    /// It claims that a file has the largest possible size.
    Endless,
    /// The disk fails from this offset on.
    Breaks(u64),
    /// It answers a question that was not asked.
    Nonsense,
    /// There is no disk.
    NoDisk,
    /// The disk has room for this many bytes of a file.
    Full(usize),
    /// The disk cannot be written.
    ReadOnly,
}

pub(super) struct World {
    pub(super) system: System<Files<TestRegion, TestRegion>>,
    pub(super) files: TestEndpoint,
    /// Files' end of the rings, in memory.
    pub(super) region: TestRegion,
    pub(super) staging: TestRegion,
    pub(super) slots: TestRegion,
    pub(super) disk: BTreeMap<String, Vec<u8>>,
    pub(super) open: Option<Vec<u8>>,
    /// The file being written, and its final name.
    begun: Option<(String, Vec<u8>)>,
    pub(super) misdeed: Misdeed,
    pub(super) store_bytes: u64,
    pub(super) reads: usize,
}

pub(super) fn model_bytes(name: &str, bytes: usize) -> Vec<u8> {
    let mut file = format!("GGUF {name} ").into_bytes();
    file.extend((file.len()..bytes).map(|n| (n * 7 % 251) as u8));
    file
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Misdeed::None)
    }

    /// Files misbehaves like this from the start.
    pub(super) fn with(misdeed: Misdeed) -> Self {
        Self::of(policy(), misdeed)
    }

    pub(super) fn of(mut policy: Policy, misdeed: Misdeed) -> Self {
        let (ring, files, region) = endpoints();
        let staging = TestRegion::with_words(SLOT / 8);
        let slots = TestRegion::with_words(2 * SLOT / 8);
        let store = signed();
        let store_bytes = store.len() as u64;
        let (for_audit, into) = (staging.clone(), slots.clone());
        // The disk has no log.
        policy.log_on_failure = LogFailure::GoOn as u32;
        let journal = Box::leak(Box::new(JournalMemory::new()));
        let system = System::build(policy.as_bytes(), store, Vec::new(), move |store| {
            Some(Files::new(ring, for_audit, into, store, journal))
        });
        let mut world = Self {
            system,
            files,
            region,
            staging,
            slots,
            disk: BTreeMap::new(),
            open: None,
            begun: None,
            misdeed,
            store_bytes,
            reads: 0,
        };
        assert!(world.files.follow());
        world.put("one.gguf", &model_bytes("one", 20_000), Some(2));
        world.put("more/two.gguf", &model_bytes("two", SLOT), Some(2));
        world.put("unsigned.gguf", b"GGUF unsigned", None);
        world.put("foreign.gguf", b"GGUF foreign", Some(3));
        world.put("large.gguf", &model_bytes("large", SLOT + 1), Some(2));
        world.put("adapters/moral.gguf", b"GGUF moral", Some(2));
        world.put("notes.txt", b"not a model", None);
        while world.look() {}
        world.system.follow();
        world.system.join();
        world.system.loaded(world.system.own_load);
        world.system.told();
        world.system.log_in("admin", "secret");
        world
    }

    pub(super) fn put(&mut self, path: &str, bytes: &[u8], signed_by: Option<u8>) {
        self.disk.insert(path.to_string(), bytes.to_vec());
        if let Some(seed) = signed_by {
            let signature = sign(bytes, seed).to_vec();
            self.disk.insert(format!("{path}.sig"), signature);
        }
    }

    pub(super) fn say(&mut self, number: u32, answer: &Answer<'_>) {
        let mut frame = Frame::new();
        answer.write(number, &mut frame);
        // Audit has stopped reading from it.
        let _ = self.files.send(&frame);
    }

    /// Lets files answer its next question and wakes audit. Returns whether there was one.
    pub(super) fn look(&mut self) -> bool {
        let answered = self.answer();
        if answered {
            self.system.wake();
        }
        answered
    }

    /// Lets files answer its next question. Returns whether there was one.
    pub(super) fn answer(&mut self) -> bool {
        let mut frame = Frame::new();
        if self.misdeed == Misdeed::Silence || self.files.receive(&mut frame) != Ok(true) {
            return false;
        }
        let number = frame.header().request;
        let missing = Answer::Failed {
            why: FilesError::NotFound,
            value: 0,
        };
        match Ask::parse(&frame).unwrap() {
            Ask::Mount if self.misdeed == Misdeed::NoDisk => {
                let why = FilesError::NoDisk;
                self.say(number, &Answer::Failed { why, value: 0 });
            }
            Ask::Mount => self.say(number, &Answer::Mounted(Volume::default())),
            Ask::List => {
                let files: Vec<_> = self
                    .disk
                    .iter()
                    .map(|(p, b)| (p.clone(), b.len()))
                    .collect();
                for (path, bytes) in &files {
                    let (bytes, path) = (*bytes as u64, path.as_bytes());
                    self.say(number, &Answer::File { bytes, path });
                    self.system.wake();
                }
                let count = files.len() as u32;
                self.say(number, &Answer::Listed { count, skipped: 0 });
            }
            Ask::Open { path } => {
                let path = core::str::from_utf8(path).unwrap();
                self.open = self.disk.get(path).cloned();
                let is_model = path.ends_with(".gguf");
                let bytes = self.open.as_ref().map(|open| open.len() as u64);
                match bytes {
                    None => self.say(number, &missing),
                    Some(_) if is_model && self.misdeed == Misdeed::Endless => {
                        self.say(number, &Answer::Opened { bytes: u64::MAX });
                    }
                    Some(bytes) => self.say(number, &Answer::Opened { bytes }),
                }
            }
            Ask::Read { offset, bytes } => {
                self.reads += 1;
                let mut open = self.open.clone().unwrap_or_default();
                let is_model = open.len() != 64;
                match self.misdeed {
                    Misdeed::OtherBytes(at) if is_model => {
                        if let Some(byte) = open.get_mut(at) {
                            *byte ^= 1;
                        }
                    }
                    Misdeed::Shrinks if is_model => open.truncate(open.len().saturating_sub(100)),
                    _ => {}
                }
                let end = open.len().min(offset as usize + bytes as usize);
                let part = open.get(offset as usize..end).unwrap_or(&[]);
                match self.misdeed {
                    Misdeed::Breaks(from) if is_model && offset >= from => {
                        let why = FilesError::Device;
                        self.say(number, &Answer::Failed { why, value: 99 });
                    }
                    Misdeed::Nonsense if is_model => self.say(number, &Answer::Done),
                    _ => self.say(
                        number,
                        &Answer::Part {
                            offset,
                            bytes: part,
                        },
                    ),
                }
            }
            Ask::OpenLog => self.say(number, &missing),
            Ask::Create { .. } | Ask::Append { .. } | Ask::Finish => {
                let ask = Ask::parse(&frame).unwrap();
                match self.write(&ask) {
                    Ok(()) => self.say(number, &Answer::Done),
                    Err(why) => self.say(number, &Answer::Failed { why, value: 99 }),
                }
            }
            other => panic!("{other:?}"),
        }
        true
    }

    /// Writes a file like an honest files domain: it gets its name when it is complete.
    pub(super) fn write(&mut self, ask: &Ask<'_>) -> Result<(), FilesError> {
        match (self.misdeed, ask) {
            (Misdeed::ReadOnly, _) => return Err(FilesError::ReadOnly),
            (Misdeed::Full(most), Ask::Append { offset, bytes })
                if *offset as usize + bytes.len() > most =>
            {
                self.begun = None;
                return Err(FilesError::Full);
            }
            _ => {}
        }
        match ask {
            Ask::Create { path } => {
                let path = String::from_utf8(path.to_vec()).unwrap();
                self.begun = Some((path, Vec::new()));
            }
            Ask::Append { offset, bytes } => {
                let (_, file) = self.begun.as_mut().unwrap();
                assert_eq!(*offset, file.len() as u64);
                file.extend_from_slice(bytes);
            }
            _ => {
                let (path, file) = self.begun.take().unwrap();
                self.disk.insert(path, file);
            }
        }
        Ok(())
    }

    /// Runs until nothing more happens. Returns what the shell was told.
    pub(super) fn settle(&mut self) -> Vec<Told> {
        let mut told = Vec::new();
        loop {
            let busy = self.look();
            let now = self.system.told_at_last();
            if !busy && now.is_empty() {
                return told;
            }
            told.extend(now);
        }
    }

    pub(super) fn load(&mut self, id: u32, name: &str) -> Vec<Told> {
        self.system.ask(id, &Request::Load { name: model(name) });
        self.settle()
    }

    /// Loads a model, which must succeed, into this slot.
    pub(super) fn loads(&mut self, id: u32, name: &str, file: &[u8], slot: usize) {
        let told = self.load(id, name);
        let offset = self.store_bytes + (slot * SLOT) as u64;
        let asked = self.system.asked();
        let [Asked::Load(number, at, bytes)] = asked[..] else {
            panic!("a load, not {asked:?}, {told:?}");
        };
        assert_eq!((at, bytes), (offset, file.len() as u64));
        assert_eq!(self.slot(slot)[..file.len()], *file);
        self.system.loaded(number);
        let told = self.settle();
        assert!(
            matches!(told[..], [Told::Loaded(of, _)] if of == id),
            "{told:?}"
        );
    }

    pub(super) fn slot(&self, slot: usize) -> Vec<u8> {
        let words = slot * SLOT / 8..(slot + 1) * SLOT / 8;
        words
            .flat_map(|word| self.slots.load(word).to_ne_bytes())
            .collect()
    }

    /// Checks that the load fails with this error and changes nothing that inference can read.
    pub(super) fn fails(&mut self, id: u32, name: &str) -> Failure {
        let before = [self.slot(0), self.slot(1)];
        let told = self.load(id, name);
        self.failed(id, &told, before)
    }

    pub(super) fn failed(&mut self, id: u32, told: &[Told], before: [Vec<u8>; 2]) -> Failure {
        let failed: Vec<_> = told
            .iter()
            .filter_map(|told| match told {
                Told::Failed(of, failure) if *of == id => Some(*failure),
                _ => None,
            })
            .collect();
        assert_eq!(failed.len(), 1, "{told:?}");
        assert_eq!(self.system.asked(), [], "inference was not told of it");
        assert!([self.slot(0), self.slot(1)] == before);
        failed[0]
    }
}

//! A C program that runs, and the audit that the test plays.

use super::*;

pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("client-c-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// This crate as a static library. It lies beside this program, with a hash in its name; if there are several, the
/// newest is of this build.
fn library() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let beside = fs::read_dir(program.parent().unwrap()).unwrap().flatten();
    let libraries = beside.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("libsel4_llm-") && name.ends_with(".a")
    });
    let newest = libraries.max_by_key(|entry| entry.metadata().unwrap().modified().unwrap());
    newest.expect("cargo has built the library").path()
}

pub(super) fn compile(folder: &Folder, source: &str) -> PathBuf {
    let program = folder.0.join("program");
    let compiled = Command::new("cc")
        .args([
            "-std=gnu11",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-O2",
            "-g",
            "-I",
        ])
        .arg(own("include"))
        .arg(own("tests").join(source))
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program)
        .status()
        .expect("a C compiler");
    assert!(compiled.success());
    program
}

/// A program that does what it is told, and audit's end of its rings.
pub(super) struct System {
    pub(super) audit: Endpoint<ReadOnlyRegion, ReadWriteRegion>,
    /// The region that audit writes, for writing what no audit would.
    pub(super) raw: ReadWriteRegion,
    pub(super) program: Child,
    input: ChildStdin,
    pub(super) output: BufReader<ChildStdout>,
    _folder: Folder,
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl System {
    pub(super) fn off() -> Self {
        use rustix::mm::{MapFlags, ProtFlags, mmap};
        let folder = Folder::new();
        let path = folder.0.join("regions");
        let file = fs::File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        file.set_len(2 * REGION_BYTES as u64).unwrap();
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let (anywhere, bytes) = (std::ptr::null_mut(), 2 * REGION_BYTES);
        // SAFETY: at an address that the kernel chooses, and never unmapped.
        let start = unsafe { mmap(anywhere, bytes, protection, MapFlags::SHARED, &file, 0) };
        let start = NonNull::new(start.unwrap().cast::<u64>()).unwrap();
        // SAFETY: inside of the mapping.
        let second = unsafe { start.add(REGION_BYTES / 8) };
        let writable = || {
            // SAFETY: mapped for ever, and only used by atomic accesses.
            unsafe { ReadWriteRegion::new(start, REGION_BYTES) }
        };
        // SAFETY: as above.
        let theirs = unsafe { ReadOnlyRegion::new(second, REGION_BYTES) };
        let mut program = Command::new(compile(&folder, "talk.c"))
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            audit: Endpoint::new(theirs, writable()).unwrap(),
            raw: writable(),
            input: program.stdin.take().unwrap(),
            output: BufReader::new(program.stdout.take().unwrap()),
            program,
            _folder: folder,
        }
    }

    /// A system in which audit serves, and the program has seen that.
    pub(super) fn on() -> Self {
        let mut system = Self::off();
        system.audit.lead(1);
        assert_eq!(system.does("poll"), NOTHING);
        system
    }

    /// Sends the program a line, and returns its answer.
    pub(super) fn does(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        assert!(answer.ends_with('\n'), "the program has died: {answer:?}");
        answer.trim_end().to_owned()
    }

    pub(super) fn say(&mut self, number: u32, event: &Event<'_>) {
        let mut frame = Frame::new();
        event.write(number, &mut frame);
        self.audit.send(&frame).unwrap();
    }

    /// Sends the program an event, and returns what it polls.
    pub(super) fn told(&mut self, number: u32, event: &Event<'_>) -> String {
        self.say(number, event);
        self.does("poll")
    }

    /// The next request that audit finds, if there is one.
    pub(super) fn asked(&mut self) -> Option<(u32, String)> {
        let mut frame = Frame::new();
        self.audit.receive(&mut frame).unwrap().then(|| {
            let request = Request::parse(&frame).unwrap();
            (frame.header().request, format!("{request:?}"))
        })
    }
}

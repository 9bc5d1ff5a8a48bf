//! Replaces audit: it lists the files of the disk, reads the first model, finds the end of the log, appends an entry,
//! and reports all of that on the console. `tests/disk/run` boots it several times with the same disk.

#![no_std]
#![no_main]

use core::cell::RefCell;
use core::fmt::Write as _;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use disk_log::{MAX_ENTRY_BYTES, MAX_ENTRY_SECTORS, Opened, Opening};
use protocol::hash::Hex;
use protocol::limits::{MAX_PATH_BYTES, MAX_TRANSFER_SECTORS};
use protocol::record::{Kind, Record};
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::{Endpoint, Frame};
use protocol::wire::files::{Answer, Ask};
use runtime::region::{self, Mapped};
use runtime::{Serial as _, board, patched};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use sha2::{Digest as _, Sha256};
use static_cell::StaticCell;

patched! {
    uart files_channel to_files to_files_size from_files from_files_size
}

const SECTOR: usize = 512;

/// The log's owner. It is not a real device.
const DEVICE: [u8; 16] = *b"the disk's probe";

struct Files {
    ring: Endpoint<ReadOnlyRegion, ReadWriteRegion>,
    frame: Frame,
    channel: Channel,
}

struct Text(board::Console);

impl core::fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.bytes().for_each(|byte| self.0.write(byte));
        Ok(())
    }
}

struct Probe {
    files: RefCell<Files>,
    console: RefCell<Text>,
}

macro_rules! say {
    ($probe:expr, $($text:tt)*) => {{
        let console = &mut *$probe.console.borrow_mut();
        // Writing to the console cannot fail.
        let _ = write!(console, $($text)*).and_then(|()| console.write_str("\r\n"));
    }};
}

impl Probe {
    /// Asks a question, and waits for the answer, which is then in `frame`.
    async fn ask(&self, number: u32, ask: &Ask<'_>, frame: &mut Frame) {
        {
            let Files {
                ring,
                frame,
                channel,
            } = &mut *self.files.borrow_mut();
            ask.write(number, frame);
            // Only one question is under way at a time.
            let _ = ring.send(frame);
            channel.notify();
        }
        self.hear(frame).await;
    }

    async fn hear(&self, frame: &mut Frame) {
        core::future::poll_fn(|_| {
            let files = &mut *self.files.borrow_mut();
            let heard = files.ring.receive(frame);
            if files.ring.take_owed_signal() {
                files.channel.notify();
            }
            match heard {
                Ok(true) => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }

    /// Everything after the answer to `Mount`, which was already sent.
    async fn run(&self) -> Result<(), &'static str> {
        let mut frame = Frame::new();
        self.hear(&mut frame).await;
        match Answer::parse(&frame) {
            Ok(Answer::Mounted(volume)) => {
                say!(
                    self,
                    "FAT{} of {} bytes, {} free",
                    volume.width,
                    volume.bytes,
                    volume.free
                );
            }
            other => {
                say!(self, "{other:?}");
                return Err("no file system");
            }
        }
        let (mut model, mut length) = ([0; MAX_PATH_BYTES], 0);
        self.ask(2, &Ask::List, &mut frame).await;
        loop {
            match Answer::parse(&frame) {
                Ok(Answer::File { bytes, path }) => {
                    say!(
                        self,
                        "file {} {bytes}",
                        core::str::from_utf8(path).unwrap_or("?")
                    );
                    if path.ends_with(b".gguf") && length == 0 {
                        length = path.len();
                        model[..length].copy_from_slice(path);
                    }
                }
                Ok(Answer::Listed { count, skipped }) => {
                    say!(self, "{count} files, {skipped} skipped");
                    break;
                }
                _ => return Err("no list"),
            }
            self.hear(&mut frame).await;
        }
        if length > 0 {
            self.read_model(&model[..length], &mut frame).await?;
        }
        self.write_log(&mut frame).await
    }

    async fn read_model(&self, path: &[u8], frame: &mut Frame) -> Result<(), &'static str> {
        self.ask(3, &Ask::Open { path }, frame).await;
        let Ok(Answer::Opened { bytes: all }) = Answer::parse(frame) else {
            return Err("the model is not opened");
        };
        let (mut digest, mut offset) = (Sha256::new(), 0);
        while offset < all {
            let bytes = (all - offset).min((MAX_TRANSFER_SECTORS * SECTOR) as u64) as u32;
            self.ask(4, &Ask::Read { offset, bytes }, frame).await;
            match Answer::parse(frame) {
                Ok(Answer::Part { bytes, .. }) if !bytes.is_empty() => {
                    digest.update(bytes);
                    offset += bytes.len() as u64;
                }
                _ => return Err("the model is not read"),
            }
        }
        let path = core::str::from_utf8(path).unwrap_or("?");
        say!(self, "sha256 {path} {}", Hex(&digest.finalize()));
        Ok(())
    }

    async fn open_log(&self, frame: &mut Frame) -> Result<Opened, &'static str> {
        self.ask(5, &Ask::OpenLog, frame).await;
        let Ok(Answer::LogOpened { sectors: slots }) = Answer::parse(frame) else {
            return Err("there is no log");
        };
        let mut buffer = [0; MAX_ENTRY_BYTES];
        let Ok(mut opening) = Opening::new(u64::from(slots), Some(DEVICE), &mut buffer) else {
            return Err("the log has another size");
        };
        // The sectors in the frame. They were requested together, because adjacent ones are read next.
        let mut there = 0..0;
        while let Some(slot) = opening.wants() {
            if !there.contains(&slot) {
                let sectors = (slots - slot).min(MAX_TRANSFER_SECTORS as u32);
                self.ask(6, &Ask::ReadLog { slot, sectors }, frame).await;
                there = slot..slot + sectors;
            }
            let sector = match Answer::parse(frame) {
                Ok(Answer::LogSectors { data, .. }) => {
                    data.as_chunks().0.get((slot - there.start) as usize)
                }
                _ => None,
            };
            opening.give(sector);
        }
        opening
            .finish_for(DEVICE)
            .map_err(|_| "the log is another's")
    }

    async fn write_log(&self, frame: &mut Frame) -> Result<(), &'static str> {
        let opened = self.open_log(frame).await?;
        say!(
            self,
            "log {:?} entries {} newest {}",
            opened.found,
            opened.entries,
            opened.log.sequence()
        );
        let mut log = opened.log;
        let record = Record {
            sequence: log.sequence() + 1,
            previous: log.head(),
            ..Record::new(Kind::Boot)
        };
        let mut out = [0; MAX_ENTRY_SECTORS * SECTOR];
        let Ok(placed) = log.append(&record, &[], &mut out) else {
            return Err("no entry can be written");
        };
        let mark = log.mark();
        let straight = placed.sectors as usize * SECTOR;
        let wrapped = straight + placed.wrapped as usize * SECTOR;
        for (slot, data) in [
            (placed.slot, &out[..straight]),
            (0, &out[straight..wrapped]),
        ] {
            if data.is_empty() {
                continue;
            }
            self.ask(7, &Ask::WriteLog { slot, data }, frame).await;
            if Answer::parse(frame) != Ok(Answer::Done) {
                return Err("the entry is not written");
            }
        }
        self.ask(8, &Ask::FlushLog, frame).await;
        if Answer::parse(frame) != Ok(Answer::Done) {
            return Err("the entry is not durable");
        }
        log.flushed(mark);
        say!(self, "durable {}", log.sequence());
        Ok(())
    }
}

static PROBE: StaticCell<Probe> = StaticCell::new();

struct Domain<F>(Option<F>);

#[protection_domain]
fn init() -> Domain<impl Future<Output = ()>> {
    let region = |address, bytes| Mapped { address, bytes };
    let theirs = region(from_files(), from_files_size());
    let ours = region(to_files(), to_files_size());
    // SAFETY: the description maps both to this domain, only for the rings.
    let ring = unsafe { region::endpoint(theirs, ours) };
    let channel = Channel::new(files_channel());
    Domain(ring.ok().map(|mut ring| {
        ring.lead(1);
        // This question starts everything, because only an answer wakes this domain.
        let mut frame = Frame::new();
        Ask::Mount.write(1, &mut frame);
        // The ring is empty.
        let _ = ring.send(&frame);
        // SAFETY: the description maps the board's UART there, only to this domain.
        let uart = unsafe { board::console(uart()) };
        let probe = PROBE.init(Probe {
            files: RefCell::new(Files {
                ring,
                frame,
                channel,
            }),
            console: RefCell::new(Text(uart)),
        });
        channel.notify();
        async {
            match probe.run().await {
                Ok(()) => {
                    say!(probe, "probe: passed");
                }
                Err(reason) => {
                    say!(probe, "probe: FAILED: {reason}");
                }
            }
        }
    }))
}

impl<F: Future<Output = ()>> Handler for Domain<F> {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        if let Some(run) = &mut self.0 {
            // SAFETY: the runtime runs the handler in place, and moves it only before the first notification, when this
            // has not been polled yet.
            let run = unsafe { Pin::new_unchecked(run) };
            if run.poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                self.0 = None;
            }
        }
        Ok(())
    }
}

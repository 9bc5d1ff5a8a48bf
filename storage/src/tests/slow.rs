//! Slow, write-protected and failing disks.

use super::*;

/// A disk whose operations take several polls, and which fails after a given number of operations.
struct Slow {
    image: Image,
    /// Polls for which an operation is pending.
    polls: u64,
    /// Operations that still succeed.
    left: u64,
    writable: bool,
}

impl Slow {
    fn wait(&mut self, ticket: &mut Ticket) -> Poll<Result<(), BlockError>> {
        if ticket.0 < self.polls {
            ticket.0 += 1;
            return Poll::Pending;
        }
        if self.left == 0 {
            return Poll::Ready(Err(BlockError::Device { sector: 7 }));
        }
        self.left -= 1;
        Poll::Ready(Ok(()))
    }
}

impl Blocks for Slow {
    fn sectors(&self) -> u64 {
        self.image.sectors()
    }
    fn writable(&self) -> bool {
        self.writable
    }
    fn read(
        &mut self,
        ticket: &mut Ticket,
        first: u64,
        out: &mut [u8],
    ) -> Poll<Result<(), BlockError>> {
        match self.wait(ticket) {
            Poll::Ready(Ok(())) => self.image.read(&mut Ticket(0), first, out),
            other => other,
        }
    }
    fn write(
        &mut self,
        ticket: &mut Ticket,
        first: u64,
        data: &[u8],
    ) -> Poll<Result<(), BlockError>> {
        assert!(self.writable, "a write to a disk that cannot be written");
        match self.wait(ticket) {
            Poll::Ready(Ok(())) => self.image.write(&mut Ticket(0), first, data),
            other => other,
        }
    }
    fn flush(&mut self, ticket: &mut Ticket) -> Poll<Result<(), BlockError>> {
        self.wait(ticket)
    }
}

#[test]
fn a_disk_that_makes_one_wait_gives_the_same() {
    let mut slow = Slow {
        image: made(Table::Gpt, 4 * MIB),
        polls: 3,
        left: u64::MAX,
        writable: true,
    };
    let mut ground = Ground::new();
    let mut volume = block_on(Volume::mount(&mut slow, &mut ground)).unwrap();
    put(&mut volume, "models", &contents(20_000, 5)).unwrap();
    assert_eq!(get(&mut volume, "models").unwrap(), contents(20_000, 5));
    assert_eq!(findings(&mut slow.image), [""; 0]);
}

#[test]
fn a_write_protected_disk_is_read_and_never_written() {
    let mut image = made(Table::Mbr, 4 * MIB);
    let mut ground = Ground::new();
    put(
        &mut block_on(Volume::mount(&mut image, &mut ground)).unwrap(),
        "a",
        b"text",
    )
    .unwrap();
    let mut slow = Slow {
        image,
        polls: 0,
        left: u64::MAX,
        writable: false,
    };
    let mut ground = Ground::new();
    let mut volume = block_on(Volume::mount(&mut slow, &mut ground)).unwrap();
    assert!(!volume.info().writable);
    assert_eq!(get(&mut volume, "a").unwrap(), b"text");
    assert_eq!(put(&mut volume, "b", b""), Err(StorageError::ReadOnly));
    assert_eq!(block_on(volume.remove("a")), Err(StorageError::ReadOnly));
}

#[test]
fn a_disk_that_fails_at_any_operation_is_an_error_and_the_next_mount_is_sound() {
    let base = made(Table::Mbr, 4 * MIB);
    let mut operations = 0;
    loop {
        let mut slow = Slow {
            image: base.clone(),
            polls: 0,
            left: operations,
            writable: true,
        };
        let mut ground = Ground::new();
        let done = match block_on(Volume::mount(&mut slow, &mut ground)) {
            Ok(mut volume) => put(&mut volume, "a file.gguf", &contents(9000, 1)),
            Err(error) => Err(error),
        };
        let whole = done.is_ok();
        if let Err(error) = done {
            let failed = StorageError::Disk(BlockError::Device { sector: 7 });
            assert_eq!(error, failed, "after {operations}");
        }
        let mut ground = Ground::new();
        let mut volume = block_on(Volume::mount(&mut slow.image, &mut ground)).unwrap();
        assert!(list(&mut volume).iter().all(Result::is_ok));
        if whole {
            assert_eq!(get(&mut volume, "a file.gguf").unwrap(), contents(9000, 1));
            break;
        }
        operations += 1;
    }
    assert!(operations > 20, "{operations}");
}

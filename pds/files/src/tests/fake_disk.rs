//! A disk in memory.

use super::*;

/// What disk does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mode {
    Honest,
    /// Answers only every third time that it looks at its ring.
    Slow,
    /// Fails from this sector on.
    Broken(u64),
    Silent,
    NoDevice,
    /// Gives other sectors, fewer bytes, `Done` for what was read, or garbage.
    Lying(u8),
}

pub(super) struct FakeDisk {
    pub(super) ring: TestEndpoint,
    pub(super) image: Image,
    pub(super) mode: Mode,
    pub(super) looks: u32,
    pub(super) writes: Vec<u64>,
    pub(super) flushes: u32,
}

impl FakeDisk {
    pub(super) fn look(&mut self) {
        self.looks += 1;
        if self.mode == Mode::Silent || self.mode == Mode::Slow && !self.looks.is_multiple_of(3) {
            return;
        }
        let mut frame = Frame::new();
        while self.ring.receive(&mut frame).unwrap() {
            let number = frame.header().request;
            let mut answer: Frame = Frame::new();
            let order = Order::parse(&frame).expect("files sends orders");
            let mut buffer = vec![0; 16 * SECTOR];
            let place = match order {
                Order::Read { first, .. } | Order::Write { first, .. } => first,
                _ => 0,
            };
            let failed = match self.mode {
                Mode::Broken(from) if place >= from => Some(DiskError::Device),
                Mode::NoDevice => Some(DiskError::NoDevice),
                _ => None,
            };
            let outcome = match order {
                _ if failed.is_some() => Outcome::Failed {
                    why: failed.unwrap(),
                    sector: place,
                },
                Order::Describe => Outcome::Described(Description {
                    sectors: self.image.sectors(),
                    writable: true,
                }),
                Order::Read { first, sectors } => {
                    let data = &mut buffer[..sectors as usize * SECTOR];
                    let ready = self.image.read(&mut Ticket(0), first, data);
                    assert!(matches!(ready, core::task::Poll::Ready(Ok(()))));
                    match self.mode {
                        Mode::Lying(0) => Outcome::Sectors {
                            first: first + 1,
                            data,
                        },
                        Mode::Lying(1) => Outcome::Sectors {
                            first,
                            data: &data[1..],
                        },
                        Mode::Lying(2) => Outcome::Done,
                        _ => Outcome::Sectors { first, data },
                    }
                }
                Order::Write { first, data } => {
                    let ready = self.image.write(&mut Ticket(0), first, data);
                    assert!(matches!(ready, core::task::Poll::Ready(Ok(()))));
                    self.writes.push(first);
                    Outcome::Done
                }
                Order::Flush => {
                    self.flushes += 1;
                    Outcome::Done
                }
            };
            outcome.write(number, &mut answer);
            if self.mode == Mode::Lying(3) {
                answer.begin(0x7ff, number)[0] = 1;
                answer.finish(1);
            }
            // An answer to an order that was never sent comes first.
            let mut other = Frame::new();
            Outcome::Done.write(number.wrapping_add(1000), &mut other);
            let _ = self.ring.send(&other);
            let _ = self.ring.send(&answer);
        }
    }
}

//! Drivers for board devices: UARTs for the console, and timers that wake audit.
//!
//! A domain uses one of three traits: [`Serial`], [`Clock`] or [`Watchdog`]. The board's file in `boards/` picks the
//! driver, so no domain depends on one. A driver decides which registers to access and when; the runtime knows their
//! address ([`Registers`]). So drivers are tested on the host against models of the devices, in states that an emulator
//! never shows.

#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(test)]
extern crate std;

pub mod bcm2835_timer;
pub mod cadence_ttc;
pub mod cadence_uart;
pub mod counter;
pub mod generic_timer;
pub mod goldfish_rtc;
pub mod ns16550a;
pub mod pl011;
pub mod pl031;

/// Registers of a device, by the offsets in its manual. Each access has the width that the device requires, at most 32
/// bits; accesses are neither dropped nor reordered.
pub trait Registers {
    /// Reads a register.
    fn read(&mut self, offset: usize) -> u32;
    /// Writes a register.
    fn write(&mut self, offset: usize, value: u32);
}

/// A serial console, independent of the UART.
pub trait Serial {
    /// Writes as many of the bytes as the device has room for now, and returns how many. Never blocks.
    fn put(&mut self, bytes: &[u8]) -> usize;
    /// Enables the interrupt for free space. Call it only after [`Self::put`] found no room, otherwise there may be no
    /// interrupt.
    fn interrupt_on_room(&mut self, wanted: bool);
    /// The next byte, if any: [`DAMAGED`] for input that was damaged or lost, Ctrl-C for a break.
    fn get(&mut self) -> Option<u8>;
    /// Enables the interrupt for received bytes. While it is off, input stays in the device or is lost.
    fn interrupt_on_input(&mut self, wanted: bool);
    /// Acknowledges an interrupt, before [`Self::get`] and [`Self::put`] handle it. Bytes left unread raise it again.
    fn acknowledge(&mut self);

    /// Writes a byte, busy-waiting for room. For programs that have nothing else to do.
    fn write(&mut self, byte: u8) {
        while self.put(&[byte]) == 0 {
            core::hint::spin_loop();
        }
    }
}

/// The time, and an interrupt at a given time.
pub trait Clock {
    /// Microseconds since machine start. Never decreases.
    fn now_us(&mut self) -> u64;
    /// Requests an interrupt at this time, or none. Replaces the previous request, even one that has already fired. It
    /// may come early: the caller checks the time and asks again.
    fn arm(&mut self, at_us: Option<u64>);
}

/// A tick of about 1 Hz that only its owner can stop.
pub trait Watchdog {
    /// Clears the interrupt when it comes. False if it came for the [`Clock`] of the same device and no second has
    /// passed.
    fn tick(&mut self) -> bool;
    /// Call when something else has woken the domain: ensures that the next tick is at most a second away. Calling it
    /// often does not delay a tick.
    fn look(&mut self);
}

/// A clock and a watchdog on separate devices.
#[derive(Debug)]
pub struct Apart<C, W> {
    /// The clock.
    pub clock: C,
    /// The watchdog.
    pub watchdog: W,
}

impl<C: Clock, W> Clock for Apart<C, W> {
    fn now_us(&mut self) -> u64 {
        self.clock.now_us()
    }
    fn arm(&mut self, at_us: Option<u64>) {
        self.clock.arm(at_us);
    }
}

impl<C, W: Watchdog> Watchdog for Apart<C, W> {
    fn tick(&mut self) -> bool {
        self.watchdog.tick()
    }
    fn look(&mut self) {
        self.watchdog.look();
    }
}

/// Stands for bytes damaged or lost on the line. It is not valid UTF-8, so it is visible, and a prompt that contains it
/// is refused.
pub const DAMAGED: u8 = 0xff;

/// A break on the line is read as Ctrl-C, which is how a user asks for attention.
const INTERRUPT: u8 = 0x03;

/// Passes bytes to `send` one at a time while `has_room` says that the device takes another; returns how many it took.
fn fill<R>(
    registers: &mut R,
    bytes: &[u8],
    mut has_room: impl FnMut(&mut R) -> bool,
    send: impl Fn(&mut R, u32),
) -> usize {
    let mut taken: usize = 0;
    for byte in bytes {
        if !has_room(registers) {
            break;
        }
        send(registers, u32::from(*byte));
        taken = taken.saturating_add(1);
    }
    taken
}

/// The byte to deliver for a received one, given its status.
const fn received(data: u32, is_break: bool, is_damaged: bool) -> u8 {
    let [byte, ..] = data.to_le_bytes();
    if is_break {
        INTERRUPT
    } else if is_damaged {
        DAMAGED
    } else {
        byte
    }
}

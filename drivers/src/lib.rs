//! Drivers of the devices that boards have: UARTs, which are the console, and timers, which wake audit.
//!
//! What a domain uses is one of three traits, [`Serial`], [`Clock`] and [`Watchdog`]; which driver is behind it, the
//! board's file in `boards/` says, and no domain. A driver says which registers are read and written, and when; where the
//! registers are is the runtime's to know ([`Registers`]). So they are tested on the host, with models of the devices, in
//! states that an emulator never shows.

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

pub mod cadence_ttc;
pub mod cadence_uart;
pub mod counter;
pub mod generic_timer;
pub mod goldfish_rtc;
pub mod ns16550a;
pub mod pl011;
pub mod pl031;

/// The registers of a device, by the offsets that its manual has. Each access is one of the width that the device wants,
/// at most 32 bits, and none is left out or moved.
pub trait Registers {
    /// Reads a register.
    fn read(&mut self, offset: usize) -> u32;
    /// Writes a register.
    fn write(&mut self, offset: usize, value: u32);
}

/// A line to a person, whichever UART it is: bytes out, keys in.
pub trait Serial {
    /// Takes as many of the bytes as the device has room for now, and says how many. It never waits.
    fn put(&mut self, bytes: &[u8]) -> usize;
    /// Whether the device interrupts as soon as it has room again. [`Self::put`] must have found none, or there may be no
    /// interrupt.
    fn interrupt_on_room(&mut self, wanted: bool);
    /// The next byte, if there is one; [`DAMAGED`] in place of what came damaged or was lost, and Ctrl-C for a break.
    fn get(&mut self) -> Option<u8>;
    /// Whether the device interrupts for what it has received. What comes while it does not stays in it, or is lost.
    fn interrupt_on_input(&mut self, wanted: bool);
    /// Acknowledges an interrupt, before [`Self::get`] and [`Self::put`] do what it was for. It comes again for bytes that
    /// are left unread.
    fn acknowledge(&mut self);

    /// Writes a byte as soon as there is room for it, and waits for that: for programs that have nothing else to do.
    fn write(&mut self, byte: u8) {
        while self.put(&[byte]) == 0 {
            core::hint::spin_loop();
        }
    }
}

/// What time it is, and an interrupt at a time.
pub trait Clock {
    /// Microseconds since the machine started. Never less than what it said before.
    fn now_us(&mut self) -> u64;
    /// Asks for an interrupt at this time, or for none, in place of the one that was asked for before, also if that has
    /// come. It may come early: who is woken looks at the time and asks again.
    fn arm(&mut self, at_us: Option<u64>);
}

/// A tick of about 1 Hz that only its owner can stop.
pub trait Watchdog {
    /// Its interrupt has come: clears it. False if it came for the [`Clock`] of the same device, and no second is over.
    fn tick(&mut self) -> bool;
    /// Something else has woken the domain: makes sure that the next tick is a second away at most. However often this is
    /// called, it does not put a tick off.
    fn look(&mut self);
}

/// A clock and a watchdog that are devices of their own.
#[derive(Debug)]
pub struct Apart<C, W> {
    /// Tells the time.
    pub clock: C,
    /// Ticks.
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

/// Stands for a byte that was damaged on the line, and for those that were lost. It is no UTF-8, so it shows on the line
/// and no prompt with it is taken.
pub const DAMAGED: u8 = 0xff;

/// What a break on the line stands for: Ctrl-C, since it is the user's way to be heard.
const INTERRUPT: u8 = 0x03;

/// Gives the bytes to `send` one by one, as long as `has_room` says that the device takes another; how many it took.
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

/// What a received byte stands for, by what the device says of it.
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

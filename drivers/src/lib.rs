//! Drivers of the two devices on the board: the UART, which is the console, and the clock, which is the watchdog.
//!
//! They say which registers are read and written, and when; where the registers are is the runtime's to know
//! ([`Registers`]). So they are tested on the host, with models of the devices, in states that an emulator never shows.

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

pub mod pl011;
pub mod pl031;

/// What a console needs of a UART, whichever it is.
pub trait Serial {
    /// Takes as many of the bytes as the device has room for now, and says how many. It never waits.
    fn put(&mut self, bytes: &[u8]) -> usize;
    /// Whether the device interrupts as soon as it has room again. [`Self::put`] must have found none, or there may be no
    /// interrupt.
    fn interrupt_on_room(&mut self, wanted: bool);
    /// The next byte, if there is one.
    fn get(&mut self) -> Option<u8>;
    /// Whether the device interrupts for what it has received. What comes while it does not stays in it, or is lost.
    fn interrupt_on_input(&mut self, wanted: bool);
    /// Acknowledges an interrupt, before [`Self::get`] and [`Self::put`] do what it was for.
    fn acknowledge(&mut self);
}

/// The registers of a device, by their offset in bytes. Each access is one of 32 bits, and none is left out or moved.
pub trait Registers {
    /// Reads a register.
    fn read(&mut self, offset: usize) -> u32;
    /// Writes a register.
    fn write(&mut self, offset: usize, value: u32);
}

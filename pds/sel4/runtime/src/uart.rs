//! The console: a PL011 with interrupts for input.

use crate::region::Device;
use embedded_hal_nb::serial::{Read as _, Write as _};
use sel4_driver_interfaces::HandleInterrupt as _;
use sel4_pl011_driver::Driver;

/// The console's UART.
pub struct Uart(Driver);

impl Uart {
    /// Takes the device over.
    #[must_use]
    pub fn new(device: Device) -> Self {
        let registers = device.into_pointer().as_ptr().cast();
        // SAFETY: the registers of a PL011 (system.xml), mapped for the life of the program, and
        // nobody else has them: the handle is gone.
        Self(unsafe { Driver::new(registers) })
    }

    /// Clears the cause of the interrupt. To be called *before* input is read: what arrives after
    /// the last byte was read then raises the interrupt again, instead of being forgotten.
    pub fn clear_interrupt(&mut self) {
        self.0.handle_interrupt();
    }

    /// A byte that has arrived.
    pub fn read(&mut self) -> Option<u8> {
        self.0.read().ok()
    }

    /// Writes, and waits for the device while its buffer is full.
    pub fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            // The driver waits instead of failing.
            let _ = self.0.write(byte);
        }
    }
}

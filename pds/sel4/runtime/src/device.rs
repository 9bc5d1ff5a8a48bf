//! Registers of a device, as `drivers` wants them.

use drivers::Registers;

/// A page of registers.
#[derive(Debug)]
pub struct Device {
    base: usize,
}

impl Device {
    /// The registers at this address.
    ///
    /// # Safety
    /// At `base` a page of a device is mapped, readable, writable and uncached, whose registers have 32 bits, and nothing
    /// else in the domain uses them.
    #[must_use]
    pub const unsafe fn new(base: usize) -> Self {
        Self { base }
    }
}

impl Registers for Device {
    fn read(&mut self, offset: usize) -> u32 {
        // SAFETY: drivers name registers of their device alone, and the device is there (`new`).
        unsafe { core::ptr::read_volatile(self.base.wrapping_add(offset) as *const u32) }
    }

    fn write(&mut self, offset: usize, value: u32) {
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile(self.base.wrapping_add(offset) as *mut u32, value) }
    }
}

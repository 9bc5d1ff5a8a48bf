//! Registers of a device, as `drivers` accesses them.

use drivers::Registers;

/// Width and distance of a device's registers.
#[derive(Clone, Copy, Debug)]
pub enum Width {
    /// Bytes without gaps.
    Byte,
    /// 32 bits; offsets are in bytes.
    Word,
}

/// A page of device registers.
#[derive(Debug)]
pub struct Device {
    base: usize,
    width: Width,
}

impl Device {
    /// The registers at this address.
    ///
    /// # Safety
    /// A page of a device is mapped at `base`, readable, writable and uncached; its registers have this width, and
    /// nothing else in the domain uses them.
    #[must_use]
    pub const unsafe fn new(base: usize, width: Width) -> Self {
        Self { base, width }
    }
}

impl Registers for Device {
    fn read(&mut self, offset: usize) -> u32 {
        let address = self.base.wrapping_add(offset);
        match self.width {
            // SAFETY: drivers access only registers of their device, and the device is mapped (`new`).
            Width::Byte => unsafe { core::ptr::read_volatile(address as *const u8).into() },
            // SAFETY: as above.
            Width::Word => unsafe { core::ptr::read_volatile(address as *const u32) },
        }
    }

    fn write(&mut self, offset: usize, value: u32) {
        let address = self.base.wrapping_add(offset);
        match self.width {
            // SAFETY: as above.
            Width::Byte => unsafe { core::ptr::write_volatile(address as *mut u8, value as u8) },
            // SAFETY: as above.
            Width::Word => unsafe { core::ptr::write_volatile(address as *mut u32, value) },
        }
    }
}

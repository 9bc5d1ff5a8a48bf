//! Registers of a device, as `drivers` accesses them.

use drivers::Registers;

/// Width and distance of a device's registers.
#[derive(Clone, Copy, Debug)]
pub enum Width {
    /// Bytes without gaps.
    Byte,
    /// 32 bits; offsets are in bytes.
    Word,
    /// 32 bits; an offset is the register's number, for drivers of devices that have bytes elsewhere.
    Numbered,
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
    /// In a page that is mapped readable, writable and uncached, the registers of a device begin at `base`. They have this
    /// width, and nothing else in the domain uses them.
    #[must_use]
    pub const unsafe fn new(base: usize, width: Width) -> Self {
        Self { base, width }
    }

    const fn address(&self, offset: usize) -> usize {
        let bytes = match self.width {
            Width::Byte | Width::Word => offset,
            Width::Numbered => offset.wrapping_mul(4),
        };
        self.base.wrapping_add(bytes)
    }
}

impl Registers for Device {
    fn read(&mut self, offset: usize) -> u32 {
        let address = self.address(offset);
        match self.width {
            // SAFETY: drivers access only registers of their device, and the device is mapped (`new`).
            Width::Byte => unsafe { core::ptr::read_volatile(address as *const u8).into() },
            // SAFETY: as above.
            Width::Word | Width::Numbered => unsafe {
                core::ptr::read_volatile(address as *const u32)
            },
        }
    }

    fn write(&mut self, offset: usize, value: u32) {
        let address = self.address(offset);
        match self.width {
            // SAFETY: as above.
            Width::Byte => unsafe { core::ptr::write_volatile(address as *mut u8, value as u8) },
            // SAFETY: as above.
            Width::Word | Width::Numbered => unsafe {
                core::ptr::write_volatile(address as *mut u32, value)
            },
        }
    }
}

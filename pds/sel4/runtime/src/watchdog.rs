//! The trusted watchdog: the PL031 RTC, mapped to audit alone, as a tick of 1 Hz.

const DATA: usize = 0x00;
const MATCH: usize = 0x04;
const MASK: usize = 0x10;
const RAW_STATUS: usize = 0x14;
const CLEAR: usize = 0x1c;

/// Its registers.
#[derive(Debug)]
pub struct Watchdog {
    base: usize,
}

impl Watchdog {
    /// Starts the tick.
    ///
    /// # Safety
    /// The registers of a PL031 are mapped at `base`, writable and uncached, and nothing else in
    /// the domain uses them.
    #[must_use]
    pub unsafe fn start(base: usize) -> Self {
        let watchdog = Self { base };
        watchdog.write(MASK, 1);
        watchdog.arm();
        watchdog
    }

    /// It has ticked: clears the interrupt and arms the next.
    pub fn tick(&self) {
        self.write(CLEAR, 1);
        self.arm();
    }

    /// The alarm fires on equality alone: if the second has passed meanwhile, the next one is
    /// taken. Four times at most; four seconds never pass within one loop.
    fn arm(&self) {
        for _ in 0..4 {
            let next = self.read(DATA).wrapping_add(1);
            self.write(MATCH, next);
            let passed = self.read(DATA).wrapping_sub(next) < u32::MAX / 2;
            if !passed || self.read(RAW_STATUS) & 1 != 0 {
                return;
            }
        }
    }

    fn read(&self, register: usize) -> u32 {
        // SAFETY: a register of the device (`start`).
        unsafe { core::ptr::read_volatile(self.base.wrapping_add(register) as *const u32) }
    }

    fn write(&self, register: usize, value: u32) {
        // SAFETY: a register of the device (`start`).
        unsafe { core::ptr::write_volatile(self.base.wrapping_add(register) as *mut u32, value) }
    }
}

//! The triple timer counter of Zynq's (AMD UG1085, "Triple-timer Counters"): its first timer is audit's watchdog, its
//! second audit's alarm. Both are in one block of registers, so nobody but its owner can stop either.
//!
//! The time itself comes from the processor's counter: a counter of this device would wrap around, and runs at the rate of a
//! clock that the board's firmware can change. An interrupt that comes early by that only makes audit look early.
//!
//! Zynq UltraScale+ has 32 bits for what Zynq-7000 and QEMU's model of either have 16 bits for. The driver counts by 16,
//! which does for a second: an alarm further away is taken in parts.

use crate::counter::{self, Counter};
use crate::{Clock, Registers, Watchdog};

/// Registers of the first timer; the second's are 4 bytes further on.
const CLOCK_CONTROL: usize = 0x00;
const COUNTER_CONTROL: usize = 0x0c;
const INTERVAL: usize = 0x24;
/// Reading clears it.
const INTERRUPTS: usize = 0x54;
const INTERRUPTS_ENABLED: usize = 0x60;

/// Which of the three timers.
const WATCHDOG: usize = 0x00;
const ALARM: usize = 0x04;

/// Counts each 2^12 cycles of the device's clock: bit 0 switches the prescaler on, above it is the exponent less 1.
const PRESCALE: u32 = 1 | ((PRESCALE_BITS - 1) << 1);
const PRESCALE_BITS: u32 = 12;

/// In the counter's control: stopped; counts to the interval and starts anew; from 0; no output of a wave.
const STOPPED: u32 = 1;
const TO_INTERVAL: u32 = 1 << 1;
const FROM_ZERO: u32 = 1 << 4;
const NO_WAVE: u32 = 1 << 5;

/// The interrupt of an interval that is over.
const INTERVAL_OVER: u32 = 1;

/// The longest interval that both widths have.
const MOST_COUNTS: u64 = 0xffff;

/// A second of [`Clock`]'s time.
const SECOND_US: u64 = 1_000_000;

/// The device.
#[derive(Debug)]
pub struct Timers<R, C> {
    registers: R,
    counter: C,
    /// Counts a second.
    hertz: u64,
}

impl<R: Registers, C: Counter> Timers<R, C> {
    /// Starts the tick. `hertz` is the rate of the clock that the device has.
    #[must_use]
    pub fn start(registers: R, counter: C, hertz: u32) -> Self {
        let mut timers = Self {
            registers,
            counter,
            hertz: u64::from(hertz >> PRESCALE_BITS),
        };
        timers.count(WATCHDOG, timers.hertz);
        timers.stop(ALARM);
        timers
    }

    fn write(&mut self, timer: usize, register: usize, value: u32) {
        self.registers.write(register.saturating_add(timer), value);
    }

    /// Stops a timer and forgets its interrupt.
    fn stop(&mut self, timer: usize) {
        self.write(timer, COUNTER_CONTROL, STOPPED | NO_WAVE);
        self.clear(timer);
    }

    fn clear(&mut self, timer: usize) {
        // Reading is what clears it; what it was for is known.
        let _ = self.registers.read(INTERRUPTS.saturating_add(timer));
    }

    /// Has a timer interrupt after so many counts, again and again.
    fn count(&mut self, timer: usize, counts: u64) {
        self.stop(timer);
        self.write(timer, CLOCK_CONTROL, PRESCALE);
        // The interval's last value is counted, too.
        let interval = counts.clamp(2, MOST_COUNTS).saturating_sub(1);
        self.write(timer, INTERVAL, interval as u32);
        self.write(timer, INTERRUPTS_ENABLED, INTERVAL_OVER);
        self.write(timer, COUNTER_CONTROL, TO_INTERVAL | FROM_ZERO | NO_WAVE);
    }
}

impl<R: Registers, C: Counter> Clock for Timers<R, C> {
    fn now_us(&mut self) -> u64 {
        counter::now_us(&mut self.counter)
    }

    fn arm(&mut self, at_us: Option<u64>) {
        let Some(at_us) = at_us else {
            return self.stop(ALARM);
        };
        // More than a second is taken in parts, so no product overflows.
        let ahead_us = at_us.saturating_sub(self.now_us()).min(SECOND_US);
        let counts = ahead_us.saturating_mul(self.hertz).div_ceil(SECOND_US);
        self.count(ALARM, counts);
    }
}

impl<R: Registers, C: Counter> Watchdog for Timers<R, C> {
    fn tick(&mut self) -> bool {
        self.clear(WATCHDOG);
        true
    }

    /// Nothing to do: the timer goes on by itself, and no clock is behind it that somebody could set.
    fn look(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::vec::Vec;

    #[derive(Clone, Copy, Debug, Default)]
    struct Timer {
        clock: u32,
        control: u32,
        interval: u32,
        enabled: u32,
        raised: u32,
        /// In cycles of the device's clock.
        cycles: u64,
    }

    /// The device as the manual has it, with registers of this many bits.
    #[derive(Debug)]
    struct Model {
        timers: [Timer; 3],
        mask: u32,
        us: u64,
        hertz: u64,
    }

    impl Model {
        fn advance(&mut self, us: u64) {
            self.us += us;
            for timer in &mut self.timers {
                if timer.control & STOPPED != 0 {
                    continue;
                }
                assert_ne!(timer.control & TO_INTERVAL, 0);
                assert_eq!(timer.clock & 1, 1, "the prescaler is on");
                timer.cycles += us * self.hertz / 1_000_000;
                let count = 1 << ((timer.clock >> 1 & 15) + 1);
                let period = (u64::from(timer.interval) + 1) * count;
                if timer.cycles >= period {
                    timer.cycles %= period;
                    timer.raised |= INTERVAL_OVER;
                }
            }
        }

        fn interrupts(&self, timer: usize) -> bool {
            self.timers[timer / 4].raised & self.timers[timer / 4].enabled != 0
        }
    }

    #[derive(Clone, Debug)]
    struct Device(Rc<RefCell<Model>>);

    impl Registers for Device {
        fn read(&mut self, offset: usize) -> u32 {
            assert!(
                (INTERRUPTS..INTERRUPTS + 12).contains(&offset),
                "{offset:#x}"
            );
            let mut model = self.0.borrow_mut();
            core::mem::take(&mut model.timers[(offset - INTERRUPTS) / 4].raised)
        }

        fn write(&mut self, offset: usize, value: u32) {
            let mut model = self.0.borrow_mut();
            let mask = model.mask;
            let timer = &mut model.timers[offset / 4 % 3];
            match offset - offset / 4 % 3 * 4 {
                CLOCK_CONTROL => timer.clock = value,
                COUNTER_CONTROL => {
                    if value & FROM_ZERO != 0 {
                        timer.cycles = 0;
                    }
                    timer.control = value & !FROM_ZERO;
                }
                INTERVAL => timer.interval = value & mask,
                INTERRUPTS_ENABLED => timer.enabled = value,
                other => panic!("{other:#x} is not written"),
            }
        }
    }

    impl Counter for Device {
        fn ticks(&mut self) -> u64 {
            self.0.borrow().us
        }
        fn hertz(&mut self) -> u64 {
            1_000_000
        }
    }

    fn start(mask: u32, hertz: u64) -> (Device, Timers<Device, Device>) {
        let stopped = Timer {
            control: STOPPED | NO_WAVE,
            ..Timer::default()
        };
        let device = Device(Rc::new(RefCell::new(Model {
            timers: [stopped; 3],
            mask,
            us: 77,
            hertz,
        })));
        let timers = Timers::start(device.clone(), device.clone(), 100_000_000);
        (device, timers)
    }

    /// When ticks came, in milliseconds from now.
    fn ticks(device: &Device, timers: &mut Timers<Device, Device>, ms: u64) -> Vec<u64> {
        let mut came = Vec::new();
        for at in 1..=ms {
            device.0.borrow_mut().advance(1000);
            if device.0.borrow().interrupts(WATCHDOG) {
                assert!(timers.tick());
                assert!(!device.0.borrow().interrupts(WATCHDOG), "it is cleared");
                came.push(at);
            }
        }
        came
    }

    const WIDTHS: [u32; 2] = [0xffff, u32::MAX];

    #[test]
    fn it_ticks_about_once_a_second_with_registers_of_either_width() {
        for mask in WIDTHS {
            let (device, mut timers) = start(mask, 100_000_000);
            assert_eq!(ticks(&device, &mut timers, 3500), [1000, 2000, 3000]);
            // As QEMU's, whose clock is a third faster than the board's.
            let (device, mut timers) = start(mask, 133_000_000);
            assert_eq!(ticks(&device, &mut timers, 1600), [752, 1504]);
        }
    }

    #[test]
    fn the_alarm_comes_when_it_was_asked_for_and_is_forgotten_when_it_is_armed_anew() {
        for mask in WIDTHS {
            let (device, mut timers) = start(mask, 100_000_000);
            for ahead_us in [0, 1000, 300_000, 999_000] {
                let now_us = timers.now_us();
                timers.arm(Some(now_us + ahead_us));
                device.0.borrow_mut().advance(ahead_us.saturating_sub(100));
                assert!(!device.0.borrow().interrupts(ALARM), "{ahead_us}");
                device.0.borrow_mut().advance(200);
                assert!(device.0.borrow().interrupts(ALARM), "{ahead_us}");
            }
            timers.arm(Some(u64::MAX));
            assert!(!device.0.borrow().interrupts(ALARM));
            device.0.borrow_mut().advance(1_001_000);
            assert!(device.0.borrow().interrupts(ALARM), "a part of it");
            timers.arm(None);
            device.0.borrow_mut().advance(3_000_000);
            assert!(!device.0.borrow().interrupts(ALARM));
        }
    }

    #[test]
    fn arming_puts_no_tick_off() {
        let (device, mut timers) = start(0xffff, 100_000_000);
        let mut came = 0;
        for _ in 0..300 {
            let now_us = timers.now_us();
            timers.arm(Some(now_us + 5000));
            timers.look();
            came += ticks(&device, &mut timers, 10).len();
        }
        assert_eq!(came, 3);
    }
}

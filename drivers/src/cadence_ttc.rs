//! The triple timer counter of Zynq (AMD UG1085, "Triple-timer Counters"). Its three timers are audit's watchdog, alarm
//! and clock. All are in one register block, so only its owner can stop or set them.
//!
//! Zynq UltraScale+ has 32-bit registers; Zynq-7000 and QEMU's model of either have 16 bits. Watchdog and alarm use
//! only 16 bits, enough for a second: a later alarm is taken in parts. The clock uses the full width and must be read
//! before it wraps, after 45 minutes with 32 bits or half a minute with 16. The watchdog ensures that.
//!
//! An alarm that comes no later than the one asked for is left running, since it may come early. A peer can wake audit
//! as often as it likes, and nearly every time audit asks for an alarm a little later than the last; setting the timer
//! takes six accesses of the device.
//!
//! The processor's counter, which the kernel leaves readable, is not used because QEMU up to 8.2 tests the wrong bit
//! of `CNTHCTL_EL2` and traps.

use crate::counter::{MICROSECONDS, Rounding, convert};
use crate::{Clock, Registers, Watchdog};

/// Registers of the first timer; those of the second are at +4, of the third at +8.
const CLOCK_CONTROL: usize = 0x00;
const COUNTER_CONTROL: usize = 0x0c;
const VALUE: usize = 0x18;
const INTERVAL: usize = 0x24;
/// Cleared by reading.
const INTERRUPTS: usize = 0x54;
const INTERRUPTS_ENABLED: usize = 0x60;

/// Offsets of the three timers.
const WATCHDOG: usize = 0x00;
const ALARM: usize = 0x04;
const CLOCK: usize = 0x08;

/// Prescaler of watchdog and alarm: one count is 2^12 cycles of the device's clock, 41 µs at 100 MHz.
const PRESCALE_BITS: u32 = 12;
/// Prescalers of the clock: a wide one has a resolution of 0.64 µs at 100 MHz, a narrow one half a millisecond.
const WIDE_BITS: u32 = 6;
const NARROW_BITS: u32 = 16;

/// Bits of the counter control register: stopped; interval mode, which restarts at the interval; restart from 0;
/// waveform output off.
const STOPPED: u32 = 1;
const TO_INTERVAL: u32 = 1 << 1;
const FROM_ZERO: u32 = 1 << 4;
const NO_WAVE: u32 = 1 << 5;

/// The interval has elapsed.
const INTERVAL_OVER: u32 = 1;

/// The longest interval that both widths support.
const MOST_COUNTS: u64 = 0xffff;

/// Frequency of the device's clock, in Hz.
#[derive(Clone, Copy, Debug)]
pub struct Hertz {
    /// With 32-bit registers.
    pub wide: u32,
    /// With 16-bit registers.
    pub narrow: u32,
}

/// The device.
#[derive(Debug)]
pub struct Timers<R> {
    registers: R,
    /// Frequency of the device's clock, in Hz.
    hertz: u64,
    /// Cycles of the device's clock per count of ours.
    cycles: u64,
    /// The clock's largest value.
    mask: u32,
    /// The clock's last reading.
    last: u32,
    /// Counts since the start.
    counted: u64,
    /// A time of the clock before which the alarm does not interrupt; none if it is off.
    alarm_us: Option<u64>,
}

impl<R: Registers> Timers<R> {
    /// Starts the clock and the tick.
    #[must_use]
    pub fn start(mut registers: R, hertz: Hertz) -> Self {
        let interval = INTERVAL.saturating_add(CLOCK);
        registers.write(interval, u32::MAX);
        let mask = registers.read(interval);
        let (hertz, clock_bits, cycles) = match mask {
            u32::MAX => (hertz.wide, WIDE_BITS, 1 << WIDE_BITS),
            _ => (hertz.narrow, NARROW_BITS, 1 << NARROW_BITS),
        };
        let mut timers = Self {
            registers,
            hertz: u64::from(hertz),
            cycles,
            mask,
            last: 0,
            counted: 0,
            alarm_us: None,
        };
        timers.write(CLOCK, COUNTER_CONTROL, STOPPED | NO_WAVE);
        timers.write(CLOCK, CLOCK_CONTROL, prescale(clock_bits));
        timers.write(CLOCK, INTERRUPTS_ENABLED, 0);
        timers.write(CLOCK, COUNTER_CONTROL, FROM_ZERO | NO_WAVE);
        timers.count(WATCHDOG, timers.hertz >> PRESCALE_BITS);
        timers.stop(ALARM);
        timers
    }

    fn write(&mut self, timer: usize, register: usize, value: u32) {
        self.registers.write(register.saturating_add(timer), value);
    }

    /// Stops a timer and clears its interrupt.
    fn stop(&mut self, timer: usize) {
        self.write(timer, COUNTER_CONTROL, STOPPED | NO_WAVE);
        self.clear(timer);
    }

    fn clear(&mut self, timer: usize) {
        // Reading clears it. The cause is already known.
        let _ = self.registers.read(INTERRUPTS.saturating_add(timer));
    }

    /// Makes a timer interrupt periodically, every `counts` counts.
    fn count(&mut self, timer: usize, counts: u64) {
        self.stop(timer);
        self.write(timer, CLOCK_CONTROL, prescale(PRESCALE_BITS));
        // The last value of the interval is counted as well.
        let interval = counts.clamp(2, MOST_COUNTS).saturating_sub(1);
        self.write(timer, INTERVAL, interval as u32);
        self.write(timer, INTERRUPTS_ENABLED, INTERVAL_OVER);
        self.write(timer, COUNTER_CONTROL, TO_INTERVAL | FROM_ZERO | NO_WAVE);
    }
}

/// Clock control value for 2^bits cycles per count: bit 0 enables the prescaler, the exponent less 1 is above it.
const fn prescale(bits: u32) -> u32 {
    1 | (bits.saturating_sub(1) << 1)
}

impl<R: Registers> Clock for Timers<R> {
    fn now_us(&mut self) -> u64 {
        let now = self.registers.read(VALUE.saturating_add(CLOCK)) & self.mask;
        let passed = now.wrapping_sub(self.last) & self.mask;
        self.last = now;
        self.counted = self.counted.saturating_add(u64::from(passed));
        // 2^58 counts are thousands of years.
        let cycles = self.counted.saturating_mul(self.cycles);
        convert(cycles, self.hertz, MICROSECONDS, Rounding::Down)
    }

    fn arm(&mut self, at_us: Option<u64>) {
        let Some(at_us) = at_us else {
            self.alarm_us = None;
            return self.stop(ALARM);
        };
        let now_us = self.now_us();
        if self
            .alarm_us
            .is_some_and(|alarm_us| now_us < alarm_us && alarm_us <= at_us)
        {
            return;
        }
        // Anything beyond a second is taken in parts, so no product overflows.
        let ahead_us = at_us.saturating_sub(now_us).min(MICROSECONDS);
        let counts = convert(
            ahead_us,
            MICROSECONDS,
            self.hertz >> PRESCALE_BITS,
            Rounding::Up,
        );
        self.count(ALARM, counts);
        // The clock is coarser than the alarm, so it may read a count less when the alarm has come. From this time on the
        // next request sets the timer anew, which also clears its interrupt.
        let count_us = convert(self.cycles, self.hertz, MICROSECONDS, Rounding::Up);
        self.alarm_us = Some(now_us.saturating_add(ahead_us).saturating_sub(count_us));
    }
}

impl<R: Registers> Watchdog for Timers<R> {
    fn tick(&mut self) -> bool {
        self.clear(WATCHDOG);
        true
    }

    /// Nothing to do: the timer is periodic, and does not depend on a clock that anybody else can set.
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

    impl Timer {
        fn cycles_a_count(&self) -> u64 {
            assert_eq!(self.clock & 1, 1, "the prescaler is on");
            1 << ((self.clock >> 1 & 15) + 1)
        }
    }

    /// Model of the device as in the manual, with registers of `bits` bits.
    #[derive(Debug)]
    struct Model {
        timers: [Timer; 3],
        mask: u32,
        hertz: u64,
        writes: u32,
    }

    impl Model {
        fn advance(&mut self, us: u64) {
            for timer in &mut self.timers {
                if timer.control & STOPPED != 0 {
                    continue;
                }
                timer.cycles += us * self.hertz / 1_000_000;
                let is_interval = timer.control & TO_INTERVAL != 0;
                let most = if is_interval {
                    timer.interval
                } else {
                    self.mask
                };
                let period = (u64::from(most) + 1) * timer.cycles_a_count();
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
            let mut model = self.0.borrow_mut();
            let number = offset / 4 % 3;
            let timer = &mut model.timers[number];
            match offset - number * 4 {
                VALUE => (timer.cycles / timer.cycles_a_count()) as u32,
                INTERVAL => timer.interval,
                INTERRUPTS => core::mem::take(&mut timer.raised),
                other => panic!("{other:#x} is not read"),
            }
        }

        fn write(&mut self, offset: usize, value: u32) {
            let mut model = self.0.borrow_mut();
            let mask = model.mask;
            model.writes += 1;
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

    fn start(mask: u32, hertz: u64) -> (Device, Timers<Device>) {
        let stopped = Timer {
            control: STOPPED | NO_WAVE,
            ..Timer::default()
        };
        let device = Device(Rc::new(RefCell::new(Model {
            timers: [stopped; 3],
            mask,
            hertz,
            writes: 0,
        })));
        let timers = Timers::start(
            device.clone(),
            Hertz {
                wide: 100_000_000,
                narrow: 133_000_000,
            },
        );
        (device, timers)
    }

    /// Times of the ticks, in milliseconds from now.
    fn ticks(device: &Device, timers: &mut Timers<Device>, ms: u64) -> Vec<u64> {
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

    /// The board's device, and QEMU's.
    const DEVICES: [(u32, u64); 2] = [(u32::MAX, 100_000_000), (0xffff, 133_000_000)];

    #[test]
    fn it_ticks_once_a_second_with_registers_of_either_width() {
        for (mask, hertz) in DEVICES {
            let (device, mut timers) = start(mask, hertz);
            assert_eq!(ticks(&device, &mut timers, 3500), [1000, 2000, 3000]);
        }
    }

    #[test]
    fn a_device_whose_clock_is_faster_than_it_should_be_ticks_sooner_and_no_more() {
        let (device, mut timers) = start(u32::MAX, 133_000_000);
        assert_eq!(ticks(&device, &mut timers, 1600), [752, 1504]);
    }

    #[test]
    fn the_clock_tells_the_time_for_hours_if_it_is_read_now_and_then() {
        for (mask, hertz) in DEVICES {
            let (device, mut timers) = start(mask, hertz);
            let mut before = timers.now_us();
            for second in 1..=10_000_u64 {
                device.0.borrow_mut().advance(1_000_000);
                let now = timers.now_us();
                assert!(now >= before);
                assert!((second * 1_000_000).abs_diff(now) < 1000, "{second}: {now}");
                before = now;
            }
            // Half a minute without a look, which the watchdog would never allow.
            device.0.borrow_mut().advance(30_000_000);
            assert!(timers.now_us().abs_diff(before + 30_000_000) < 1000);
        }
    }

    #[test]
    fn the_alarm_comes_when_it_was_asked_for_and_is_forgotten_when_it_is_armed_anew() {
        for (mask, hertz) in DEVICES {
            let (device, mut timers) = start(mask, hertz);
            for ahead_us in [0, 2000, 300_000, 999_000] {
                let now_us = timers.now_us();
                timers.arm(Some(now_us + ahead_us));
                device.0.borrow_mut().advance(ahead_us.saturating_sub(1000));
                assert!(!device.0.borrow().interrupts(ALARM), "{ahead_us}");
                device.0.borrow_mut().advance(1200);
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
    fn an_alarm_that_is_asked_for_at_every_wake_up_is_set_once_and_comes_in_time() {
        for (mask, hertz) in DEVICES {
            let (device, mut timers) = start(mask, hertz);
            let at_us = timers.now_us() + 300_000;
            timers.arm(Some(at_us));
            let set = device.0.borrow().writes;
            while timers.now_us() + 1000 < at_us {
                assert!(!device.0.borrow().interrupts(ALARM));
                timers.arm(Some(at_us));
                device.0.borrow_mut().advance(50);
            }
            assert_eq!(device.0.borrow().writes, set);
            device.0.borrow_mut().advance(1200);
            assert!(device.0.borrow().interrupts(ALARM));
            timers.arm(Some(at_us + 2_000_000));
            assert!(!device.0.borrow().interrupts(ALARM), "it is cleared");
        }
    }

    #[test]
    fn an_earlier_alarm_replaces_a_later_one() {
        for (mask, hertz) in DEVICES {
            let (device, mut timers) = start(mask, hertz);
            let now_us = timers.now_us();
            timers.arm(Some(now_us + 900_000));
            timers.arm(Some(now_us + 10_000));
            device.0.borrow_mut().advance(10_200);
            assert!(device.0.borrow().interrupts(ALARM));
        }
    }

    #[test]
    fn arming_puts_no_tick_off() {
        let (device, mut timers) = start(0xffff, 133_000_000);
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

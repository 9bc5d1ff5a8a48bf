//! The system timer of BCM2835 and its successors up to BCM2711 ("BCM2711 ARM Peripherals", chapter 10): a clock of 1 MHz
//! that nobody can set, and four comparators with an interrupt each. Audit's alarm uses comparator 1 and its watchdog
//! comparator 3. The graphics processor's firmware uses 0 and 2, which are not touched here.
//!
//! A comparator matches when the low half of the clock *equals* it, so one that is set to a time in the past would match
//! only after the low half has wrapped, in 71 minutes. So an alarm is always set a little ahead, and the driver then checks
//! that its time has not passed meanwhile.

use crate::{Clock, Registers, Watchdog};

/// A bit for each comparator that has matched; writing it as 1 clears it.
const STATUS: usize = 0x00;
/// The clock, in microseconds.
const LOW: usize = 0x04;
const HIGH: usize = 0x08;

/// A comparator: its register, and its bit in [`STATUS`].
#[derive(Clone, Copy, Debug)]
struct Comparator {
    register: usize,
    matched: u32,
}

const ALARM: Comparator = Comparator {
    register: 0x10,
    matched: 1 << 1,
};
const WATCHDOG: Comparator = Comparator {
    register: 0x18,
    matched: 1 << 3,
};

/// Period of the watchdog, in microseconds.
const SECOND: u64 = 1_000_000;
/// The farthest that an alarm is set ahead, in microseconds (18 minutes): a quarter of the comparator's range, so that a
/// future time cannot be confused with a past one. A later alarm comes early, and its owner asks for it again.
const FARTHEST: u64 = 1 << 30;
/// The first distance that is tried for an alarm whose time has come, in microseconds: more than two accesses take.
const SOON: u64 = 8;
/// Number of distances that are tried, each twice the one before. The last is a quarter of a second. If audit is
/// interrupted for even longer between two accesses, the watchdog wakes it within a second.
const TRIES: u32 = 16;

/// The device.
#[derive(Debug)]
pub struct Timer<R> {
    registers: R,
    /// Time of the next tick.
    tick: u64,
}

impl<R: Registers> Timer<R> {
    /// Starts the tick, and cancels any alarm that was set before.
    #[must_use]
    pub fn start(registers: R) -> Self {
        let mut timer = Self { registers, tick: 0 };
        timer.forget_alarm();
        timer.next_tick();
        timer
    }

    /// The clock. If two readings of the high half are equal, the low half has not wrapped between them.
    fn now(&mut self) -> u64 {
        let mut high = self.registers.read(HIGH);
        loop {
            let low = self.registers.read(LOW);
            let again = self.registers.read(HIGH);
            if again == high {
                return (u64::from(high) << 32) | u64::from(low);
            }
            high = again;
        }
    }

    fn clear(&mut self, comparator: Comparator) {
        self.registers.write(STATUS, comparator.matched);
    }

    /// Sets a comparator to the low half of a time.
    fn compare(&mut self, comparator: Comparator, at: u64) {
        let low = (at & u64::from(u32::MAX)) as u32;
        self.registers.write(comparator.register, low);
    }

    /// Sets the alarm as far ahead as possible, because a comparator cannot be switched off.
    fn forget_alarm(&mut self) {
        let now = self.now();
        self.compare(ALARM, now.wrapping_sub(1));
        self.clear(ALARM);
    }

    fn next_tick(&mut self) {
        self.clear(WATCHDOG);
        self.tick = self.now().saturating_add(SECOND);
        self.compare(WATCHDOG, self.tick);
    }
}

impl<R: Registers> Clock for Timer<R> {
    fn now_us(&mut self) -> u64 {
        self.now()
    }

    fn arm(&mut self, at_us: Option<u64>) {
        let Some(at_us) = at_us else {
            return self.forget_alarm();
        };
        for exponent in 0..TRIES {
            let now = self.now();
            let soon = now.saturating_add(SOON << exponent);
            let at = at_us.clamp(soon, now.saturating_add(FARTHEST).max(soon));
            self.compare(ALARM, at);
            // Cleared only now, because until here the comparator could still match its old time.
            self.clear(ALARM);
            if self.now() < at {
                return;
            }
            // The time has passed, and its match may have been cleared. So a later time is tried.
        }
    }
}

impl<R: Registers> Watchdog for Timer<R> {
    fn tick(&mut self) -> bool {
        self.next_tick();
        true
    }

    /// Each tick sets the comparator a second ahead, so a tick can be missing only if the clock passed its time between two
    /// accesses of `next_tick`.
    fn look(&mut self) {
        let is_pending = self.registers.read(STATUS) & WATCHDOG.matched != 0;
        if !is_pending && self.now() > self.tick {
            self.next_tick();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::vec::Vec;

    /// Model of the device as in the manual.
    #[derive(Debug)]
    struct Model {
        clock: u64,
        comparators: [u32; 4],
        status: u32,
        /// Microseconds that each access takes.
        access_us: u64,
    }

    impl Model {
        fn advance(&mut self, us: u64) {
            for (number, comparator) in self.comparators.iter().enumerate() {
                let ahead = comparator.wrapping_sub(self.clock as u32);
                // It matches when the clock reaches its value, not for as long as the clock shows it.
                if (1..=us).contains(&u64::from(ahead)) {
                    self.status |= 1 << number;
                }
            }
            self.clock += us;
        }

        fn interrupts(&self, comparator: Comparator) -> bool {
            self.status & comparator.matched != 0
        }
    }

    #[derive(Clone, Debug)]
    struct Device(Rc<RefCell<Model>>);

    impl Registers for Device {
        fn read(&mut self, offset: usize) -> u32 {
            let mut model = self.0.borrow_mut();
            let us = model.access_us;
            model.advance(us);
            match offset {
                STATUS => model.status,
                LOW => model.clock as u32,
                HIGH => (model.clock >> 32) as u32,
                other => panic!("{other:#x} is not read"),
            }
        }

        fn write(&mut self, offset: usize, value: u32) {
            let mut model = self.0.borrow_mut();
            let us = model.access_us;
            model.advance(us);
            match offset {
                STATUS => {
                    let others = !(ALARM.matched | WATCHDOG.matched);
                    assert_eq!(value & others, 0, "the firmware's are not cleared");
                    model.status &= !value;
                }
                0x10 | 0x18 => model.comparators[(offset - 0x0c) / 4] = value,
                other => panic!("{other:#x} is not written"),
            }
        }
    }

    fn start(clock: u64, access_us: u64) -> (Device, Timer<Device>) {
        let device = Device(Rc::new(RefCell::new(Model {
            clock,
            comparators: [7; 4],
            // A boot loader may have left all of them pending.
            status: 0b1111,
            access_us,
        })));
        let timer = Timer::start(device.clone());
        (device, timer)
    }

    /// Times of ticks and of alarms, in milliseconds from now.
    fn run(device: &Device, timer: &mut Timer<Device>, ms: u64) -> [Vec<u64>; 2] {
        let mut came = [Vec::new(), Vec::new()];
        for at in 1..=ms {
            device.0.borrow_mut().advance(1000);
            if device.0.borrow().interrupts(WATCHDOG) {
                assert!(timer.tick());
                assert!(!device.0.borrow().interrupts(WATCHDOG), "it is cleared");
                came[0].push(at);
            }
            if device.0.borrow().interrupts(ALARM) {
                timer.arm(None);
                assert!(!device.0.borrow().interrupts(ALARM), "it is cleared");
                came[1].push(at);
            }
        }
        came
    }

    #[test]
    fn it_ticks_once_a_second_also_where_the_low_half_wraps_and_leaves_the_firmwares_alone() {
        for clock in [0, (1 << 32) - 1_500_000, (7 << 32) - 3] {
            let (device, mut timer) = start(clock, 0);
            let [ticks, alarms] = run(&device, &mut timer, 3500);
            assert_eq!(ticks, [1000, 2000, 3000]);
            assert_eq!(alarms, []);
            let model = device.0.borrow();
            assert_eq!((model.comparators[0], model.comparators[2]), (7, 7));
            assert_eq!(model.status & 0b101, 0b101);
        }
    }

    #[test]
    fn the_clock_is_read_whole_where_the_low_half_wraps_between_two_accesses() {
        for before in 0..8 {
            let (_, mut timer) = start((1 << 32) - 60 - before, 7);
            let mut last = timer.now_us();
            for _ in 0..10 {
                let now = timer.now_us();
                assert!(now > last && now - last < 60, "{last} {now}");
                last = now;
            }
        }
    }

    #[test]
    fn an_alarm_comes_when_it_was_asked_for_and_one_whose_time_is_over_comes_at_once() {
        let (device, mut timer) = start((1 << 32) - 400_000, 1);
        for ahead_us in [0, 1, 2, 5, 2000, 300_000, 900_000] {
            let now = timer.now_us();
            timer.arm(Some(now + ahead_us));
            device.0.borrow_mut().advance(ahead_us.saturating_sub(100));
            assert!(!device.0.borrow().interrupts(ALARM) || ahead_us < 100);
            device.0.borrow_mut().advance(200);
            assert!(device.0.borrow().interrupts(ALARM), "{ahead_us}");
        }
        timer.arm(Some(3));
        device.0.borrow_mut().advance(100);
        assert!(device.0.borrow().interrupts(ALARM), "long over");
    }

    #[test]
    fn an_alarm_that_is_forgotten_or_far_off_does_not_come() {
        let (device, mut timer) = start(5_000_000, 0);
        for at in [None, Some(u64::MAX), Some(5_000_000 + (1 << 40))] {
            let now = timer.now_us();
            timer.arm(Some(now + 1000));
            timer.arm(at);
            device.0.borrow_mut().advance(3_000_000);
            assert!(!device.0.borrow().interrupts(ALARM), "{at:?}");
        }
    }

    #[test]
    fn a_tick_that_nobody_could_see_comes_a_second_after_the_next_look() {
        let (device, mut timer) = start(0, 0);
        device.0.borrow_mut().advance(1_200_000);
        device.0.borrow_mut().status = 0;
        timer.look();
        assert_eq!(run(&device, &mut timer, 2500)[0], [1000, 2000]);
    }

    proptest! {
        #[test]
        fn whatever_is_asked_with_slow_registers_it_ends_and_a_second_has_its_tick(
            asks in prop::collection::vec(0_u64..2_000, 1..10),
            access_us in 0_u64..40,
        ) {
            let (device, mut timer) = start((1 << 32) - 700_000, access_us);
            for ahead_us in asks {
                let now = timer.now_us();
                timer.arm(Some(now + ahead_us));
                timer.look();
                let [ticks, alarms] = run(&device, &mut timer, 1010);
                prop_assert!(!ticks.is_empty());
                prop_assert_eq!(alarms.len(), 1);
            }
        }
    }
}

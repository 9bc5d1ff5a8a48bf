//! The goldfish real-time clock (QEMU `hw/rtc/goldfish_rtc.c`): one nanosecond alarm, shared by audit's watchdog and
//! timer. Only the owner of its registers can change either.
//!
//! The time comes from the processor's counter because somebody can set the device's clock: an emulator follows its
//! host's clock by default, steps included. So alarms are set relative to the device's time at that moment. As with the
//! PL031, a step forward makes a tick come early, and a step backward delays it until its owner looks.

use crate::counter::{self, Counter};
use crate::{Clock, Registers, Watchdog};

/// Nanoseconds. Reading the low half latches the high half.
const TIME_LOW: usize = 0x00;
const TIME_HIGH: usize = 0x04;
/// Writing the low half arms the alarm, so the high half is written first.
const ALARM_LOW: usize = 0x08;
const ALARM_HIGH: usize = 0x0c;
/// 1 enables the interrupt.
const INTERRUPT_ENABLED: usize = 0x10;
/// Writing anything clears the interrupt.
const CLEAR_INTERRUPT: usize = 0x1c;

/// Period of the watchdog, in nanoseconds.
const SECOND: u64 = 1_000_000_000;
/// Nanoseconds in a microsecond.
const MICROSECOND: u64 = 1_000;

/// The device. Its alarm is always armed, for the next tick or for an earlier request.
#[derive(Debug)]
pub struct Rtc<R, C> {
    registers: R,
    counter: C,
    /// Time of the next tick, on the device's clock.
    tick: u64,
    /// Time of the timer's alarm, on the device's clock.
    alarm: Option<u64>,
}

impl<R: Registers, C: Counter> Rtc<R, C> {
    /// Starts the tick.
    #[must_use]
    pub fn start(registers: R, counter: C) -> Self {
        let mut rtc = Self {
            registers,
            counter,
            tick: 0,
            alarm: None,
        };
        rtc.registers.write(CLEAR_INTERRUPT, 1);
        rtc.registers.write(INTERRUPT_ENABLED, 1);
        rtc.tick = rtc.now().saturating_add(SECOND);
        rtc.set();
        rtc
    }

    /// Current time of the device's clock.
    fn now(&mut self) -> u64 {
        let low = self.registers.read(TIME_LOW);
        let high = self.registers.read(TIME_HIGH);
        (u64::from(high) << 32) | u64::from(low)
    }

    /// Arms the device's alarm for whichever comes first. A time in the past interrupts at once.
    fn set(&mut self) {
        let at = self.alarm.map_or(self.tick, |alarm| alarm.min(self.tick));
        let [low, high] = [at, at >> 32].map(|half| (half & u64::from(u32::MAX)) as u32);
        self.registers.write(ALARM_HIGH, high);
        self.registers.write(ALARM_LOW, low);
    }
}

impl<R: Registers, C: Counter> Clock for Rtc<R, C> {
    fn now_us(&mut self) -> u64 {
        counter::now_us(&mut self.counter)
    }

    fn arm(&mut self, at_us: Option<u64>) {
        let (now, now_us) = (self.now(), self.now_us());
        self.alarm = at_us.map(|at_us| {
            let ahead_us = at_us.saturating_sub(now_us);
            now.saturating_add(ahead_us.saturating_mul(MICROSECOND))
        });
        self.set();
    }
}

impl<R: Registers, C: Counter> Watchdog for Rtc<R, C> {
    fn tick(&mut self) -> bool {
        self.registers.write(CLEAR_INTERRUPT, 1);
        let now = self.now();
        self.alarm = self.alarm.filter(|alarm| *alarm > now);
        let is_due = self.tick <= now;
        if is_due || self.tick.saturating_sub(now) > SECOND {
            self.tick = now.saturating_add(SECOND);
        }
        self.set();
        is_due
    }

    fn look(&mut self) {
        let now = self.now();
        if self.tick.saturating_sub(now) > SECOND {
            self.tick = now.saturating_add(SECOND);
            self.set();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Model of QEMU's device: its clock follows the host's, as does the timer behind the alarm.
    #[derive(Debug, Default)]
    struct Model {
        /// The device's clock.
        clock: u64,
        /// The processor's counter, which nobody sets.
        ticks: u64,
        high: u32,
        at: u64,
        is_running: bool,
        is_pending: bool,
        is_enabled: bool,
    }

    impl Model {
        fn advance(&mut self, ns: u64) {
            self.clock += ns;
            self.ticks += ns / 100;
            self.look();
        }

        fn look(&mut self) {
            if self.is_running && self.at <= self.clock {
                self.is_running = false;
                self.is_pending = true;
            }
        }

        fn interrupts(&self) -> bool {
            self.is_pending && self.is_enabled
        }
    }

    #[derive(Clone, Debug, Default)]
    struct Device(Rc<RefCell<Model>>);

    impl Registers for Device {
        fn read(&mut self, offset: usize) -> u32 {
            let mut model = self.0.borrow_mut();
            match offset {
                TIME_LOW => {
                    model.high = (model.clock >> 32) as u32;
                    model.clock as u32
                }
                TIME_HIGH => model.high,
                other => panic!("{other:#x} is not read"),
            }
        }

        fn write(&mut self, offset: usize, value: u32) {
            let mut model = self.0.borrow_mut();
            match offset {
                ALARM_HIGH => {
                    model.at = (model.at & u64::from(u32::MAX)) | (u64::from(value) << 32)
                }
                ALARM_LOW => {
                    model.at = (model.at >> 32 << 32) | u64::from(value);
                    model.is_running = true;
                    model.look();
                }
                INTERRUPT_ENABLED => model.is_enabled = value & 1 != 0,
                CLEAR_INTERRUPT => model.is_pending = false,
                other => panic!("{other:#x} is not written"),
            }
        }
    }

    impl Counter for Device {
        fn ticks(&mut self) -> u64 {
            self.0.borrow().ticks
        }
        fn hertz(&mut self) -> u64 {
            10_000_000
        }
    }

    /// Runs in steps of a millisecond. Returns the times of ticks and of other interrupts, in milliseconds from now.
    fn run(device: &Device, rtc: &mut Rtc<Device, Device>, ms: u64) -> [std::vec::Vec<u64>; 2] {
        let mut came = [std::vec![], std::vec![]];
        for at in 1..=ms {
            device.0.borrow_mut().advance(1_000_000);
            if device.0.borrow().interrupts() {
                came[usize::from(!rtc.tick())].push(at);
                assert!(!device.0.borrow().interrupts(), "it is cleared");
            }
        }
        came
    }

    fn start(clock: u64) -> (Device, Rtc<Device, Device>) {
        let device = Device::default();
        device.0.borrow_mut().clock = clock;
        let rtc = Rtc::start(device.clone(), device.clone());
        (device, rtc)
    }

    #[test]
    fn it_ticks_once_a_second_also_across_the_halves_of_a_register() {
        for clock in [0, 0xffff_ff00, 1_764_450_000 * SECOND + 7] {
            let (device, mut rtc) = start(clock);
            let [ticks, others] = run(&device, &mut rtc, 3500);
            assert_eq!(ticks, [1000, 2000, 3000]);
            assert_eq!(others, []);
        }
    }

    #[test]
    fn the_timer_comes_when_it_was_asked_for_and_puts_no_tick_off() {
        let (device, mut rtc) = start(5 * SECOND);
        let now_us = rtc.now_us();
        rtc.arm(Some(now_us + 300_000));
        assert_eq!(
            run(&device, &mut rtc, 1500),
            [std::vec![1000], std::vec![300]]
        );
        rtc.arm(Some(0));
        assert_eq!(
            run(&device, &mut rtc, 600),
            [std::vec![500], std::vec![1]],
            "a time that is over interrupts at once"
        );
        let now_us = rtc.now_us();
        rtc.arm(Some(now_us + 200_000));
        rtc.arm(None);
        assert_eq!(run(&device, &mut rtc, 800), [std::vec![], std::vec![]]);
    }

    #[test]
    fn a_tick_that_is_put_off_by_a_step_backward_comes_a_second_after_the_next_look() {
        let (device, mut rtc) = start(1_764_450_000 * SECOND);
        device.0.borrow_mut().clock -= 3600 * SECOND;
        assert_eq!(run(&device, &mut rtc, 2000)[0], []);
        rtc.look();
        assert_eq!(run(&device, &mut rtc, 2500)[0], [1000, 2000]);
    }

    proptest! {
        #[test]
        fn whatever_is_asked_a_second_with_a_look_has_its_tick(
            asks in prop::collection::vec((0_u64..3_000_000, -5_000_i64..5_000), 1..20),
        ) {
            let (device, mut rtc) = start(10_000 * SECOND);
            for (ahead_us, step_ms) in asks {
                let clock = device.0.borrow().clock;
                device.0.borrow_mut().clock = clock.saturating_add_signed(step_ms * 1_000_000);
                device.0.borrow_mut().look();
                let now_us = rtc.now_us();
                rtc.arm(Some(now_us + ahead_us));
                rtc.look();
                let [ticks, _] = run(&device, &mut rtc, 1000);
                prop_assert!(!ticks.is_empty());
                prop_assert!(rtc.now_us() >= now_us + 999_000);
            }
        }
    }
}

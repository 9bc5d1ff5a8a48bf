//! The PL031 real-time clock (Arm DDI 0224) as a tick of 1 Hz: audit's watchdog.
//!
//! The invariant: whenever the driver looks, the alarm is armed for the next second, or is armed anew. The alarm
//! compares with a clock that somebody else can set: an emulator follows its host's clock by default, steps included. A
//! step forward makes a tick come early, which is harmless: a tick only says "look", and audit takes the time from
//! another counter. A step backward by an hour delays the alarm by an hour. The device does not report that, so its
//! owner calls [`Watchdog::look`] whenever something else wakes it: one write, and the next tick is a second away
//! again. What remains is a step backward during which nothing at all wakes the domain; see `docs/operations.md`.

use crate::{Registers, Watchdog};

/// The counter, in seconds.
const DATA: usize = 0x00;
/// The counter value at which the interrupt comes.
const MATCH: usize = 0x04;
/// 1 enables the interrupt.
const MASK: usize = 0x10;
/// 1: the counter has matched since the last clear.
const RAW_STATUS: usize = 0x14;
/// Writing 1 clears the interrupt.
const CLEAR: usize = 0x1c;

/// Attempts to arm the alarm before its second arrives. An attempt takes microseconds, so two are enough.
const TRIES: usize = 4;

/// Up to this many seconds past its second, an alarm counts as late rather than lost: its interrupt is on the way, and
/// arming it again would delay it. A slow emulator is this late at most; after a clock step forward the distance is
/// larger.
const LATE: u32 = 10;

/// The device, whose alarm is always one second away.
#[derive(Debug)]
pub struct Alarm<R> {
    registers: R,
}

impl<R: Registers> Alarm<R> {
    /// Starts the tick.
    #[must_use]
    pub fn start(registers: R) -> Self {
        let mut alarm = Self { registers };
        alarm.registers.write(MASK, 1);
        alarm.set();
        alarm
    }

    /// Seconds until the alarm; a huge number if it is in the past.
    fn distance(&mut self) -> u32 {
        let at = self.registers.read(MATCH);
        at.wrapping_sub(self.registers.read(DATA))
    }

    fn has_matched(&mut self) -> bool {
        self.registers.read(RAW_STATUS) & 1 != 0
    }

    /// Arms the alarm for the next second. It fires only on equality, so if that second arrives meanwhile, the one
    /// after it is used.
    fn set(&mut self) {
        for _ in 0..TRIES {
            let next = self.registers.read(DATA).wrapping_add(1);
            self.registers.write(MATCH, next);
            if self.distance() == 1 || self.has_matched() {
                return;
            }
        }
    }
}

impl<R: Registers> Watchdog for Alarm<R> {
    fn tick(&mut self) -> bool {
        self.registers.write(CLEAR, 1);
        self.set();
        true
    }

    fn look(&mut self) {
        if self.has_matched() {
            return;
        }
        let ahead = self.distance();
        let behind = ahead.wrapping_neg();
        if ahead > 1 && behind > LATE {
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
    use std::vec::Vec;

    const SECOND: i64 = 1_000_000;
    /// How long the runtime lets pass between two wake-ups unless its timer is taken away.
    const LOOK: i64 = 2 * SECOND;

    /// Model of QEMU's device (hw/rtc/pl031.c): a counter that follows the host's clock, and a timer on that clock,
    /// which is set when the match is written and ignores later changes of the clock.
    #[derive(Debug, Default)]
    struct Model {
        /// The host's clock.
        clock: i64,
        at: u32,
        timer: Option<i64>,
        /// How late the timer is noticed.
        lag: i64,
        is_masked_in: bool,
        has_matched: bool,
        accesses: usize,
        /// Duration of each access.
        access_us: i64,
    }

    impl Model {
        fn counter(&self) -> u32 {
            self.clock.div_euclid(SECOND) as u32
        }

        fn advance(&mut self, us: i64) {
            self.clock += us;
            if self.timer.is_some_and(|at| at + self.lag <= self.clock) {
                self.timer = None;
                self.has_matched = true;
            }
        }

        fn interrupts(&self) -> bool {
            self.has_matched && self.is_masked_in
        }
    }

    #[derive(Clone, Debug)]
    struct Device(Rc<RefCell<Model>>);

    impl Registers for Device {
        fn read(&mut self, offset: usize) -> u32 {
            let mut model = self.0.borrow_mut();
            model.accesses += 1;
            let us = model.access_us;
            model.advance(us);
            match offset {
                DATA => model.counter(),
                MATCH => model.at,
                RAW_STATUS => u32::from(model.has_matched),
                other => panic!("{other:#x} is not read"),
            }
        }

        fn write(&mut self, offset: usize, value: u32) {
            let mut model = self.0.borrow_mut();
            model.accesses += 1;
            match offset {
                MATCH => {
                    model.at = value;
                    let ticks = value.wrapping_sub(model.counter());
                    if ticks == 0 {
                        model.timer = None;
                        model.has_matched = true;
                    } else {
                        model.timer = Some(model.clock + i64::from(ticks) * SECOND);
                    }
                }
                MASK => model.is_masked_in = value & 1 != 0,
                CLEAR => model.has_matched = false,
                other => panic!("{other:#x} is not written"),
            }
        }
    }

    /// Audit's domain: the alarm wakes it, and it also looks at other times.
    struct Domain {
        device: Device,
        alarm: Alarm<Device>,
        /// Real time; the device's clock may differ.
        now: i64,
        ticks: Vec<i64>,
        looked: i64,
        /// Only the alarm wakes it: a hostile domain has taken the timer away.
        deaf: bool,
    }

    impl Domain {
        fn new(clock: i64, access_us: i64) -> Self {
            let device = Device(Rc::new(RefCell::new(Model {
                clock,
                access_us,
                ..Model::default()
            })));
            Self {
                alarm: Alarm::start(device.clone()),
                device,
                now: 0,
                ticks: Vec::new(),
                looked: 0,
                deaf: false,
            }
        }

        fn step_clock(&self, us: i64) {
            // The emulator's main loop handles what is due now.
            self.device.0.borrow_mut().advance(us);
        }

        /// Runs in steps of a hundredth of a second.
        fn run(&mut self, us: i64) {
            let until = self.now + us;
            while self.now < until {
                self.now += SECOND / 100;
                self.device.0.borrow_mut().advance(SECOND / 100);
                let interrupts = self.device.0.borrow().interrupts();
                if interrupts {
                    self.alarm.tick();
                    self.ticks.push(self.now);
                    self.looked = self.now;
                } else if !self.deaf && self.now - self.looked >= LOOK {
                    self.alarm.look();
                    self.looked = self.now;
                }
            }
        }

        fn longest_gap(&self) -> i64 {
            let ends = core::iter::once(0).chain(self.ticks.iter().copied());
            let gaps = ends.clone().zip(ends.skip(1).chain([self.now]));
            gaps.map(|(from, to)| to - from).max().unwrap()
        }
    }

    #[test]
    fn it_ticks_once_a_second() {
        // The last clock wraps around.
        for clock in [0, 999_999, 1_764_450_000 * SECOND + 7, 0xffff_fffd * SECOND] {
            for access_us in [0, 1, 50] {
                let mut domain = Domain::new(clock, access_us);
                domain.run(60 * SECOND);
                assert!(
                    (55..=61).contains(&domain.ticks.len()),
                    "{:?}",
                    domain.ticks
                );
                assert!(domain.longest_gap() <= SECOND + SECOND / 10);
            }
        }
    }

    #[test]
    fn it_survives_a_clock_that_is_set_back_as_soon_as_anything_wakes_it() {
        for back in [
            SECOND,
            2 * SECOND,
            3600 * SECOND + 12_345,
            1_000_000_000 * SECOND,
        ] {
            let mut domain = Domain::new(1_764_450_000 * SECOND, 0);
            domain.run(5 * SECOND);
            domain.step_clock(-back);
            domain.run(10 * SECOND);
            let gap = domain.longest_gap();
            assert!(
                gap <= LOOK + 2 * SECOND,
                "{gap} µs without a tick, {back} back"
            );
            assert!(domain.ticks.len() > 10, "{:?}", domain.ticks);
        }
    }

    #[test]
    fn an_interrupt_that_is_late_is_not_put_off_by_looking() {
        // A slow emulator. Its timer counts from when it was set, not from the full second, so the counter may be past
        // the requested second before the interrupt comes.
        for lag in [SECOND / 50, SECOND / 5, SECOND, 2 * SECOND] {
            for phase in 0..20 {
                let mut domain = Domain::new(1_764_450_000 * SECOND + phase * SECOND / 20, 0);
                domain.device.0.borrow_mut().lag = lag;
                for _ in 0..2000 {
                    domain.run(SECOND / 100);
                    domain.alarm.look();
                }
                let gap = domain.longest_gap();
                assert!(gap <= SECOND + lag + SECOND / 10, "{gap} µs, late by {lag}");
            }
        }
    }

    #[test]
    fn without_any_other_wake_up_it_stands_still_until_there_is_one() {
        let mut domain = Domain::new(1_764_450_000 * SECOND, 0);
        domain.run(5 * SECOND);
        domain.step_clock(-3600 * SECOND);
        domain.deaf = true;
        domain.run(60 * SECOND);
        let before = domain.ticks.len();
        assert!(before <= 6, "the gap that no driver can close");
        domain.alarm.look();
        domain.run(5 * SECOND);
        assert!(domain.ticks.len() >= before + 4, "{:?}", domain.ticks);
    }

    #[test]
    fn a_clock_that_is_set_forward_gives_one_early_tick_and_goes_on() {
        let mut domain = Domain::new(0, 0);
        domain.run(5 * SECOND);
        domain.step_clock(3600 * SECOND);
        domain.run(10 * SECOND);
        assert!(
            (14..=17).contains(&domain.ticks.len()),
            "{:?}",
            domain.ticks
        );
        assert!(domain.longest_gap() <= SECOND + SECOND / 10);
    }

    #[test]
    fn looking_all_the_time_does_not_put_a_tick_off() {
        let mut domain = Domain::new(1_764_450_000 * SECOND, 0);
        for _ in 0..1000 {
            domain.run(SECOND / 100);
            domain.alarm.look();
        }
        assert!(domain.ticks.len() >= 9, "{:?}", domain.ticks);
        let before = domain.device.0.borrow().accesses;
        domain.alarm.look();
        assert!(
            domain.device.0.borrow().accesses - before <= 3,
            "and costs little"
        );
    }

    proptest! {
        #[test]
        fn whatever_happens_to_the_clock_the_next_tick_is_seconds_away(
            steps in prop::collection::vec((0i64..5_000_000, -10_000_000_000i64..10_000_000_000), 0..20),
            clock in 20_000_000_000i64..4_000_000_000_000_000,
            access_us in 0i64..100,
        ) {
            let mut domain = Domain::new(clock, access_us);
            for (us, step) in steps {
                domain.run(us);
                let before = domain.now;
                domain.step_clock(step);
                // Two steps within a second can each cost a second.
                domain.run(4 * SECOND);
                let last = domain.ticks.last().copied().unwrap_or(0);
                prop_assert!(last > before, "no tick within 4 s of a step by {step}");
            }
        }
    }
}

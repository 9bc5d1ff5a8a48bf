//! The trusted timer: the alarm of the board's PL031 real-time clock, once a second.
//!
//! Only audit has its registers, so a domain that tampers with the generic timer can't stop it.
//! Resolution and period are a second.
//!
//! The care it needs: the alarm goes off when the clock *equals* the match register. If the second
//! passes between reading the clock and writing the register, the next tick is 136 years away. So
//! each alarm is checked after it was set.

use crate::region::Registers;

/// Seconds, counting up.
const DATA: usize = 0x00;
/// The alarm goes off at this second.
const MATCH: usize = 0x04;
/// 1 lets the alarm be an interrupt.
const MASK: usize = 0x10;
/// 1 if the alarm has gone off and was not cleared.
const RAW_STATUS: usize = 0x14;
/// 1 clears the alarm.
const CLEAR: usize = 0x1c;

/// How often an alarm that may have been set too late is set again. Each try is twice as far in the
/// future as the last, so that the machine would have to stand still for minutes between two
/// instructions, eight times in a row, for the watchdog to stop. Fewer make that likelier, more are
/// of no use.
const TRIES: u32 = 8;

/// The watchdog, running.
#[derive(Debug)]
pub struct Watchdog<D> {
    rtc: D,
}

impl<D: Registers> Watchdog<D> {
    /// Starts it.
    pub fn start(mut rtc: D) -> Self {
        rtc.write(MASK, 1);
        let mut watchdog = Self { rtc };
        watchdog.tick();
        watchdog
    }

    /// Acknowledges a tick and asks for the next. The interrupt itself is acknowledged afterwards.
    pub fn tick(&mut self) {
        self.rtc.write(CLEAR, 1);
        for attempt in 0..TRIES {
            let alarm = self.rtc.read(DATA).wrapping_add(1 << attempt);
            self.rtc.write(MATCH, alarm);
            let is_ahead = alarm.wrapping_sub(self.rtc.read(DATA)).cast_signed() > 0;
            if is_ahead || self.rtc.read(RAW_STATUS) & 1 != 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;
    use std::rc::Rc;

    /// An RTC on which time passes while it is being used.
    #[derive(Clone, Default)]
    struct FakeRtc(Rc<State>);

    #[derive(Default)]
    struct State {
        now: Cell<u32>,
        alarm: Cell<Option<u32>>,
        rings: Cell<bool>,
        enabled: Cell<bool>,
        /// Seconds that pass before each of the next writes of the match register.
        stalls: Cell<(u32, u32)>,
    }

    impl FakeRtc {
        fn pass(&self, seconds: u32) {
            for _ in 0..seconds {
                self.0.now.set(self.0.now.get().wrapping_add(1));
                self.ring();
            }
        }

        fn ring(&self) {
            if self.0.alarm.get() == Some(self.0.now.get()) {
                self.0.rings.set(true);
            }
        }
    }

    impl Registers for FakeRtc {
        fn read(&self, offset: usize) -> u32 {
            match offset {
                DATA => self.0.now.get(),
                RAW_STATUS => u32::from(self.0.rings.get()),
                _ => panic!("no register to read at {offset:#x}"),
            }
        }

        fn write(&mut self, offset: usize, value: u32) {
            match offset {
                MATCH => {
                    let (count, seconds) = self.0.stalls.get();
                    if count > 0 {
                        self.0.stalls.set((count - 1, seconds));
                        self.pass(seconds);
                    }
                    self.0.alarm.set(Some(value));
                    self.ring();
                }
                MASK => self.0.enabled.set(value == 1),
                CLEAR => self.0.rings.set(false),
                _ => panic!("no register to write at {offset:#x}"),
            }
        }
    }

    fn next_tick(rtc: &FakeRtc) -> u32 {
        let mut seconds = 0;
        while !rtc.0.rings.get() {
            assert!(seconds < 300, "the watchdog has stopped");
            rtc.pass(1);
            seconds += 1;
        }
        seconds
    }

    #[test]
    fn it_ticks_once_a_second_for_ever_and_over_the_wrap() {
        let rtc = FakeRtc::default();
        rtc.0.now.set(u32::MAX - 2);
        let mut watchdog = Watchdog::start(rtc.clone());
        assert!(rtc.0.enabled.get());
        for _ in 0..10 {
            assert_eq!(next_tick(&rtc), 1);
            watchdog.tick();
        }
    }

    #[test]
    fn a_second_that_passes_while_the_alarm_is_set_does_not_stop_it() {
        for (count, seconds) in [(1, 1), (1, 2), (1, 100), (3, 3), (7, 1)] {
            let rtc = FakeRtc::default();
            let mut watchdog = Watchdog::start(rtc.clone());
            rtc.0.stalls.set((count, seconds));
            watchdog.tick();
            assert!(next_tick(&rtc) <= 1 << count, "{count} stalls of {seconds} s");
            watchdog.tick();
            assert_eq!(next_tick(&rtc), 1);
        }
    }
}

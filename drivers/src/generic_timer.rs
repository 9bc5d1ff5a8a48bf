//! Arm's generic timer: its counter as the clock, its comparator as the alarm.
//!
//! On a board whose kernel lets every domain write the comparator, its interrupt only means "look". Other domains can
//! delay it, but they cannot stop the watchdog.

use crate::Clock;
use crate::counter::{self, Counter, MICROSECONDS, Rounding, convert};

/// The counter's comparator.
pub trait Comparator: Counter {
    /// Interrupts while the counter is at or past `at`; `None` disables it.
    fn compare(&mut self, at: Option<u64>);
}

/// The timer.
#[derive(Debug)]
pub struct Timer<C>(C);

impl<C: Comparator> Timer<C> {
    /// Creates the timer and leaves its comparator unchanged.
    #[must_use]
    pub const fn new(comparator: C) -> Self {
        Self(comparator)
    }
}

impl<C: Comparator> Clock for Timer<C> {
    fn now_us(&mut self) -> u64 {
        counter::now_us(&mut self.0)
    }

    fn arm(&mut self, at_us: Option<u64>) {
        let hertz = self.0.hertz();
        let at = at_us.map(|us| convert(us, MICROSECONDS, hertz, Rounding::Up));
        self.0.compare(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[derive(Debug, Default)]
    struct Model {
        ticks: u64,
        at: Option<u64>,
    }

    #[derive(Clone, Debug, Default)]
    struct Registers(Rc<RefCell<Model>>);

    impl Registers {
        fn interrupts(&self) -> bool {
            let model = self.0.borrow();
            model.at.is_some_and(|at| model.ticks >= at)
        }
    }

    impl Counter for Registers {
        fn ticks(&mut self) -> u64 {
            self.0.borrow().ticks
        }
        fn hertz(&mut self) -> u64 {
            62_500_000
        }
    }

    impl Comparator for Registers {
        fn compare(&mut self, at: Option<u64>) {
            self.0.borrow_mut().at = at;
        }
    }

    #[test]
    fn it_interrupts_at_the_microsecond_and_not_before_until_it_is_armed_anew() {
        let registers = Registers::default();
        let mut timer = Timer::new(registers.clone());
        timer.arm(Some(3));
        registers.0.borrow_mut().ticks = 187;
        assert_eq!(timer.now_us(), 2);
        assert!(!registers.interrupts(), "3 µs are 187.5 ticks");
        registers.0.borrow_mut().ticks = 188;
        assert_eq!(timer.now_us(), 3);
        assert!(registers.interrupts());
        timer.arm(Some(1_000_000));
        assert!(!registers.interrupts());
        timer.arm(None);
        registers.0.borrow_mut().ticks = u64::MAX;
        assert!(!registers.interrupts());
    }
}

//! A worker that misbehaves, for tests of audit's recovery.

pub use workers::inject::Misdeed;

/// Actions of the runtime.
#[derive(Clone, Copy, Debug)]
pub struct Misdeeds {
    /// Writes outside the regions of the domain.
    pub write_outside: fn() -> !,
    /// Writes random bytes into everything that the domain may write.
    pub scribble: fn(),
    /// Changes the rounding mode for good.
    pub set_rounding: fn(),
}

impl Misdeeds {
    /// Does it.
    pub fn commit(&self, misdeed: Misdeed) -> ! {
        match misdeed {
            Misdeed::WriteOutside => (self.write_outside)(),
            Misdeed::Spin => spin(),
            Misdeed::Scribble => {
                (self.scribble)();
                spin()
            }
            Misdeed::Round => {
                (self.set_rounding)();
                (self.write_outside)()
            }
        }
    }
}

fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

//! Waiting for what a console shows, without keeping a processor from the system that is to show it.

use expectrl::session::OsSession;
use expectrl::{Captures, Error, Expect as _, Needle};
use std::time::{Duration, Instant};

/// Pause between two looks. `Session::expect` makes none, and would use a whole processor.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits until `what` appears.
///
/// # Errors
/// It does not within `patience`, or the console has ended.
pub(crate) fn wait_for(
    session: &mut OsSession,
    what: &impl Needle,
    patience: Duration,
) -> Result<Captures, Error> {
    let begun = Instant::now();
    loop {
        let found = session.check(what)?;
        if !found.is_empty() {
            return Ok(found);
        }
        if begun.elapsed() > patience {
            return Err(Error::ExpectTimeout);
        }
        std::thread::sleep(PAUSE);
    }
}

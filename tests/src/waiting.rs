//! Waiting for what a console shows, without keeping a processor from the system that is to show it.

use expectrl::session::OsSession;
use expectrl::{Captures, Error, Expect as _, Needle, Regex};
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

/// The end of what the console has shown since the last match, for the message of a failed test.
pub(crate) fn last_shown(session: &mut OsSession) -> String {
    const MOST: usize = 2000;
    let shown = session.check(Regex("(?s-u).+"));
    let shown = shown.map_or_else(|_| Vec::new(), |found| found.as_bytes().to_vec());
    String::from_utf8_lossy(&shown[shown.len().saturating_sub(MOST)..]).into_owned()
}

//! A system in which workers on other cores compute for inference, as many as `system.xml` has.

use runtime::patched;
use runtime::region::{self, Mapped, RingError};
use sel4_microkit::Channel;
use sel4_microkit::ipc::Event;
use workers::domains::{Bells, Domains, Table, Woken, spins};

patched! { team team_size worker_1_channel worker_2_channel worker_3_channel }

pub(crate) type Team = Domains<Channels>;

/// Whether other domains can write the arena.
pub(crate) const SHARES_ARENA: bool = true;

/// The channels to the workers.
pub(crate) struct Channels;

fn channels() -> [usize; 3] {
    [worker_1_channel(), worker_2_channel(), worker_3_channel()]
}

/// What the team shares.
pub(crate) fn table() -> Result<&'static Table, RingError> {
    let region = Mapped {
        address: team(),
        bytes: team_size(),
    };
    // SAFETY: `system.xml` maps it for the table, in this domain and its workers. It is all atomics.
    unsafe { region::common(region) }
}

impl Bells for Channels {
    fn ring(&mut self, member: usize) {
        if let Some(channel) = member
            .checked_sub(1)
            .and_then(|at| channels().get(at).copied())
        {
            Channel::new(channel).notify();
        }
    }

    /// Also takes audit's signals. The server looks at its ring again after every step, so nothing is lost.
    fn wait(&mut self) -> Woken {
        let audit = crate::audit_channel();
        match sel4_microkit::ipc::recv() {
            Event::Notified(set) if set.iter().all(|channel| channel.index() == audit) => {
                Woken::Supervisor
            }
            _ => Woken::Member,
        }
    }
}

/// Number of workers.
pub(crate) fn count() -> usize {
    // Channel 0 is audit's, so a worker whose variable is not set does not exist.
    let is_there = |channel: &&usize| **channel != 0;
    channels().iter().take_while(is_there).count()
}

pub(crate) fn begin() -> Result<Team, RingError> {
    Ok(Domains::begin(
        table()?,
        1 + count(),
        spins(cfg!(crowded)),
        Channels,
    ))
}

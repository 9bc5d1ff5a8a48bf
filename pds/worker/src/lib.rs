//! A worker: a domain on a core of its own that computes rows for inference.
//!
//! Responsible for: waiting for the next job, computing the part that has this worker's number, and answering. How the
//! team waits for each other is in `workers`, what a part is in `llm-core`; a runtime gives a [`Seat`] (its memory) and
//! [`Bells`] (its notifications).
//!
//! The rule that keeps it safe is not its own: a worker may write all of inference's arena, so it is trusted as much as
//! inference, by inference alone. It has no ring, no store and no other peer.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "inject")]
pub mod inject;

pub use workers::domains::{Bells, Seat, Table, Unfit, Woken, spins};

/// Serves for ever.
#[cfg(not(feature = "inject"))]
pub fn serve(seat: Seat, bells: &mut impl Bells) {
    seat.serve(bells, || ());
}

/// Serves for ever, and does what inference orders in place of a job.
#[cfg(feature = "inject")]
pub fn serve(seat: Seat, bells: &mut impl Bells, misdeeds: inject::Misdeeds) {
    let (table, number) = (seat.table(), seat.number());
    seat.serve(bells, || {
        if let Some(misdeed) = table.order.take(number) {
            misdeeds.commit(misdeed);
        }
    });
}

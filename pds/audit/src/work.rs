//! How much audit does in one wake-up.

/// Bytes that are hashed in a wake-up (32 KiB): slices of a model or of the log, and prompts. Without instructions for
/// SHA-256 a Cortex-A53 takes 20 to 25 cycles a byte, so about 0.6 ms at 1.2 GHz; a wake-up stays under 2 ms with the
/// request that is at hand when they are used up. More would hold up the tokens of others, less would make a load slower.
pub(crate) const WORK_BYTES: usize = 32 << 10;

/// What requests leave of that for loads and lists, so that no client keeps another's from going on by asking.
const KEPT_BYTES: usize = WORK_BYTES / 2;

/// Between two such slices, from the end of the one to the wake-up for the next, in microseconds (1 ms): about as long as
/// a slice, so that clients and inference get half of the time meanwhile.
pub(crate) const PAUSE_US: u64 = 1_000;

/// Least time from the end of a wake-up to the next one that audit asks for, in microseconds (0.2 ms): whatever asks for
/// it, audit never runs again at once, so that lower domains run in between. A deadline is noticed this much later.
pub(crate) const GAP_US: u64 = 200;

/// How often audit signals an inference that has workers and something to do, in microseconds (0.25 s). It is the only
/// clock that inference has: after a few signals in vain, it gives a worker up that does not arrive, which audit would
/// notice only at the request's deadline. A hang is found within three of these, so that less than a second passes until
/// inference serves again. Shorter intervals would find it sooner, and wake audit more often.
pub(crate) const BEAT_US: u64 = 250_000;

/// What is left of a wake-up's work.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
    goes_on: bool,
}

impl Budget {
    /// Of a new wake-up.
    pub(crate) const fn new() -> Self {
        Self {
            left: WORK_BYTES,
            goes_on: false,
        }
    }

    /// So many bytes were hashed, or as much was done.
    pub(crate) const fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// More than a wake-up should do was done.
    pub(crate) const fn spend_all(&mut self) {
        self.left = 0;
    }

    /// Bytes that may still be hashed, for what takes its part of them.
    pub(crate) const fn left(&mut self) -> &mut usize {
        &mut self.left
    }

    /// Whether nothing is left for requests.
    pub(crate) const fn is_spent_on_requests(&self) -> bool {
        self.left <= KEPT_BYTES
    }

    /// Whether nothing is left.
    pub(crate) const fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// There is more to do, and nobody to wait for.
    pub(crate) const fn goes_on(&mut self) {
        self.goes_on = true;
    }

    /// Whether there is.
    pub(crate) const fn is_to_go_on(&self) -> bool {
        self.goes_on
    }
}

//! The limits on audit's work in one wake-up.

/// Bytes hashed in a wake-up (32 KiB): slices of a model or of the log, and prompts. Without SHA-256 instructions a
/// Cortex-A53 takes 20 to 25 cycles per byte, so about 0.6 ms at 1.2 GHz. Even with the request being handled when the
/// limit is reached, a wake-up stays under 2 ms. A larger value would delay other users' tokens; a smaller one would
/// make loads slower.
pub(crate) const WORK_BYTES: usize = 32 << 10;

/// The part of it that requests leave for loads and lists, so no client can stall another's load by sending requests.
const KEPT_BYTES: usize = WORK_BYTES / 2;

/// Longest pause between two slices, from the end of a wake-up to the next slice, in microseconds (1 ms). A pause is as
/// long as its wake-up was, so clients and inference get half of the time meanwhile; see [`pause_us`].
pub(crate) const PAUSE_US: u64 = 1_000;

/// Least time from the end of a wake-up to the next one that audit asks for, in microseconds (0.2 ms). Without it audit
/// could run again at once, and lower domains could not run in between. Deadlines are noticed this much later.
pub(crate) const GAP_US: u64 = 200;

/// The pause after a wake-up that took this long, before the next slice. A fast processor hashes a slice in much less
/// than a millisecond, and a pause of fixed length would be most of the time that a load takes there.
pub(crate) const fn pause_us(took_us: u64) -> u64 {
    if took_us < GAP_US {
        GAP_US
    } else if took_us > PAUSE_US {
        PAUSE_US
    } else {
        took_us
    }
}

/// How often audit signals an inference server that has workers and something to do, in microseconds (0.25 s). This is
/// inference's only clock: after a few such signals it gives up a worker that does not respond, which audit would
/// notice only at the request's deadline. A hang is found within three signals, so inference is back in service in less
/// than a second. A shorter interval would find it sooner, but wake audit more often.
pub(crate) const BEAT_US: u64 = 250_000;

/// The work left in a wake-up.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
    goes_on: bool,
}

impl Budget {
    /// The full budget of a new wake-up.
    pub(crate) const fn new() -> Self {
        Self {
            left: WORK_BYTES,
            goes_on: false,
        }
    }

    /// Counts this many hashed bytes, or other work that takes as long.
    pub(crate) const fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// Uses up the budget, after work that takes a whole wake-up.
    pub(crate) const fn spend_all(&mut self) {
        self.left = 0;
    }

    /// Bytes that may still be hashed, to be counted down.
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

    /// Notes that audit has more to do and need not wait for anybody.
    pub(crate) const fn goes_on(&mut self) {
        self.goes_on = true;
    }

    /// Whether audit has more to do.
    pub(crate) const fn is_to_go_on(&self) -> bool {
        self.goes_on
    }
}

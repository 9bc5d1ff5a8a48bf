//! The names of the claims, and a claim that does not hold.

/// What is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// Budgets are right to the token.
    Budgets,
    /// Each request has one end, and no other answer than its own.
    Answers,
    /// What a client hears is what inference said, in order, and no more than was asked for.
    Tokens,
    /// What a client hears is what the format, the choices or the stop strings of its request allow.
    Formats,
    /// What can be told is told in the same wake-up.
    Prompt,
    /// What waits for the egress cap is told in turn.
    Fair,
    /// Inference may generate what was asked for, and no more ahead of its client than the window.
    Credit,
    /// The log is chained and its times do not fall.
    Chain,
    /// What happens is written down, once, in order, with the right fields.
    Log,
    /// Refusals are those that the policy and the state give, and are written down.
    Refusals,
    /// A client within its parts is not refused because of others.
    Parts,
    /// No more leaves inference than burst and rate allow.
    Egress,
    /// Lists have what there is, and an end.
    Lists,
    /// The timer is armed for what waits.
    TimerArmed,
    /// The timer is armed for a time that is yet to come.
    TimerAhead,
    /// What takes too long is stopped in time, and nothing else is.
    Deadlines,
    /// Inference is restarted when it must be, no more often than the policy allows.
    Restarts,
    /// Nothing of an earlier life is taken.
    Epochs,
    /// Sessions go on, make room and are lost as they should.
    Sessions,
    /// Only signed models are loaded.
    Models,
    /// Audit reads what it can answer, all of it, in turn, and signals.
    Flow,
    /// Counters are right.
    Counters,
    /// Violations are counted, and recorded ever more rarely.
    Violations,
    /// No user's entries take more of the log than the policy gives.
    Shares,
    /// With a log on a disk that is written ahead: inference hears of a request when its admission is durable, and a client
    /// of its end when that is.
    Ahead,
    /// A log that cannot be written stops admissions if the policy says so, and else stops nothing.
    LostLog,
    /// What was durable is there after the power was cut, and the log goes on behind it.
    Durable,
    /// What inference can read of the disk is signed, and the model in service stays as it is.
    Slots,
    /// The questions that audit asks files, and the answers that it takes in one wake-up, are bounded.
    Bounds,
    /// Audit lets others run.
    Spins,
    /// All is over in the end, by signals and the timer alone.
    Settles,
}

/// A claim that does not hold.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{claim:?}: {detail}")]
pub struct Broken {
    /// Which.
    pub claim: Claim,
    /// What was seen instead.
    pub detail: String,
}

//! The names of the claims, and the error for a claim that does not hold.

/// A claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// Budgets are correct to the token.
    Budgets,
    /// Each request ends once, and is answered only with its own results.
    Answers,
    /// A client receives the text that inference generated, in order, and no more than it asked for.
    Tokens,
    /// A client receives only text that the format, choices or stop strings of its request allow.
    Formats,
    /// Whatever can be told is told in the same wake-up.
    Prompt,
    /// Clients take turns at the egress cap.
    Fair,
    /// Inference gets credit for what was requested, but never more than the window ahead of the client.
    Credit,
    /// The log is chained, and its times do not decrease.
    Chain,
    /// Each event is recorded once, in order, with the right fields.
    Log,
    /// Refusals follow from the policy and the state, and are recorded.
    Refusals,
    /// A client within its limits is not refused because of others.
    Parts,
    /// No more bytes leave inference than burst and rate allow.
    Egress,
    /// Lists are complete, and end.
    Lists,
    /// The timer is armed whenever something waits for it.
    TimerArmed,
    /// The timer is armed for a time in the future.
    TimerAhead,
    /// A request is stopped in time if it takes too long, and only then.
    Deadlines,
    /// Inference is restarted when necessary, and no more often than the policy allows.
    Restarts,
    /// Nothing from an earlier epoch is accepted.
    Epochs,
    /// Sessions continue, are evicted and are lost according to the rules.
    Sessions,
    /// Only signed models are loaded.
    Models,
    /// Audit reads everything that it can answer, in turn, and signals.
    Flow,
    /// Counters are correct.
    Counters,
    /// Violations are counted, and recorded ever more rarely.
    Violations,
    /// No user's entries take more of the log than the policy allows.
    Shares,
    /// With a log on a disk that is written ahead: inference is told of a request only after its admission is durable,
    /// and a client of its end only after that is.
    Ahead,
    /// A log that cannot be written stops admissions if the policy says so, and otherwise stops nothing.
    LostLog,
    /// After a power failure, everything durable is there, and the log continues from it.
    Durable,
    /// Inference can read only signed files of the disk, and the model in service does not change.
    Slots,
    /// The number of questions that audit asks files, and of answers that it takes, in one wake-up is bounded.
    Bounds,
    /// Audit lets others run.
    Spins,
    /// Everything ends, woken only by signals and the timer.
    Settles,
}

/// A claim that does not hold.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{claim:?}: {detail}")]
pub struct Broken {
    /// The claim.
    pub claim: Claim,
    /// What was seen instead.
    pub detail: String,
}

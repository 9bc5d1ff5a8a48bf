//! Messages from clients to audit.

#[cfg(doc)]
use super::Event;
use crate::encoding::{layout, messages};
#[cfg(doc)]
use crate::error::ErrorCode;
use crate::limits::{MAX_EXAMPLE_BYTES, MAX_PARTS_BYTES, MAX_PASSPHRASE_BYTES};
use crate::name::{FormatName, ModelName, Nonce, SessionName, UserName};
use crate::ring::Frame;
use crate::wire::{InferParams, Parts, TrainParams};

layout! {
    /// A change to a budget. `None` keeps the value at the time of the change, so changing one field cannot undo an
    /// earlier change of the other.
    #[derive(Default)]
    pub struct BudgetChange [24] {
        /// Tokens per period.
        pub tokens: Option<u64>,
        /// The period in microseconds.
        pub period_us: Option<u64>,
    }
}

impl BudgetChange {
    /// No change.
    pub const NONE: Self = Self {
        tokens: None,
        period_us: None,
    };

    /// Whether nothing changes.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.tokens.is_none() && self.period_us.is_none()
    }
}

layout! {
    /// Which entries of the log to send.
    #[derive(Default)]
    pub struct LogQuery [44] {
        /// Number of entries, the newest; 0 for all available.
        pub last: u64,
        /// Only entries of this user; empty for all.
        pub user: UserName,
        /// Continue with new entries until cancelled.
        pub follow: bool,
    }
}

messages! {
    /// Messages from a client to audit.
    pub enum Request<'a> ["may", "answered by; the last one is bold", "costs"] {
        /// Generate text. Ends with [`Event::Finished`].
        1 Infer [168] {
            /// Sampling parameters and token limit.
            params: InferParams,
            /// The conversation to continue or begin; empty for none.
            session: SessionName,
            /// The loaded adapter to use; empty for none, or for that of the session.
            adapter: ModelName,
            /// The format that the answer must match; empty for none, or if the parts contain choices.
            format: FormatName;
            /// The text or conversation, and what ends the answer.
            parts: Parts<'a> where len <= MAX_PARTS_BYTES,
        } => ["`infer`", "`Text` …, **`Finished`**", "tokens, see V2"],
        /// Stop the request whose number is in the header. Its final event is the answer.
        2 Cancel [0] => [
            "owner of the request with the number in the header; another's `Cancel` does nothing",
            "the last event of that request, which is **`Failed`** `Cancelled` at once for a load that is being \
             verified and for `Status`; **`Failed`** `NoSuchRequest` if there is none. A load that inference has \
             ends by itself",
            "–",
        ],
        /// List the models in the store. Ends with [`Event::Listed`].
        3 Models [0] => ["`infer`", "`Model` …, **`Listed`**", "–"],
        /// Load a model. Ends with [`Event::Loaded`].
        4 Load [64] {
            /// Its name in the store, without `.gguf`.
            name: ModelName,
        } => ["`load`", "`Progress` …, **`Loaded`**", "–"],
        /// Ask what inference holds in its arena. Ends with [`Event::Status`].
        5 Status [0] => ["`infer`", "**`Status`**", "–"],
        /// Ask for audit's counters. Ends with [`Event::Stats`], or repeats once a second until cancelled.
        6 Stats [4] {
            /// Repeat until cancelled.
            watch: bool,
        } => ["`infer`", "**`Stats`**; watching: `Stats` each second, **`Done`** after a cancel or a login", "–"],
        /// Log in as another user. Ends with [`Event::User`].
        7 Login [36] {
            /// The user to become.
            user: UserName;
            /// `None` if no passphrase was asked for. Audit then logs in a user that has none, and answers
            /// [`ErrorCode::PassphraseNeeded`] for every other name, including names that no user has.
            passphrase: Option<&'a [u8]> where len <= MAX_PASSPHRASE_BYTES if has_passphrase,
        } => [
            "anybody",
            "**`User`**; without a passphrase, `Failed` `PassphraseNeeded` if one is needed or nobody has the name: \
             no refusal and no record",
            "a wait after a failure",
        ],
        /// Become the default user again. Ends with [`Event::User`].
        8 Logout [0] => ["anybody", "**`User`**", "–"],
        /// Ask who is logged in. Ends with [`Event::User`].
        9 WhoAmI [0] => ["anybody", "**`User`**", "–"],
        /// List the users that can log in. Ends with [`Event::Listed`].
        10 Users [0] => ["anybody", "`User` …, **`Listed`**", "–"],
        /// Ask for a budget, optionally changing it first. Ends with [`Event::Budget`].
        11 Budget [56] {
            /// The budget's user; empty for one's own.
            user: UserName,
            /// The change.
            change: BudgetChange,
        } => ["one's own: anybody; another's, or to change one: `budget`", "**`Budget`**", "–"],
        /// Read the log. Ends with [`Event::LogEnd`].
        12 Log [44] (query: LogQuery) => ["`log`", "`Record` …, **`LogEnd`**", "–"],
        /// Check the log's chain. Ends with [`Event::LogVerified`].
        13 VerifyLog [0] => ["`log`", "**`LogVerified`**; **`Done`** after a cancel or a login", "–"],
        /// Try again after too many restarts. Ends with [`Event::Done`].
        14 Reset [0] => ["`reset`", "**`Done`**", "–"],
        /// List one's own sessions, or all sessions for users who may change budgets. Ends with [`Event::Listed`].
        15 Sessions [0] => ["`infer`; everybody's: `budget` too", "`Session` …, **`Listed`**", "–"],
        /// End an idle session. Ends with [`Event::Done`].
        16 Close [32] {
            /// Its name.
            session: SessionName,
        } => ["`infer`, one's own session", "**`Done`**", "–"],
        /// Train an adapter for the loaded model. Ends with [`Event::Tuned`].
        17 FineTune [160] {
            /// Parameters of the training.
            params: TrainParams,
            /// Name of the data in the store, without suffix, or [`EXAMPLES`](crate::adapters::EXAMPLES).
            data: ModelName,
            /// Name for the adapter; empty to use the name of the data.
            adapter: ModelName,
        } => [
            "`fine-tune`",
            "`Progress` …, `Training` …, **`Tuned`**; after a cancel **`Failed`** `Cancelled`",
            "tokens, see V2",
        ],
        /// Add an example to the typed ones. Answered by [`Event::Examples`].
        18 Example [0] {
            ;
            /// A line of JSON, as in a data file, without its line break.
            text: &'a [u8] where len <= MAX_EXAMPLE_BYTES,
        } => ["`fine-tune`", "**`Examples`**", "–"],
        /// Forget the typed examples. Answered by [`Event::Examples`].
        19 DropExamples [0] => ["`fine-tune`", "**`Examples`**", "–"],
        /// List the available adapters. Ends with [`Event::Listed`].
        20 Adapters [0] => ["`infer`", "`Adapter` …, **`Listed`**", "–"],
        /// Load an adapter beside the model. Ends with [`Event::AdapterLoaded`].
        21 LoadAdapter [64] {
            /// Its name.
            name: ModelName,
        } => ["`load`", "`Progress` …, **`AdapterLoaded`**", "–"],
        /// Unload an adapter; one made on this device is also forgotten. Ends with [`Event::Done`].
        22 DropAdapter [64] {
            /// Its name.
            name: ModelName,
        } => ["`load`; of one made on this device `fine-tune`", "**`Done`**", "–"],
        /// Read the file of an adapter made on this device. Ends with [`Event::Exported`].
        23 ExportAdapter [64] {
            /// Its name.
            name: ModelName,
        } => ["`fine-tune`", "`AdapterPart` …, **`Exported`**; **`Done`** after a cancel or a login", "bytes of the egress cap"],
        /// List the formats that answers can be constrained to. Ends with [`Event::Listed`].
        24 Formats [0] => ["`infer`", "`Format` …, **`Listed`**", "–"],
        /// Ask for permission to end the system, and log it. Ends with [`Event::Done`]. Audit keeps running: the client
        /// with the console ends what it can, which is its own service and the emulator.
        25 Halt [0] => ["`halt`", "**`Done`**", "–"],
        /// Have the device sign the head of its log. Ends with [`Event::Attested`].
        26 Attest [32] {
            /// What is signed with it, so that an old answer is not taken for a new one; may be empty.
            nonce: Nonce,
        } => ["`log`", "**`Attested`**", "–"],
    }
}

impl Request<'_> {
    /// Decides what a [`PartKind::Prompt`](crate::wire::PartKind::Prompt) is, in place and before the message is
    /// parsed: a user's turn if the model has a chat template, otherwise a text to be completed. So inference, the log
    /// and the hash all state which it was. Other messages are unchanged.
    pub fn decide_prompt<const N: usize>(frame: &mut Frame<N>, has_template: bool) {
        let Ok(Request::Infer { parts, .. }) = Request::parse(frame) else {
            return;
        };
        let behind = parts.as_bytes().len();
        let payload = frame.payload_mut();
        let at = payload.len().saturating_sub(behind);
        Parts::decide(payload.get_mut(at..).unwrap_or(&mut []), has_template);
    }
}

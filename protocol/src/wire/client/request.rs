//! What clients ask of audit.

#[cfg(doc)]
use super::Event;
#[cfg(doc)]
use crate::error::ErrorCode;
use crate::limits::{MAX_EXAMPLE_BYTES, MAX_PARTS_BYTES, MAX_PASSPHRASE_BYTES};
use crate::name::{FormatName, ModelName, Nonce, SessionName, UserName};
use crate::ring::Frame;
use crate::wire::declare::{layout, messages};
use crate::wire::{InferParams, Parts, TrainParams};

layout! {
    /// What of a budget is to be changed. What is `None` stays as it is when audit makes the change, so a change of one
    /// field cannot undo a change of the other that came before it.
    #[derive(Default)]
    pub struct BudgetChange [24] {
        /// Tokens in a period.
        pub tokens: Option<u64>,
        /// The period in microseconds.
        pub period_us: Option<u64>,
    }
}

impl BudgetChange {
    /// Nothing is to be changed.
    pub const NONE: Self = Self {
        tokens: None,
        period_us: None,
    };

    /// Whether nothing is to be changed.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.tokens.is_none() && self.period_us.is_none()
    }
}

layout! {
    /// Which entries of the log.
    #[derive(Default)]
    pub struct LogQuery [44] {
        /// The newest so many; 0 for all that are there.
        pub last: u64,
        /// Of this user alone; empty for all.
        pub user: UserName,
        /// Go on with what is appended, until it is cancelled.
        pub follow: bool,
    }
}

messages! {
    /// From a client to audit.
    pub enum Request<'a> ["may", "answered by; the last one is bold", "costs"] {
        /// Generate text. Ends with [`Event::Finished`].
        1 Infer [168] {
            /// How.
            params: InferParams,
            /// The conversation that it goes on with or begins; empty for none.
            session: SessionName,
            /// The adapter to use, which is loaded; empty for none, or that of the session.
            adapter: ModelName,
            /// The format that the answer must belong to; empty for none, or if the parts have choices.
            format: FormatName;
            /// From what, and what ends the answer.
            parts: Parts<'a> where len <= MAX_PARTS_BYTES,
        } => ["`infer`", "`Text` …, **`Finished`**", "tokens, see V2"],
        /// Stop the request with the number in the header. It is answered by that request's last event.
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
        /// What inference has in its arena. Ends with [`Event::Status`].
        5 Status [0] => ["`infer`", "**`Status`**", "–"],
        /// What audit has counted. Ends with [`Event::Stats`], or goes on once a second until it is cancelled.
        6 Stats [4] {
            /// Go on.
            watch: bool,
        } => ["`infer`", "**`Stats`**; watching: `Stats` each second, **`Done`** after a cancel or a login", "–"],
        /// Become another user. Ends with [`Event::User`].
        7 Login [36] {
            /// Who.
            user: UserName;
            /// `None` if the user was not asked for one: audit then logs in a user who has none, and answers
            /// [`ErrorCode::PassphraseNeeded`] for every other name, also for one that no user has.
            passphrase: Option<&'a [u8]> where len <= MAX_PASSPHRASE_BYTES if has_passphrase,
        } => [
            "anybody",
            "**`User`**; without a passphrase, `Failed` `PassphraseNeeded` if one is needed or nobody has the name: \
             no refusal and no record",
            "a wait after a failure",
        ],
        /// Become the default user again. Ends with [`Event::User`].
        8 Logout [0] => ["anybody", "**`User`**", "–"],
        /// Who is logged in. Ends with [`Event::User`].
        9 WhoAmI [0] => ["anybody", "**`User`**", "–"],
        /// List the users that can log in. Ends with [`Event::Listed`].
        10 Users [0] => ["anybody", "`User` …, **`Listed`**", "–"],
        /// A budget, changed first if that is asked for. Ends with [`Event::Budget`].
        11 Budget [56] {
            /// Whose; empty for one's own.
            user: UserName,
            /// What is to be changed.
            change: BudgetChange,
        } => ["one's own: anybody; another's, or to change one: `budget`", "**`Budget`**", "–"],
        /// Read the log. Ends with [`Event::LogEnd`].
        12 Log [44] (query: LogQuery) => ["`log`", "`Record` …, **`LogEnd`**", "–"],
        /// Check the log's chain. Ends with [`Event::LogVerified`].
        13 VerifyLog [0] => ["`log`", "**`LogVerified`**; **`Done`** after a cancel or a login", "–"],
        /// Try again after too many restarts. Ends with [`Event::Done`].
        14 Reset [0] => ["`reset`", "**`Done`**", "–"],
        /// List one's sessions, or everybody's for who may change budgets. Ends with [`Event::Listed`].
        15 Sessions [0] => ["`infer`; everybody's: `budget` too", "`Session` …, **`Listed`**", "–"],
        /// End a session that is idle. Ends with [`Event::Done`].
        16 Close [32] {
            /// Its name.
            session: SessionName,
        } => ["`infer`, one's own session", "**`Done`**", "–"],
        /// Train an adapter for the loaded model. Ends with [`Event::Tuned`].
        17 FineTune [160] {
            /// How.
            params: TrainParams,
            /// The data in the store, without suffix, or [`EXAMPLES`](crate::adapters::EXAMPLES).
            data: ModelName,
            /// What the adapter will be called; empty for the name of the data.
            adapter: ModelName,
        } => [
            "`fine-tune`",
            "`Progress` …, `Training` …, **`Tuned`**; after a cancel **`Failed`** `Cancelled`",
            "tokens, see V2",
        ],
        /// Add an example to those typed. Answered by [`Event::Examples`].
        18 Example [0] {
            ;
            /// A line of JSON, as a file of data has it, without its end.
            text: &'a [u8] where len <= MAX_EXAMPLE_BYTES,
        } => ["`fine-tune`", "**`Examples`**", "–"],
        /// Forget the examples typed. Answered by [`Event::Examples`].
        19 DropExamples [0] => ["`fine-tune`", "**`Examples`**", "–"],
        /// List the adapters that there are. Ends with [`Event::Listed`].
        20 Adapters [0] => ["`infer`", "`Adapter` …, **`Listed`**", "–"],
        /// Load an adapter beside the model. Ends with [`Event::AdapterLoaded`].
        21 LoadAdapter [64] {
            /// Its name.
            name: ModelName,
        } => ["`load`", "`Progress` …, **`AdapterLoaded`**", "–"],
        /// Unload an adapter; one made on this device is forgotten, too. Ends with [`Event::Done`].
        22 DropAdapter [64] {
            /// Its name.
            name: ModelName,
        } => ["`load`; of one made on this device `fine-tune`", "**`Done`**", "–"],
        /// Read the file of an adapter made on this device. Ends with [`Event::Exported`].
        23 ExportAdapter [64] {
            /// Its name.
            name: ModelName,
        } => ["`fine-tune`", "`AdapterPart` …, **`Exported`**; **`Done`** after a cancel or a login", "bytes of the egress cap"],
        /// List the formats that answers can be bound to. Ends with [`Event::Listed`].
        24 Formats [0] => ["`infer`", "`Format` …, **`Listed`**", "–"],
        /// Ask whether one may end the system, and have it on record. Ends with [`Event::Done`]. Audit goes on: the client
        /// with the console ends what it can end, which is its own service, and the emulator.
        25 Halt [0] => ["`halt`", "**`Done`**", "–"],
        /// Have the device sign the head of its log. Ends with [`Event::Attested`].
        26 Attest [32] {
            /// What is signed with it, so that an old answer is not taken for a new one; may be empty.
            nonce: Nonce,
        } => ["`log`", "**`Attested`**", "–"],
    }
}

impl Request<'_> {
    /// Decides what a [`PartKind::Prompt`](crate::wire::PartKind::Prompt) is, in the message itself and before it is parsed: what
    /// a person says if the model has a chat template, else a text to be completed. So what goes to inference, into the
    /// log and under the hash says which it was. Any other message stays as it is.
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

//! Why a request was refused or failed: a stable numeric code, the value that was wrong and the
//! limit that it broke. Text for people is made in the shell, once.

use crate::wire::codec::numbered;
use crate::wire::declare::{layout, numbers};

numbers! {
    /// Stable numbers of the reasons. A number is never given a new meaning.
    #[derive(Hash)]
    pub enum ErrorCode {
        /// The prompt has no byte.
        EmptyPrompt = 1,
        /// `value` bytes of prompt, `limit` allowed.
        PromptBytes = 2,
        /// `value` tokens of prompt, `limit` allowed.
        PromptTokens = 3,
        /// The prompt is not UTF-8; `value` is the offset of the first wrong byte.
        PromptNotUtf8 = 4,
        /// `value` tokens to generate asked for, 1 to `limit` allowed.
        MaxTokens = 5,
        /// A temperature of `value` millionths, at most `limit` allowed.
        Temperature = 6,
        /// A top-k of `value`, at most `limit` allowed.
        TopK = 7,
        /// A top-p of `value` millionths, at most `limit` allowed.
        TopP = 8,
        /// A min-p of `value` millionths, at most `limit` allowed.
        MinP = 9,
        /// A repetition penalty of `value` millionths; at least 1, at most `limit` allowed.
        RepeatPenalty = 10,
        /// `value` requests are active, `limit` allowed.
        TooManyRequests = 11,
        /// Audit's ring to inference is full: `value` of `limit` slots are in use.
        Busy = 12,
        /// No request of this number is active.
        NoSuchRequest = 13,
        /// The session has a request under way.
        SessionBusy = 14,
        /// The session was evicted to make room for others; it had `value` turns.
        SessionEvicted = 15,
        /// The session ended when inference was restarted or loaded another model, or when a turn failed that had begun; it
        /// had `value` turns, with the one that failed.
        SessionLost = 16,
        /// `value` sessions of the user are there, `limit` allowed.
        TooManySessions = 17,
        /// The user has no session of this name.
        NoSuchSession = 18,
        /// A name that is none: visible ASCII without quotes, of a length within its limit.
        BadName = 19,

        /// No model is loaded.
        NoModel = 20,
        /// The store holds no model of this name.
        NoSuchModel = 21,
        /// The name has `value` bytes, 1 to `limit` allowed.
        NameLength = 22,
        /// The file is not the GGUF file that it should be; the detail says where. `value` is the
        /// offset or the number that was wrong, where there is one.
        BadModel = 23,
        /// The file uses something that the engine has no support for; the detail names it.
        UnsupportedModel = 24,
        /// The model needs `value` bytes, the arena has `limit`.
        ModelTooLarge = 25,
        /// The store is not a tar archive.
        BadStore = 26,
        /// A model is being loaded, or a request is active that needs the loaded one.
        ModelInUse = 27,
        /// The store has no signature for the model.
        Unsigned = 28,
        /// The model's signature is by none of the keys that the policy trusts, or the file was changed.
        BadSignature = 29,

        /// The session's context of `limit` tokens has no room for `value`.
        ContextFull = 30,
        /// A value in the computation was not finite.
        NonFinite = 31,
        /// The KV cache has `limit` positions free, `value` were needed.
        CacheFull = 32,

        /// It took longer than `limit` microseconds and was stopped.
        Deadline = 40,
        /// Inference died with a fault while it had the request.
        InferenceFault = 41,
        /// Inference broke the protocol and was restarted.
        ProtocolViolation = 42,
        /// Inference did not stop when it was asked to and was restarted.
        Unresponsive = 43,
        /// The receiver does not know this request.
        Unsupported = 44,
        /// Inference was restarted `value` times within `limit` microseconds: audit has stopped trying.
        RestartsExhausted = 45,
        /// The kernel has refused to stop inference (`value` 1) or to start it anew (`value` 2): audit leaves it alone.
        ControlRefused = 46,

        /// The user's role does not allow it; `value` is the permission, one bit.
        NotPermitted = 50,
        /// `value` tokens may be needed, `limit` are left of the user's budget in this period.
        QuotaExceeded = 51,
        /// User or passphrase is wrong; another try is possible in `value` microseconds.
        LoginFailed = 52,
        /// Too soon after another login, above all one that failed: `value` microseconds to wait.
        LoginDelayed = 53,
        /// The policy has no user of this name.
        NoSuchUser = 54,
        /// The policy cannot be used, so that nobody may do anything; `value` says why, see `policy`.
        BadPolicy = 55,
        /// A budget of `value` tokens, at most `limit` allowed.
        BudgetTokens = 56,
        /// A period of `value` microseconds, 1 s to `limit` allowed.
        BudgetPeriod = 57,
        /// The passphrase has `value` bytes, at most `limit` allowed.
        PassphraseLength = 58,
        /// A login without a passphrase, by a name whose user has one or that no user has. It is no failed attempt: the same
        /// request with a passphrase may follow at once.
        PassphraseNeeded = 59,
        /// Its user has cancelled it before it was done.
        Cancelled = 60,
        /// The user's share of the audit log is used up: `value` bytes may be needed, `limit` are left until time gives more.
        LogShare = 61,
        /// The policy names no client on the channel of the one that asks, so it may do nothing.
        UnknownClient = 62,
        /// The client is one user for good: the policy does not let it log in.
        NoLogin = 63,
        /// The user is another client's own, so nobody else logs in as it.
        ClientsUser = 64,

        /// There is no adapter of this name, in the store or made on this device.
        NoSuchAdapter = 70,
        /// The store has no training data of this name.
        NoSuchData = 71,
        /// There is an adapter of this name, but it is not loaded.
        AdapterNotLoaded = 72,
        /// The session began with another adapter, or with none.
        OtherAdapter = 73,
        /// `value` adapters are loaded, or kept of those made on this device; `limit` allowed.
        TooManyAdapters = 74,
        /// An adapter has this name already.
        AdapterExists = 75,
        /// `value` requests that are under way use the adapter.
        AdapterInUse = 76,
        /// The file is not an adapter that the loaded model can have; the detail says why.
        BadAdapter = 77,
        /// Model and adapters would need `value` bytes, the arena has `limit`.
        AdapterTooLarge = 78,
        /// The adapter was made for another model.
        OtherBase = 79,
        /// An adapter of `value` bytes was made, and the memory for them has `limit` free.
        AdapterRoom = 80,
        /// The adapter is one of the store, so there is nothing to export.
        NotOfDevice = 81,
        /// The policy gives this device no key to sign an adapter with.
        NoDeviceKey = 82,
        /// A fine-tuning is under way: there is one at a time, it keeps models and adapters as they are, and if memory does not
        /// allow both it keeps requests for text away.
        Training = 83,
        /// Memory allows the fine-tuning only alone, and `value` requests are under way.
        TrainAlone = 84,
        /// The fine-tuning needs `value` bytes, `limit` are free; the detail says what would fit.
        TrainMemory = 85,
        /// A rank of `value`, 1 to `limit` allowed.
        TrainRank = 86,
        /// An alpha of `value` millionths; above 0, at most `limit` allowed.
        TrainAlpha = 87,
        /// `value` epochs, 1 to `limit` allowed.
        TrainEpochs = 88,
        /// A learning rate of `value` billionths; above 0, at most `limit` allowed.
        TrainRate = 89,
        /// Targets of the number `value`, 1 (attention) to `limit` (all) allowed.
        TrainTargets = 90,
        /// Line `value` of the data is no example; the detail says why.
        BadData = 91,
        /// The data holds no examples.
        EmptyData = 92,
        /// `value` bytes of data, `limit` allowed.
        DataTooLong = 93,
        /// An example of `value` tokens, the context has `limit`; the detail says in which line.
        DataContext = 94,
        /// An example of `value` bytes, 1 to `limit` allowed.
        ExampleBytes = 95,
        /// The example is not one line of UTF-8; `value` is the offset of the first wrong byte.
        BadExample = 96,
        /// The examples would have `value` bytes with this one, there is room for `limit`.
        ExamplesFull = 97,

        /// The policy has no format of this name.
        UnknownFormat = 110,
        /// The policy does not allow the user's role, or the client, this format or choices of its own.
        FormatNotAllowed = 111,
        /// The policy allows the user's role, or the client, only requests with a format.
        FormatNeeded = 112,
        /// Stop strings beside a format or choices, which say where an answer ends.
        FormatAndStops = 113,
        /// A format and choices: a request has one or the other.
        FormatAndChoices = 114,
        /// The model's vocabulary cannot spell the format.
        FormatNotSpelled = 115,
        /// The format's shortest answer takes `value` tokens, `limit` may be generated. `value` is 0 to a client: only the log
        /// has it.
        FormatTooLong = 116,
        /// Inference left the format of the answer, or ended it too soon. What it said so is not shown.
        FormatBreach = 117,
        /// Inference went on over a stop string. What it said so is not shown.
        StopBreach = 118,
        /// The model has no chat template, so it only completes texts.
        NoTemplate = 119,
        /// The model's chat template takes no system text.
        NoSystem = 120,
        /// `value` segments, `limit` allowed.
        Segments = 121,
        /// Segment `value` (from 1) is not of the role that is due: after a system text, if there is one, user and assistant
        /// take turns, the user is last, and what goes on has no system text.
        SegmentRole = 122,
        /// Segment `value` (from 1) has a text that the model's chat template cannot have; the detail says why.
        SegmentText = 123,
        /// `value` stop strings, `limit` allowed.
        StopStrings = 124,
        /// A stop string of `value` bytes, 1 to `limit` allowed.
        StopBytes = 125,
        /// `value` choices, `limit` allowed.
        Choices = 126,
        /// The choices have `value` bytes together, with one between each two; `limit` allowed.
        ChoicesBytes = 127,
        /// Choice `value` (from 1) has no text.
        ChoiceEmpty = 128,
        /// Choice `value` (from 1) is there already.
        ChoiceTwice = 129,
        /// Choice `value` (from 1) has a line feed.
        ChoiceLineFeed = 130,

        /// There is no disk, or this system has none.
        NoDisk = 131,
        /// The disk has no file system that can be read; `value`: its sectors, if it is too small for one.
        NoFileSystem = 132,
        /// The disk's file system is damaged; `value`: where, if that is known.
        DiskDamaged = 133,
        /// The disk reports an error; `value`: the sector.
        DiskFailed = 134,
        /// The disk has no file of this name.
        NoSuchFile = 135,
        /// A folder where a file is wanted, or a name that no file can have.
        BadPath = 136,
        /// No room on the disk.
        DiskFull = 137,
        /// The disk cannot be written.
        DiskReadOnly = 138,
        /// More files and folders than are listed; `value`: how many are.
        TooManyFiles = 139,
        /// Files cannot do what it was asked for.
        FilesFailed = 140,
        /// Files has not answered within `limit` microseconds, so it is asked nothing any more.
        FilesSilent = 141,
        /// Files has answered what was not asked, `value` times so far; after `limit` of them it is asked nothing any more.
        FilesBreach = 142,
        /// A file of `value` bytes, there is room for `limit`.
        FileTooLarge = 143,
        /// The file had `limit` bytes when it was opened, and `value` when it was read.
        FileChanged = 144,
        /// The audit log's file lies in several pieces.
        LogScattered = 145,
        /// The audit log's file has `value` bytes: no whole sectors, too few or too many.
        LogFileSize = 146,
        /// `value` models of the disk are not listed: no name that can be asked for, or too many.
        FilesSkipped = 147,

        /// The audit log cannot be written to the disk, and the policy lets nothing be admitted without it; `value` is the code
        /// of the reason.
        LogLost = 150,
        /// The audit log's file holds something that is no log.
        LogGarbage = 151,
        /// The log on the disk is that of another device.
        LogOtherDevice = 152,
        /// The log on the disk was begun in a file of `value` sectors; the file has `limit`.
        LogOtherSize = 153,
        /// Entries of the log came faster than the disk takes them.
        LogBehind = 154,
    }
}

impl ErrorCode {
    /// All are below this, so that they can be counted in an array.
    pub const END: usize = 160;

    /// The code with this number.
    #[must_use]
    pub fn from_u16(code: u16) -> Option<Self> {
        numbered(code)
    }

    /// Whether inference may give this reason. The others are audit's to give, and mean something in its log.
    #[must_use]
    pub const fn is_of_inference(self) -> bool {
        self.leaves_session()
            || matches!(
                self,
                Self::MaxTokens
                    | Self::NoSuchRequest
                    | Self::SessionEvicted
                    | Self::NoModel
                    | Self::BadModel
                    | Self::ModelTooLarge
                    | Self::BadStore
                    | Self::ModelInUse
                    | Self::NonFinite
                    | Self::Unsupported
                    | Self::AdapterInUse
                    | Self::BadAdapter
                    | Self::AdapterTooLarge
                    | Self::OtherBase
                    | Self::AdapterRoom
                    | Self::TrainAlone
                    | Self::TrainMemory
                    | Self::BadData
                    | Self::EmptyData
                    | Self::DataTooLong
                    | Self::DataContext
            )
    }

    /// Whether a turn that fails for this reason before its first token leaves its session as it was: inference has
    /// refused it before it began.
    #[must_use]
    pub const fn leaves_session(self) -> bool {
        matches!(
            self,
            Self::EmptyPrompt
                | Self::PromptBytes
                | Self::PromptTokens
                | Self::PromptNotUtf8
                | Self::ContextFull
                | Self::CacheFull
                | Self::UnsupportedModel
                | Self::Busy
                | Self::NoSuchAdapter
                | Self::OtherAdapter
                | Self::Training
                | Self::FormatNotSpelled
                | Self::FormatTooLong
                | Self::NoTemplate
                | Self::NoSystem
                | Self::SegmentRole
                | Self::SegmentText
        )
    }
}

layout! {
    /// A reason as it crosses a boundary: code, value, limit. Fixed size, no floats, no text.
    pub struct Failure [20] {
        /// What is wrong.
        pub code: ErrorCode,
        /// The value that was wrong; its meaning belongs to the code.
        pub value: u64,
        /// The limit that it broke; 0 where there is none.
        pub limit: u64,
    }
}

impl Failure {
    /// A failure that has neither value nor limit.
    #[must_use]
    pub const fn of(code: ErrorCode) -> Self {
        Self {
            code,
            value: 0,
            limit: 0,
        }
    }

    /// A value and the limit that it broke.
    #[must_use]
    pub const fn over(code: ErrorCode, value: u64, limit: u64) -> Self {
        Self { code, value, limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_come_back_from_their_numbers() {
        for (i, &code) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(ErrorCode::from_u16(code as u16), Some(code));
            assert!((code as usize) < ErrorCode::END);
            assert!(
                ErrorCode::ALL[..i]
                    .iter()
                    .all(|&before| (before as u16) < code as u16)
            );
        }
        assert_eq!(ErrorCode::from_u16(0), None);
    }

    #[test]
    fn what_audit_alone_decides_is_no_reason_of_inference() {
        let of_inference = |code: &&ErrorCode| code.is_of_inference();
        assert_eq!(ErrorCode::ALL.iter().filter(of_inference).count(), 38);
        for code in [
            ErrorCode::Deadline,
            ErrorCode::QuotaExceeded,
            ErrorCode::SessionLost,
            ErrorCode::Cancelled,
            ErrorCode::FormatBreach,
            ErrorCode::FormatNotAllowed,
        ] {
            assert!(!code.is_of_inference());
        }
    }
}

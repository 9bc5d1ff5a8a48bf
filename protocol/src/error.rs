//! Why a request was refused or failed: a stable numeric code, the value that was wrong and the
//! limit that it broke. Text for people is made in the shell, once.

#[cfg(test)]
use crate::encoding::Shape;
use crate::encoding::{Wire, layout, numbered, numbers};
use zerocopy::little_endian::U32;

numbers! {
    /// Reason codes, with stable numbers. A number is never reused.
    #[derive(Hash)]
    pub enum ErrorCode {
        /// The prompt is empty.
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
        /// There is no active request with this number.
        NoSuchRequest = 13,
        /// The session has a request in flight.
        SessionBusy = 14,
        /// The session was evicted to make room for others; it had `value` turns.
        SessionEvicted = 15,
        /// The session ended because inference was restarted or loaded another model, or because a turn that had begun
        /// failed; it had `value` turns, including the failed one.
        SessionLost = 16,
        /// The user has `value` sessions, `limit` allowed.
        TooManySessions = 17,
        /// The user has no session of this name.
        NoSuchSession = 18,
        /// Invalid name: it must be visible ASCII without quotes, of a length within its limit.
        BadName = 19,

        /// No model is loaded.
        NoModel = 20,
        /// The store holds no model of this name.
        NoSuchModel = 21,
        /// The name has `value` bytes, 1 to `limit` allowed.
        NameLength = 22,
        /// The file is not a valid GGUF file; the detail says where. `value` is the offset or the wrong number, if
        /// there is one.
        BadModel = 23,
        /// The file uses a feature that the engine does not support; the detail names it.
        UnsupportedModel = 24,
        /// The model needs `value` bytes, the arena has `limit`.
        ModelTooLarge = 25,
        /// The store is not a tar archive.
        BadStore = 26,
        /// A model is being loaded, or a request is active that needs the loaded one.
        ModelInUse = 27,
        /// The store has no signature for the model.
        Unsigned = 28,
        /// The model's signature matches no key that the policy trusts, or the file was changed.
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
        /// Inference did not stop when asked and was restarted.
        Unresponsive = 43,
        /// The receiver does not know this request.
        Unsupported = 44,
        /// Inference was restarted `value` times within `limit` microseconds: audit has stopped trying.
        RestartsExhausted = 45,
        /// The kernel refused to stop inference (`value` 1) or to restart it (`value` 2); audit leaves it alone.
        ControlRefused = 46,

        /// The user's role does not allow it; `value` is the permission, one bit.
        NotPermitted = 50,
        /// `value` tokens may be needed, `limit` are left of the user's budget in this period.
        QuotaExceeded = 51,
        /// User or passphrase is wrong; another try is possible in `value` microseconds.
        LoginFailed = 52,
        /// Too soon after another login, especially a failed one: `value` microseconds to wait.
        LoginDelayed = 53,
        /// The policy has no user of this name.
        NoSuchUser = 54,
        /// The policy is invalid, so nobody may do anything; `value` is the reason, see `policy`.
        BadPolicy = 55,
        /// A budget of `value` tokens, at most `limit` allowed.
        BudgetTokens = 56,
        /// A period of `value` microseconds, 1 s to `limit` allowed.
        BudgetPeriod = 57,
        /// The passphrase has `value` bytes, at most `limit` allowed.
        PassphraseLength = 58,
        /// A login without a passphrase, for a user who has one or does not exist. It does not count as a failed
        /// attempt: the same request may follow at once with a passphrase.
        PassphraseNeeded = 59,
        /// The user cancelled it before it was complete.
        Cancelled = 60,
        /// The user's share of the audit log is used up: `value` bytes may be needed, `limit` are available until more
        /// accrue.
        LogShare = 61,
        /// The policy lists no client on the channel that the request came from, so that client may do nothing.
        UnknownClient = 62,
        /// The client always runs as one user: the policy does not let it log in.
        NoLogin = 63,
        /// The user belongs to another client, so nobody else can log in as that user.
        ClientsUser = 64,

        /// There is no adapter of this name, in the store or made on this device.
        NoSuchAdapter = 70,
        /// The store has no training data of this name.
        NoSuchData = 71,
        /// There is an adapter of this name, but it is not loaded.
        AdapterNotLoaded = 72,
        /// The session began with another adapter, or with none.
        OtherAdapter = 73,
        /// `value` adapters are loaded, or made on this device and kept; `limit` allowed.
        TooManyAdapters = 74,
        /// An adapter has this name already.
        AdapterExists = 75,
        /// `value` requests in flight use the adapter.
        AdapterInUse = 76,
        /// The file is not an adapter for the loaded model; the detail says why.
        BadAdapter = 77,
        /// Model and adapters would need `value` bytes, the arena has `limit`.
        AdapterTooLarge = 78,
        /// The adapter was made for another model.
        OtherBase = 79,
        /// An adapter of `value` bytes was made, but only `limit` bytes are free for adapters.
        AdapterRoom = 80,
        /// The adapter comes from the store, so there is nothing to export.
        NotOfDevice = 81,
        /// The policy gives this device no key to sign an adapter with.
        NoDeviceKey = 82,
        /// A fine-tuning job is running. There is one at a time; while it runs, models and adapters cannot change, and
        /// if memory is short, requests for text are refused.
        Training = 83,
        /// The fine-tuning job fits in memory only on its own, and `value` requests are in flight.
        TrainAlone = 84,
        /// The fine-tuning job needs `value` bytes, `limit` are free; the detail says what would fit.
        TrainMemory = 85,
        /// A rank of `value`, 1 to `limit` allowed.
        TrainRank = 86,
        /// An alpha of `value` millionths; above 0, at most `limit` allowed.
        TrainAlpha = 87,
        /// `value` epochs, 1 to `limit` allowed.
        TrainEpochs = 88,
        /// A learning rate of `value` billionths; above 0, at most `limit` allowed.
        TrainRate = 89,
        /// Target set `value`, 1 (attention) to `limit` (all) allowed.
        TrainTargets = 90,
        /// Line `value` of the data is not a valid example; the detail says why.
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
        /// With this example, the examples would take `value` bytes; there is room for `limit`.
        ExamplesFull = 97,

        /// The policy has no format of this name.
        UnknownFormat = 110,
        /// The policy does not allow this user's role, or the client, to use this format or choices of its own.
        FormatNotAllowed = 111,
        /// The policy requires a format for requests by the user's role, or from the client.
        FormatNeeded = 112,
        /// Stop strings were given with a format or choices, which already determine where an answer ends.
        FormatAndStops = 113,
        /// Both a format and choices were given; a request may have only one.
        FormatAndChoices = 114,
        /// The model's vocabulary cannot spell the format.
        FormatNotSpelled = 115,
        /// The format's shortest answer takes `value` tokens, `limit` may be generated. Clients get 0 as `value`: only
        /// the log has the number.
        FormatTooLong = 116,
        /// Inference violated the answer's format, or ended it too soon. The offending text is not shown.
        FormatBreach = 117,
        /// Inference continued past a stop string. The offending text is not shown.
        StopBreach = 118,
        /// The model has no chat template, so it only completes texts.
        NoTemplate = 119,
        /// The model's chat template does not support system text.
        NoSystem = 120,
        /// `value` segments, `limit` allowed.
        Segments = 121,
        /// Segment `value` (from 1) has the wrong role. User and assistant alternate, after an optional system text,
        /// and the user is last. A session that continues takes no system text.
        SegmentRole = 122,
        /// The chat template cannot represent the text of segment `value` (from 1); the detail says why.
        SegmentText = 123,
        /// `value` stop strings, `limit` allowed.
        StopStrings = 124,
        /// A stop string of `value` bytes, 1 to `limit` allowed.
        StopBytes = 125,
        /// `value` choices, `limit` allowed.
        Choices = 126,
        /// The choices take `value` bytes together, with a separator between each two; `limit` allowed.
        ChoicesBytes = 127,
        /// Choice `value` (from 1) is empty.
        ChoiceEmpty = 128,
        /// Choice `value` (from 1) is a duplicate.
        ChoiceTwice = 129,
        /// Choice `value` (from 1) contains a line feed.
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
        /// The path names a folder, or cannot be the path of a file.
        BadPath = 136,
        /// The disk is full.
        DiskFull = 137,
        /// The disk cannot be written.
        DiskReadOnly = 138,
        /// More files and folders than are listed; `value`: how many are.
        TooManyFiles = 139,
        /// The file system server cannot do what was asked.
        FilesFailed = 140,
        /// The file system server has not answered within `limit` microseconds, so it gets no more requests.
        FilesSilent = 141,
        /// The file system server has sent `value` answers that nobody asked for; after `limit` of them it gets no more requests.
        FilesBreach = 142,
        /// The file has `value` bytes; there is room for `limit`.
        FileTooLarge = 143,
        /// The file had `limit` bytes when it was opened, and `value` when it was read.
        FileChanged = 144,
        /// The audit log's file lies in several pieces.
        LogScattered = 145,
        /// The audit log's file has `value` bytes, which is too few, too many, or not whole sectors.
        LogFileSize = 146,
        /// `value` files of the disk are not listed: their names are invalid, or there are too many.
        FilesSkipped = 147,

        /// The audit log cannot be written to the disk, and the policy admits nothing without it; `value` is the code of the
        /// reason.
        LogLost = 150,
        /// The audit log's file does not hold a log.
        LogGarbage = 151,
        /// The log on the disk belongs to another device.
        LogOtherDevice = 152,
        /// The log on the disk was begun in a file of `value` sectors; the file has `limit`.
        LogOtherSize = 153,
        /// Entries of the log came faster than the disk could write them.
        LogBehind = 154,
    }
}

impl ErrorCode {
    /// All codes are below this, so an array can count them.
    pub const END: usize = 160;

    /// The code with this number.
    #[must_use]
    pub fn from_u16(code: u16) -> Option<Self> {
        numbered(code)
    }

    /// Whether inference may report this reason. Only audit may report the others, because they have a meaning in its
    /// log.
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

    /// Whether a turn that fails for this reason before its first token leaves its session unchanged, because inference
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

/// `None` is 0, which is no code's number.
impl Wire for Option<ErrorCode> {
    type Layout = U32;

    #[cfg(test)]
    const SHAPE: Shape = Shape::MaybeCode;

    #[inline]
    fn to_wire(&self) -> U32 {
        U32::new(self.map_or(0, |code| code as u32))
    }

    #[inline]
    fn from_wire(layout: &U32) -> Option<Self> {
        match layout.get() {
            0 => Some(None),
            number => numbered(number).map(Some),
        }
    }
}

layout! {
    /// A reason in its wire form: code, value, limit. Fixed size, no floats, no text.
    pub struct Failure [20] {
        /// The reason.
        pub code: ErrorCode,
        /// The offending value; its meaning depends on the code.
        pub value: u64,
        /// The limit that was exceeded; 0 if there is none.
        pub limit: u64,
    }
}

impl Failure {
    /// A failure without value or limit.
    #[must_use]
    pub const fn of(code: ErrorCode) -> Self {
        Self {
            code,
            value: 0,
            limit: 0,
        }
    }

    /// A failure with a value and the limit that it exceeded.
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

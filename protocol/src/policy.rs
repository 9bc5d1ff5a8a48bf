//! Who may do what: the compiled policy, which audit alone reads.
//!
//! `llmtool policy` checks `policy.toml` and writes a [`Policy`] into the file that prefills the region `policy`.
//! Audit checks it again: [`Policy::read`] is total, and what it lets through can be used without further checks.

#[cfg(test)]
mod tests;

use crate::limits::{
    BUDGET_PERIOD_US, CLIENT_COMMANDS, FORMATS_REGION_BYTES, MAX_BUDGET_TOKENS, MAX_CLIENTS,
    MAX_CONTEXT_TOKENS, MAX_FORMATS, MAX_GENERATED_TOKENS, MAX_KDF_KIB, MAX_KDF_PASSES, MAX_KEYS,
    MAX_REQUESTS, MAX_RESTARTS, MAX_ROLES, MAX_SESSIONS, MAX_USERS, MIN_STOP_GRACE_US,
};
use crate::name::UserName;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What the policy begins with.
pub const MAGIC: [u8; 8] = *b"llm-plcy";

/// Version of the format.
pub const POLICY_VERSION: u32 = 7;

/// Size of the region in `system.xml`, and of the file that fills it.
pub const POLICY_REGION_BYTES: usize = 0x1000;

const _: () = assert!(size_of::<Policy>() <= POLICY_REGION_BYTES);

/// What a role may do, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Permission {
    /// Generate text, and see models, adapters and counters.
    Infer = 1,
    /// Load another model, load and drop adapters.
    Load = 2,
    /// Fine-tune; export and forget what was made.
    FineTune = 4,
    /// Change budgets, and see those of others.
    Budget = 8,
    /// Read and verify the audit log.
    Log = 16,
    /// Make audit try again after too many restarts.
    Reset = 32,
    /// End the system for everybody.
    Halt = 64,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Infer,
        Self::Load,
        Self::FineTune,
        Self::Budget,
        Self::Log,
        Self::Reset,
        Self::Halt,
    ];

    /// The bits of all of them: those that a role's permissions can have.
    pub const EVERY: u32 = {
        let (mut bits, mut rest) = (0, Self::ALL.as_slice());
        while let [first, others @ ..] = rest {
            bits |= *first as u32;
            rest = others;
        }
        bits
    };

    /// Its name in `policy.toml` and on the console.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::Load => "load",
            Self::FineTune => "fine-tune",
            Self::Budget => "budget",
            Self::Log => "log",
            Self::Reset => "reset",
            Self::Halt => "halt",
        }
    }

    /// The permission with this bit.
    #[must_use]
    pub const fn from_bit(bit: u64) -> Option<Self> {
        match bit {
            1 => Some(Self::Infer),
            2 => Some(Self::Load),
            4 => Some(Self::FineTune),
            8 => Some(Self::Budget),
            16 => Some(Self::Log),
            32 => Some(Self::Reset),
            64 => Some(Self::Halt),
            _ => None,
        }
    }
}

/// When an entry of the log is on the disk, in a system with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum LogWrite {
    /// An admission before inference hears of the request, and an end before the client hears of it.
    Ahead = 0,
    /// Within about a second.
    Behind = 1,
}

/// What becomes of requests in a system with a disk if the log cannot be written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum LogFailure {
    /// None is admitted.
    Refuse = 0,
    /// The log goes on in memory, and so do they.
    GoOn = 1,
}

/// Name in `formats = [...]` of `policy.toml` for choices that come with a request; no format can be called so.
pub const CHOICES: &str = "choices";

/// Which formats answers may have.
///
/// A role has one and a client has one; [`Policy::format_rule`] combines them. A request that names no format is free
/// text, which a rule forbids only if a format must be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FormatRule {
    /// Bit n: the format with the number n in the region `formats`. Bit [`MAX_FORMATS`]: choices that come with a request.
    allowed: u32,
    /// 1: a request must use one of them.
    must: u32,
}

impl FormatRule {
    const CHOICES: u32 = 1 << MAX_FORMATS;

    /// All formats may be used, and choices, and none need be.
    pub const ANY: Self = Self {
        allowed: (Self::CHOICES << 1).wrapping_sub(1),
        must: 0,
    };

    /// No format may be used, and none need be.
    pub const NONE: Self = Self {
        allowed: 0,
        must: 0,
    };

    /// As this one, and a format may be used as well. A number that no format can have changes nothing.
    #[must_use]
    pub const fn with(self, format: usize) -> Self {
        match format < MAX_FORMATS {
            true => Self {
                allowed: self.allowed | 1 << format,
                ..self
            },
            false => self,
        }
    }

    /// As this one, and requests may bring choices.
    #[must_use]
    pub const fn with_choices(self) -> Self {
        Self {
            allowed: self.allowed | Self::CHOICES,
            ..self
        }
    }

    /// As this one, but a request must use a format.
    #[must_use]
    pub const fn with_must(self) -> Self {
        Self { must: 1, ..self }
    }

    /// Whether a format may be used, by its number in the region `formats`.
    #[must_use]
    pub const fn allows(self, format: usize) -> bool {
        format < MAX_FORMATS && self.allowed & 1 << format != 0
    }

    /// Whether a request may bring choices.
    #[must_use]
    pub const fn allows_choices(self) -> bool {
        self.allowed & Self::CHOICES != 0
    }

    /// Whether a request must use a format, or bring choices.
    #[must_use]
    pub const fn must_use(self) -> bool {
        self.must != 0
    }

    /// Whether neither a format may be used nor choices.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.allowed == 0
    }

    /// What both allow, with a format if either says that one must be used.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            allowed: self.allowed & other.allowed,
            must: self.must | other.must,
        }
    }

    /// Whether it is about no more than `formats` formats.
    const fn fits(self, formats: u32) -> bool {
        let named = match 1u32.checked_shl(formats) {
            Some(next) => next.wrapping_sub(1) | Self::CHOICES,
            None => 0,
        };
        (self.allowed == Self::ANY.allowed || self.allowed & !named == 0) && self.must <= 1
    }
}

/// What users of a role may do, and how much of it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Role {
    /// Its name.
    pub name: UserName,
    /// Bits of [`Permission`].
    pub permissions: u32,
    /// Most tokens that one request may generate.
    pub max_tokens: u32,
    /// Most sessions that a user may have, those of single requests included.
    pub max_sessions: u32,
    /// Bytes of the audit log that the entries of a user of this role may take in an hour, and at once: nobody can push
    /// out what others did faster than that.
    pub log_bytes_per_hour: u32,
    /// Which formats its users' answers may have.
    pub formats: FormatRule,
}

impl Role {
    /// Whether it may.
    #[must_use]
    pub const fn may(&self, permission: Permission) -> bool {
        self.permissions & permission as u32 != 0
    }
}

/// Argon2id of a passphrase (RFC 9106), one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PassphraseHash {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it; 0: there is no passphrase.
    pub passes: u32,
    /// Salt.
    pub salt: [u8; 16],
    /// Result.
    pub hash: [u8; 32],
}

/// A user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct User {
    /// The name to log in with.
    pub name: UserName,
    /// Tokens (of prompts and generated) in a period.
    pub budget_tokens: u64,
    /// The period in microseconds.
    pub budget_period_us: u64,
    /// Index of the role.
    pub role: u32,
    /// Zero.
    pub reserved: u32,
    /// The passphrase.
    pub passphrase: PassphraseHash,
}

/// A client: a domain with a channel and a pair of rings to audit.
///
/// What the clients may have at once adds up to no more than there is, so each client's part is its own whatever the
/// others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Client {
    /// Name of its domain in `system.xml`.
    pub name: UserName,
    /// Audit's number of its channel. It alone says who asks.
    pub channel: u32,
    /// Index of the user that it is; of a client that may log in, until it does and after a logout.
    pub user: u32,
    /// 1: it may log in as another user.
    pub login: u32,
    /// Most requests of it that are admitted and not over.
    pub requests: u32,
    /// Most sessions of it, those of single requests included.
    pub sessions: u32,
    /// Most messages of it that inference has not read.
    pub commands: u32,
    /// Which formats answers to it may have, whoever asks there.
    pub formats: FormatRule,
}

/// A key whose signatures on models are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TrustedKey {
    /// What people call it.
    pub name: UserName,
    /// Ed25519 public key (RFC 8032).
    pub public: [u8; 32],
}

/// The key that this device signs with what it makes: an Ed25519 secret key (RFC 8032), which audit alone reads.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub struct DeviceKey(pub [u8; 32]);

impl DeviceKey {
    /// No key: this device signs nothing, so it makes nothing.
    pub const NONE: Self = Self([0; 32]);
}

/// Nothing shows it.
impl core::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match *self {
            Self::NONE => "DeviceKey(none)",
            _ => "DeviceKey(secret)",
        })
    }
}

/// The policy. Of the arrays, as many as the counts say are in use; the rest is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Policy {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`POLICY_VERSION`].
    pub version: u32,
    /// 1: records hold prompts as text; 0: only their SHA-256.
    pub keep_prompts: u32,
    /// How long an inference may take, in microseconds.
    pub deadline_us: u64,
    /// How long a fine-tuning may take, in microseconds.
    pub train_deadline_us: u64,
    /// How long inference has to obey a stop, in microseconds.
    pub stop_grace_us: u64,
    /// Restarts of inference within [`Self::restart_window_us`] after which audit stops trying.
    pub max_restarts: u32,
    /// Clients in use.
    pub client_count: u32,
    /// In microseconds.
    pub restart_window_us: u64,
    /// Payload bytes that may leave inference in a second, on average.
    pub egress_bytes_per_second: u32,
    /// Payload bytes that may leave it at once.
    pub egress_burst_bytes: u32,
    /// Wait after the first login that failed, in microseconds; it doubles with each more.
    pub login_delay_us: u64,
    /// The longest wait.
    pub login_delay_max_us: u64,
    /// Roles in use.
    pub role_count: u32,
    /// Users in use.
    pub user_count: u32,
    /// Keys in use.
    pub key_count: u32,
    /// Context that models are loaded with, in tokens; a model's own applies where it is smaller.
    pub context_tokens: u32,
    /// 1: what users write may become tokens that the model's vocabulary marks as user-defined; 0: it becomes ordinary
    /// tokens only.
    pub user_defined: u32,
    /// Formats in the region `formats`.
    pub format_count: u32,
    /// Bytes at the beginning of that region which hold them; 0 without formats.
    pub formats_bytes: u32,
    /// When an entry of the log is on the disk, in a system with one: [`LogWrite`].
    pub log_write: u32,
    /// What becomes of requests if it cannot be: [`LogFailure`].
    pub log_on_failure: u32,
    /// Zero.
    pub reserved: u32,
    /// SHA-256 of these bytes; zeros without formats.
    pub formats_sha256: [u8; 32],
    /// What adapters that are made here are signed with.
    pub device_key: DeviceKey,
    /// Roles.
    pub roles: [Role; MAX_ROLES],
    /// Users.
    pub users: [User; MAX_USERS],
    /// Keys.
    pub keys: [TrustedKey; MAX_KEYS],
    /// Clients.
    pub clients: [Client; MAX_CLIENTS],
}

/// Why bytes are no policy. The numbers are what [`crate::error::ErrorCode::BadPolicy`] has as its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u16)]
pub enum PolicyError {
    /// The region is too small.
    #[error("the region is too small for a policy")]
    Size = 1,
    /// It does not begin with [`MAGIC`].
    #[error("this is no policy; see 'llmtool policy'")]
    Magic = 2,
    /// Another version.
    #[error("a policy of another version; compile it anew")]
    Version = 3,
    /// More roles, users, keys or formats than there can be, or no role or user.
    #[error("no roles or users, or more of something than the limits allow")]
    Count = 4,
    /// A name that is none, or that two have.
    #[error("a name is missing, wrong, or there twice")]
    Name = 5,
    /// A user's role, or a client's user, does not exist, or a client's user has a passphrase.
    #[error("a role or a client's user does not exist, or a client's user has a passphrase")]
    Reference = 6,
    /// A number is out of its range.
    #[error("a number is out of its range")]
    Range = 7,
    /// The formats in their region are not those that the policy was compiled with.
    #[error("the formats in their region are not those of the policy: compile both together")]
    Formats = 8,
}

impl Policy {
    /// Reads and checks the policy at the beginning of `bytes`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, PolicyError> {
        let (policy, _) = Self::read_from_prefix(bytes).map_err(|_| PolicyError::Size)?;
        policy.check()?;
        Ok(policy)
    }

    /// When an entry of the log is on the disk.
    #[must_use]
    pub const fn log_write(&self) -> LogWrite {
        match self.log_write {
            0 => LogWrite::Ahead,
            _ => LogWrite::Behind,
        }
    }

    /// What becomes of requests if it cannot be.
    #[must_use]
    pub const fn log_on_failure(&self) -> LogFailure {
        match self.log_on_failure {
            0 => LogFailure::Refuse,
            _ => LogFailure::GoOn,
        }
    }

    /// Roles in use.
    #[must_use]
    pub fn roles(&self) -> &[Role] {
        self.roles.get(..self.role_count as usize).unwrap_or(&[])
    }

    /// Users in use.
    #[must_use]
    pub fn users(&self) -> &[User] {
        self.users.get(..self.user_count as usize).unwrap_or(&[])
    }

    /// Keys in use.
    #[must_use]
    pub fn keys(&self) -> &[TrustedKey] {
        self.keys.get(..self.key_count as usize).unwrap_or(&[])
    }

    /// Clients in use.
    #[must_use]
    pub fn clients(&self) -> &[Client] {
        self.clients
            .get(..self.client_count as usize)
            .unwrap_or(&[])
    }

    /// Which formats an answer may have that a user of `role` asks for at `client`, both by their index. Of a role or a
    /// client that is not there: none, and one must be used.
    #[must_use]
    pub fn format_rule(&self, role: usize, client: usize) -> FormatRule {
        let role = self.roles().get(role).map(|role| role.formats);
        let client = self.clients().get(client).map(|client| client.formats);
        match (role, client) {
            (Some(role), Some(client)) => role.and(client),
            _ => FormatRule::NONE.with_must(),
        }
    }

    /// Checks what [`Self::read`] promises.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), PolicyError> {
        let require = |condition, error| if condition { Ok(()) } else { Err(error) };
        require(self.magic == MAGIC, PolicyError::Magic)?;
        require(self.version == POLICY_VERSION, PolicyError::Version)?;
        let counts = [
            (self.role_count, 1, MAX_ROLES),
            (self.user_count, 1, MAX_USERS),
            (self.key_count, 0, MAX_KEYS),
            (self.client_count, 0, MAX_CLIENTS),
            (self.format_count, 0, MAX_FORMATS),
        ];
        for (count, least, most) in counts {
            require(
                (least..=most).contains(&(count as usize)),
                PolicyError::Count,
            )?;
        }
        require(
            distinct(self.roles().iter().map(|r| &r.name)),
            PolicyError::Name,
        )?;
        require(
            distinct(self.users().iter().map(|u| &u.name)),
            PolicyError::Name,
        )?;
        require(
            distinct(self.keys().iter().map(|k| &k.name)),
            PolicyError::Name,
        )?;
        let positive = self.deadline_us > 0
            && self.train_deadline_us > 0
            && self.stop_grace_us >= MIN_STOP_GRACE_US
            && self.restart_window_us > 0
            && (1..=MAX_CONTEXT_TOKENS).contains(&(self.context_tokens as usize))
            && (1..=MAX_RESTARTS).contains(&(self.max_restarts as usize))
            && self.egress_bytes_per_second > 0
            // One event of the greatest length must find room.
            && self.egress_burst_bytes as usize >= MIN_EGRESS_BURST_BYTES
            && self.login_delay_us > 0
            && self.login_delay_us <= self.login_delay_max_us
            && self.keep_prompts <= 1
            && self.log_write <= LogWrite::Behind as u32
            && self.log_on_failure <= LogFailure::GoOn as u32
            && self.user_defined <= 1;
        require(positive, PolicyError::Range)?;
        let formats = match self.format_count {
            0 => self.formats_bytes == 0 && self.formats_sha256 == [0; 32],
            _ => (1..=FORMATS_REGION_BYTES).contains(&(self.formats_bytes as usize)),
        };
        require(formats, PolicyError::Range)?;
        for role in self.roles() {
            let fits = role.permissions & !Permission::EVERY == 0
                && (1..=MAX_GENERATED_TOKENS).contains(&role.max_tokens)
                && (1..=MAX_SESSIONS).contains(&(role.max_sessions as usize))
                && role.log_bytes_per_hour >= MIN_LOG_BYTES_PER_HOUR
                && role.formats.fits(self.format_count);
            require(fits, PolicyError::Range)?;
        }
        for user in self.users() {
            require(user.role < self.role_count, PolicyError::Reference)?;
            let PassphraseHash {
                memory_kib, passes, ..
            } = user.passphrase;
            // Argon2 wants eight blocks of 1 KiB for its lane.
            let fits = user.budget_tokens <= MAX_BUDGET_TOKENS
                && BUDGET_PERIOD_US.contains(&user.budget_period_us)
                && passes <= MAX_KDF_PASSES
                && (passes == 0 || (8..=MAX_KDF_KIB).contains(&memory_kib));
            require(fits, PolicyError::Range)?;
        }
        self.check_clients()
    }

    fn check_clients(&self) -> Result<(), PolicyError> {
        let require = |condition, error| if condition { Ok(()) } else { Err(error) };
        let clients = self.clients();
        require(distinct(clients.iter().map(|c| &c.name)), PolicyError::Name)?;
        for (index, client) in clients.iter().enumerate() {
            let others = clients.iter().take(index);
            let own = !others.clone().any(|other| other.channel == client.channel);
            let fits = own
                && client.login <= 1
                && client.requests > 0
                && client.sessions > 0
                && client.commands > 0
                && client.formats.fits(self.format_count);
            require(fits, PolicyError::Range)?;
            // Nobody types a passphrase for it.
            let user = self.users().get(client.user as usize);
            let open = user.is_some_and(|user| user.passphrase.passes == 0);
            require(open, PolicyError::Reference)?;
        }
        let sum = |part: fn(&Client) -> u32| {
            let all = clients.iter().map(|client| u64::from(part(client)));
            all.fold(0, u64::saturating_add)
        };
        let adds_up = sum(|c| c.requests) <= MAX_REQUESTS as u64
            && sum(|c| c.sessions) <= MAX_SESSIONS as u64
            && sum(|c| c.commands) <= CLIENT_COMMANDS as u64;
        require(adds_up, PolicyError::Range)
    }
}

/// Least burst of the egress cap: several events of the greatest length, so that a cap cannot stop an honest inference.
pub const MIN_EGRESS_BURST_BYTES: usize = 1024;

/// Least share of the audit log in bytes an hour (64 KiB): what the largest request with its prompt's text takes, several
/// times over.
pub const MIN_LOG_BYTES_PER_HOUR: u32 = 64 << 10;

/// Whether all are names, and no two the same.
fn distinct<'a>(names: impl Iterator<Item = &'a UserName> + Clone) -> bool {
    names.clone().enumerate().all(|(i, name)| {
        name.check() && !name.is_empty() && !names.clone().take(i).any(|other| other == name)
    })
}

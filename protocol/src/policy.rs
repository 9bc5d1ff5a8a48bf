//! Permissions and limits: the compiled policy, which only audit reads.
//!
//! `llmtool policy` checks `policy.toml` and writes a [`Policy`] into the file that prefills the region `policy`. Audit
//! checks it again: [`Policy::read`] is total, and its result needs no further checks.

mod formats;
mod members;
mod permission;
#[cfg(test)]
mod tests;

pub use formats::{CHOICES, FormatRule};
pub use members::{Client, DeviceKey, PassphraseHash, Role, TrustedKey, User};
pub use permission::{LogFailure, LogWrite, Permission};

use crate::limits::{
    BUDGET_PERIOD_US, CLIENT_COMMANDS, FORMATS_REGION_BYTES, MAX_BUDGET_TOKENS, MAX_CLIENTS,
    MAX_CONTEXT_TOKENS, MAX_FORMATS, MAX_GENERATED_TOKENS, MAX_KDF_KIB, MAX_KDF_PASSES, MAX_KEYS,
    MAX_REQUESTS, MAX_RESTARTS, MAX_ROLES, MAX_SESSIONS, MAX_USERS, MIN_STOP_GRACE_US,
};
use crate::name::UserName;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The first bytes of a policy.
pub const MAGIC: [u8; 8] = *b"llm-plcy";

/// Version of the format.
pub const POLICY_VERSION: u32 = 7;

/// Size of the region in `system.xml`, and of the file that fills it.
pub const POLICY_REGION_BYTES: usize = 0x1000;

const _: () = assert!(size_of::<Policy>() <= POLICY_REGION_BYTES);

/// The policy. Each count says how many elements of its array are in use; the others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Policy {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`POLICY_VERSION`].
    pub version: u32,
    /// 1: records hold prompts as text; 0: only their SHA-256.
    pub keep_prompts: u32,
    /// Time limit of a request for text, in microseconds.
    pub deadline_us: u64,
    /// Time limit of a fine-tuning job, in microseconds.
    pub train_deadline_us: u64,
    /// Time that inference has to obey a stop, in microseconds.
    pub stop_grace_us: u64,
    /// Number of restarts of inference within [`Self::restart_window_us`] after which audit stops trying.
    pub max_restarts: u32,
    /// Number of clients.
    pub client_count: u32,
    /// The window, in microseconds.
    pub restart_window_us: u64,
    /// Average limit of the payload bytes per second that may leave inference.
    pub egress_bytes_per_second: u32,
    /// Payload bytes that may leave inference in a burst.
    pub egress_burst_bytes: u32,
    /// Wait after the first failed login, in microseconds; each further failure doubles it.
    pub login_delay_us: u64,
    /// The longest wait, in microseconds.
    pub login_delay_max_us: u64,
    /// Number of roles.
    pub role_count: u32,
    /// Number of users.
    pub user_count: u32,
    /// Number of keys.
    pub key_count: u32,
    /// Context that models are loaded with, in tokens, unless the model's own is smaller.
    pub context_tokens: u32,
    /// 1: text from users may become tokens that the model's vocabulary marks as user-defined. 0: it becomes only
    /// ordinary tokens.
    pub user_defined: u32,
    /// Number of formats in the region `formats`.
    pub format_count: u32,
    /// Bytes of the formats at the beginning of that region; 0 without formats.
    pub formats_bytes: u32,
    /// When an entry of the log is on the disk, in a system with one: [`LogWrite`].
    pub log_write: u32,
    /// What becomes of requests if it cannot be: [`LogFailure`].
    pub log_on_failure: u32,
    /// Zero.
    pub reserved: u32,
    /// SHA-256 of these bytes; zeros without formats.
    pub formats_sha256: [u8; 32],
    /// The key that signs adapters made on this device.
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

/// Why bytes are not a valid policy. The numbers are the values of [`crate::error::ErrorCode::BadPolicy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u16)]
pub enum PolicyError {
    /// The region is too small.
    #[error("the region is too small for a policy")]
    Size = 1,
    /// The bytes do not begin with [`MAGIC`].
    #[error("these bytes are not a policy: compile one with 'llmtool policy'")]
    Magic = 2,
    /// The policy has another version.
    #[error("a policy of another version; compile it anew")]
    Version = 3,
    /// There are more roles, users, keys or formats than allowed, or no role or user.
    #[error("no roles or users, or more of something than the limits allow")]
    Count = 4,
    /// A name is invalid or used twice.
    #[error("a name is missing, invalid, or used twice")]
    Name = 5,
    /// A user's role, or a client's user, does not exist, or a client's user has a passphrase.
    #[error("a role or a client's user does not exist, or a client's user has a passphrase")]
    Reference = 6,
    /// A number is out of its range.
    #[error("a number is out of its range")]
    Range = 7,
    /// The formats in their region are not the ones that the policy was compiled with.
    #[error("the formats in their region are not those of the policy: compile both together")]
    Formats = 8,
}

impl Policy {
    /// Reads and checks the policy at the beginning of `bytes`.
    ///
    /// # Errors
    /// The policy is not valid.
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

    /// The users.
    #[must_use]
    pub fn users(&self) -> &[User] {
        self.users.get(..self.user_count as usize).unwrap_or(&[])
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[TrustedKey] {
        self.keys.get(..self.key_count as usize).unwrap_or(&[])
    }

    /// The clients.
    #[must_use]
    pub fn clients(&self) -> &[Client] {
        self.clients
            .get(..self.client_count as usize)
            .unwrap_or(&[])
    }

    /// The format rule for a user of `role` at `client`, both given as indices. If either does not exist, the rule
    /// allows no format and requires one.
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
    /// The first rule that is broken.
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
            // There must be room for one event of the maximum length.
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
            // Argon2 needs eight blocks of 1 KiB for its lane.
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
            // Nobody could type a passphrase there.
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

/// Smallest burst of the egress cap: several events of the maximum length, so that a cap cannot stop honest inference.
pub const MIN_EGRESS_BURST_BYTES: usize = 1024;

/// Smallest share of the audit log in bytes per hour (64 KiB), several times the entry of the largest request including
/// its prompt.
pub const MIN_LOG_BYTES_PER_HOUR: u32 = 64 << 10;

/// Whether all are valid names and distinct.
fn distinct<'a>(names: impl Iterator<Item = &'a UserName> + Clone) -> bool {
    names.clone().enumerate().all(|(i, name)| {
        name.check() && !name.is_empty() && !names.clone().take(i).any(|other| other == name)
    })
}

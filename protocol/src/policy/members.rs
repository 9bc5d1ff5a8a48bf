//! Roles, users, clients and keys.

use super::formats::FormatRule;
use super::permission::Permission;
use crate::name::UserName;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Permissions and limits of the users of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Role {
    /// The role's name.
    pub name: UserName,
    /// Bits of [`Permission`].
    pub permissions: u32,
    /// Maximum number of tokens that a request may generate.
    pub max_tokens: u32,
    /// Maximum number of sessions of a user, including those of single requests.
    pub max_sessions: u32,
    /// Bytes of the audit log that the entries of a user of this role may take per hour, and at once. It limits how
    /// fast anybody can push out the entries of others.
    pub log_bytes_per_hour: u32,
    /// Formats that answers to its users may have.
    pub formats: FormatRule,
}

impl Role {
    /// Whether the role has this permission.
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
    /// Passes over the memory; 0 means that there is no passphrase.
    pub passes: u32,
    /// The salt.
    pub salt: [u8; 16],
    /// The resulting hash.
    pub hash: [u8; 32],
}

/// A user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct User {
    /// The name to log in with.
    pub name: UserName,
    /// Tokens per period, of prompts and generated text.
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
/// The clients' limits add up to no more than the total, so each client has its share whatever the others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Client {
    /// Name of its domain in `system.xml`.
    pub name: UserName,
    /// Audit's number for the client's channel. Only this identifies the sender.
    pub channel: u32,
    /// Index of the client's user. A client that may log in is this user until it does, and after a logout.
    pub user: u32,
    /// 1: the client may log in as another user.
    pub login: u32,
    /// Maximum number of its requests in flight.
    pub requests: u32,
    /// Maximum number of its sessions, including those of single requests.
    pub sessions: u32,
    /// Maximum number of its messages that inference has not read.
    pub commands: u32,
    /// Formats that answers to this client may have, whichever user asks.
    pub formats: FormatRule,
}

/// A key whose signatures on models are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TrustedKey {
    /// The key's name.
    pub name: UserName,
    /// Ed25519 public key (RFC 8032).
    pub public: [u8; 32],
}

/// The key that this device signs its products with: an Ed25519 secret key (RFC 8032), which only audit reads.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub struct DeviceKey(pub [u8; 32]);

impl DeviceKey {
    /// No key: this device signs nothing, so it can make no adapters.
    pub const NONE: Self = Self([0; 32]);
}

/// Hides the key.
impl core::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match *self {
            Self::NONE => "DeviceKey(none)",
            _ => "DeviceKey(secret)",
        })
    }
}

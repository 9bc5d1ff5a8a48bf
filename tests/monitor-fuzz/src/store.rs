//! Random stores and policies.

mod contents;

use crate::dice::Dice;
use crate::formats::FORMATS;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use contents::any_store;
use ed25519_dalek::SigningKey;
use protocol::hash::Hash;
use protocol::limits::{
    CLIENT_COMMANDS, MAX_CLIENTS, MAX_REQUESTS, MAX_SESSIONS, MIN_STOP_GRACE_US,
};
use protocol::name::{ModelName, UserName};
use protocol::policy::{
    Client, DeviceKey, FormatRule, MIN_LOG_BYTES_PER_HOUR, PassphraseHash, Permission, Policy,
    Role, TrustedKey, User,
};
use protocol::wire::client::FormatEntry;
use sha2::{Digest as _, Sha256};

/// The state of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// By a trusted key.
    Well,
    /// By another key, or over other bytes.
    Badly,
    /// There is no signature.
    Missing,
}

/// A model, an adapter or training data of a store.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// Its name without the suffix.
    pub name: ModelName,
    /// Its offset.
    pub offset: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Hash,
    /// Its signature.
    pub signed: Signed,
    /// Whether the device's key has signed it.
    pub by_device: bool,
    /// Number of line feeds in it.
    pub line_feeds: u64,
}

/// An archive and its contents.
#[derive(Debug)]
pub struct AnyStore {
    /// The archive.
    pub bytes: Vec<u8>,
    /// Its models; `None` if it is not an archive.
    pub models: Option<Vec<ModelFile>>,
    /// Adapters.
    pub adapters: Vec<ModelFile>,
    /// Training data.
    pub data: Vec<ModelFile>,
}

/// Key of the device in every policy that has one.
pub const DEVICE: u8 = 9;

const SECONDS: u64 = 1_000_000;

/// Stores and passphrases, made once because signatures take time.
#[derive(Debug)]
pub struct Fixtures {
    stores: Vec<AnyStore>,
    hashes: Vec<PassphraseHash>,
    /// The region of formats, for policies that have any.
    pub formats: Vec<u8>,
    /// The formats as they are listed.
    pub listed: Vec<FormatEntry>,
}

/// The users' passphrases, by index.
pub const PASSPHRASES: [&[u8]; 6] = [b"", b"secret one", b"", b"secret three", b"s", b"five"];

/// A key.
#[must_use]
pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

impl Fixtures {
    /// Makes all of them.
    ///
    /// # Panics
    /// An archive cannot be made in memory.
    #[must_use]
    pub fn new() -> Self {
        let hash = |passphrase: &&[u8]| {
            let mut made = PassphraseHash {
                memory_kib: 8,
                passes: 1,
                salt: *b"sixteen bytes...",
                hash: [0; 32],
            };
            if passphrase.is_empty() {
                made.passes = 0;
                return made;
            }
            let params = Params::new(8, 1, 1, Some(32)).expect("parameters of Argon2");
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let mut memory = vec![Block::new(); 8];
            argon2
                .hash_password_into_with_memory(
                    passphrase,
                    &made.salt,
                    &mut made.hash,
                    &mut memory[..],
                )
                .expect("a hash");
            made
        };
        let (formats, listed) = crate::formats::compiled();
        Self {
            formats,
            listed,
            stores: (0..16).map(any_store).collect(),
            hashes: PASSPHRASES.iter().map(hash).collect(),
        }
    }

    /// A random store; the one that is not an archive is rare.
    #[must_use]
    pub fn store(&self, dice: &mut Dice) -> &AnyStore {
        match dice.below(40) {
            0 => &self.stores[0],
            _ => &self.stores[dice.within(1, self.stores.len() as u64 - 1) as usize],
        }
    }

    /// A random valid policy.
    #[must_use]
    pub fn policy(&self, dice: &mut Dice) -> Policy {
        let mut policy = protocol::testing::policy();
        policy.keep_prompts = u32::from(dice.percent(50));
        policy.deadline_us = match dice.below(4) {
            0 => dice.within(20_000, 2 * SECONDS),
            1 => 30 * SECONDS,
            _ => dice.within(SECONDS, 20 * SECONDS),
        };
        policy.train_deadline_us = match dice.below(3) {
            0 => dice.within(20_000, 2 * SECONDS),
            _ => dice.within(SECONDS, 100 * SECONDS),
        };
        policy.device_key = match dice.below(20) {
            0 => DeviceKey::NONE,
            _ => DeviceKey([DEVICE; 32]),
        };
        policy.stop_grace_us = match dice.below(3) {
            0 => 250_000,
            1 => dice.within(MIN_STOP_GRACE_US, 60_000),
            _ => dice.within(20_000, 3 * SECONDS),
        };
        policy.max_restarts = dice.within(1, 7) as u32;
        policy.restart_window_us = dice.within(SECONDS, 120 * SECONDS);
        (policy.egress_bytes_per_second, policy.egress_burst_bytes) = match dice.below(4) {
            0 => (dice.within(60, 600) as u32, dice.within(1024, 2000) as u32),
            1 => (
                dice.within(500, 5000) as u32,
                dice.within(1024, 9000) as u32,
            ),
            _ => (1 << 20, 1 << 20),
        };
        policy.login_delay_us = dice.within(1, 2 * SECONDS);
        policy.login_delay_max_us = policy.login_delay_us * dice.within(1, 40);
        policy.role_count = 3;
        policy.user_count = PASSPHRASES.len() as u32;
        for (place, role) in policy.roles.iter_mut().take(3).enumerate() {
            *role = Role {
                name: UserName::new(&format!("role{place}")).unwrap_or_default(),
                permissions: match dice.below(5) {
                    0 => dice.below(u64::from(Permission::EVERY) + 1) as u32,
                    1 => 1,
                    _ => Permission::EVERY,
                },
                max_tokens: *dice.pick(&[1, 4, 30, 512, 512, 512]),
                max_sessions: *dice.pick(&[1, 2, 5, MAX_SESSIONS as u32, MAX_SESSIONS as u32]),
                log_bytes_per_hour: match dice.below(4) {
                    0 => dice.within(u64::from(MIN_LOG_BYTES_PER_HOUR), 1 << 18) as u32,
                    _ => 1 << 30,
                },
                formats: FormatRule::ANY,
            };
        }
        if dice.percent(70) {
            policy.roles[0].permissions = Permission::EVERY;
        }
        for (place, user) in policy.users.iter_mut().take(PASSPHRASES.len()).enumerate() {
            *user = User {
                name: UserName::new(&format!("user{place}")).unwrap_or_default(),
                budget_tokens: match dice.below(6) {
                    0 => dice.below(400),
                    1 => dice.below(5000),
                    _ => dice.within(10_000, 1 << 40),
                },
                budget_period_us: match dice.below(3) {
                    0 => dice.within(SECONDS, 10 * SECONDS),
                    1 => dice.within(SECONDS, 100 * SECONDS),
                    _ => 3600 * SECONDS,
                },
                role: if place == 0 { 0 } else { dice.below(3) as u32 },
                reserved: 0,
                passphrase: self.hashes[place],
            };
        }
        policy.user_defined = u32::from(dice.percent(50));
        if dice.percent(85) {
            policy.format_count = FORMATS.len() as u32;
            policy.formats_bytes = self.formats.len() as u32;
            policy.formats_sha256 = Sha256::digest(&self.formats).into();
            if dice.percent(1) {
                // As if the image had been built with other formats.
                policy.formats_sha256[7] ^= 1;
            }
        }
        let count = policy.format_count as usize;
        for role in policy.roles.iter_mut().take(3) {
            role.formats = any_rule(count, dice);
        }
        policy.context_tokens = dice.within(1, 1 << 17) as u32;
        policy.key_count = 2;
        for seed in [1, 2] {
            policy.keys[seed as usize - 1] = TrustedKey {
                name: UserName::new(&format!("key{seed}")).unwrap_or_default(),
                public: key(seed).verifying_key().to_bytes(),
            };
        }
        policy
    }
}

/// Totals that the clients share: requests, sessions, commands.
const PARTS: [u32; 3] = [
    MAX_REQUESTS as u32,
    MAX_SESSIONS as u32,
    CLIENT_COMMANDS as u32,
];

/// Users without a passphrase, one of whom is a client's own.
const OPEN_USERS: [u32; 2] = [0, 2];

/// Changes a policy for a workshop: every user may make adapters, and no budget runs out.
pub fn equip_workshop(policy: &mut Policy) {
    policy.device_key = DeviceKey([DEVICE; 32]);
    policy.train_deadline_us = 100 * SECONDS;
    policy.stop_grace_us = 250_000;
    (policy.egress_bytes_per_second, policy.egress_burst_bytes) = (1 << 20, 1 << 20);
    let count = policy.role_count as usize;
    for role in policy.roles.iter_mut().take(count) {
        role.permissions = Permission::EVERY & !(Permission::Halt as u32);
        role.log_bytes_per_hour = 1 << 30;
    }
    let count = policy.user_count as usize;
    for user in policy.users.iter_mut().take(count) {
        (user.budget_tokens, user.budget_period_us) = (1 << 40, 3600 * SECONDS);
    }
}

/// Adds clients to the policy, and returns the channels. The policy names most of the clients on them, each with its
/// own limits.
#[must_use]
pub fn clients(policy: &mut Policy, dice: &mut Dice) -> Vec<u8> {
    let count = match dice.below(30) {
        0 => 0,
        1..=5 => 1,
        6..=15 => 2,
        16..=22 => 3,
        _ => MAX_CLIENTS,
    };
    let mut channels: Vec<u8> = Vec::new();
    while channels.len() < count {
        let channel = dice.below(62) as u8;
        // Two clients on one channel are a mistake in the description.
        if !channels.contains(&channel) || dice.percent(1) {
            channels.push(channel);
        }
    }
    policy.clients = zerocopy::FromZeros::new_zeroed();
    let mut named: Vec<u8> = channels.clone();
    named.sort_unstable();
    named.dedup();
    named.retain(|_| !dice.percent(6));
    if named.len() < MAX_CLIENTS && dice.percent(10) {
        // A client that does not exist.
        named.push(63);
    }
    // The policy names them in another order than audit has them.
    let turned = dice.below(named.len() as u64) as usize;
    named.rotate_left(turned);
    let parts = PARTS.map(|most| parts(most, named.len(), dice));
    for (place, channel) in named.iter().enumerate() {
        policy.clients[place] = Client {
            name: UserName::new(&format!("client{place}")).unwrap_or_default(),
            channel: u32::from(*channel),
            user: *dice.pick(&OPEN_USERS),
            login: u32::from(dice.percent(60)),
            requests: parts[0][place],
            sessions: parts[1][place],
            commands: parts[2][place],
            formats: any_rule(policy.format_count as usize, dice),
        };
    }
    policy.client_count = named.len() as u32;
    channels
}

/// Which of this many formats may be used: usually all.
fn any_rule(formats: usize, dice: &mut Dice) -> FormatRule {
    let mut rule = match dice.percent(70) {
        true => FormatRule::ANY,
        false => FormatRule::NONE,
    };
    for format in 0..formats {
        if dice.percent(60) {
            rule = rule.with(format);
        }
    }
    if dice.percent(60) {
        rule = rule.with_choices();
    }
    match dice.percent(10) {
        true => rule.with_must(),
        false => rule,
    }
}

/// Divides `most` into `count` random parts of at least one.
fn parts(most: u32, count: usize, dice: &mut Dice) -> Vec<u32> {
    let mut left = u64::from(most);
    let mut parts = Vec::new();
    for place in 0..count {
        let others = (count - place - 1) as u64;
        let part = match dice.below(4) {
            0 => dice.within(1, 3),
            1 => left,
            _ => left / (others + 1),
        };
        let part = part.clamp(1, left - others);
        left -= part;
        parts.push(part as u32);
    }
    parts
}

impl Default for Fixtures {
    fn default() -> Self {
        Self::new()
    }
}

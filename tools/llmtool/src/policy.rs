//! Compiles `policy.toml` into audit's binary form ([`protocol::policy`]), with the channels of its clients from the
//! system description.
//!
//! Everything that [`Policy::check`] would refuse is found here first, with its line, as are mistakes that are possible
//! only in the source: unknown members, references, hashes, keys.

mod clients;
mod document;
mod formats;
mod members;
mod warnings;
mod words;

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;

use ed25519_dalek::{SigningKey, VerifyingKey};
use llm_core::hash::sha256;
use protocol::limits::{
    DEFAULT_CONTEXT_TOKENS, MAX_CLIENTS, MAX_CONTEXT_TOKENS, MAX_KEYS, MAX_RESTARTS, MAX_ROLES,
    MAX_USERS, MIN_STOP_GRACE_US, TRAIN_DEADLINE_US,
};
use protocol::name::UserName;
use protocol::policy::{
    self as wire, DeviceKey, LogFailure, LogWrite, MIN_EGRESS_BURST_BYTES, Permission, Policy,
};
use toml::Spanned;
use zerocopy::FromZeros;

use crate::error::KeyError;
use crate::error::ToolError;
use crate::{files, keys};
use clients::Mismatch;
use document::{Document, Duration, Flaw, Prompts};

pub use formats::Format;
use members::{compile_key, compile_role, compile_user, in_order};
use warnings::warnings;
pub use words::{Words, leak_bits_per_hour};

/// The passphrase in the shipped policy, which everybody knows: it lets a first run work without set-up.
const DEMO_PASSPHRASE: &[u8] = b"sel4";

/// A compiled policy, with warnings for its author.
#[derive(Debug)]
pub struct Compiled {
    /// The policy for audit. Without a description the clients' channels are unknown, and are numbered in order.
    pub policy: Policy,
    /// Whether the channels come from a description.
    pub connected: bool,
    /// The formats of answers, in the order of the policy.
    pub formats: Vec<Format>,
    /// Settings that are allowed but dangerous, with their lines.
    pub warnings: Vec<String>,
}

impl Compiled {
    /// The keys that the policy trusts, with their names.
    #[must_use]
    pub fn trusted_keys(&self) -> Vec<(String, VerifyingKey)> {
        let keys = self.policy.keys().iter();
        // Invalid keys were refused when the policy was compiled.
        keys.filter_map(|key| Some((key.name.to_string(), keys::public(&key.public).ok()?)))
            .collect()
    }

    /// The public half of the device's key, if it has one.
    #[must_use]
    pub fn device_key(&self) -> Option<VerifyingKey> {
        let DeviceKey(secret) = &self.policy.device_key;
        (self.policy.device_key != DeviceKey::NONE)
            .then(|| SigningKey::from_bytes(secret).verifying_key())
    }

    /// The content of the policy's region. It contains the device's secret key, if there is one.
    ///
    /// # Errors
    /// [`ToolError::NoDescription`]: the clients' channels are not known.
    pub fn image(&self) -> Result<Vec<u8>, ToolError> {
        if !self.connected {
            return Err(ToolError::NoDescription);
        }
        let mut image = zerocopy::IntoBytes::as_bytes(&self.policy).to_vec();
        image.resize(wire::POLICY_REGION_BYTES, 0);
        Ok(image)
    }

    /// The content of the formats' region. If there are formats, the policy contains their length (without the padding)
    /// and SHA-256.
    ///
    /// # Errors
    /// Not for formats that were compiled together.
    pub fn formats_image(&self) -> Result<Vec<u8>, ToolError> {
        let mut image = formats_image(&self.formats)?;
        // The Microkit tool requires a file of exactly the region's size.
        image.resize(::formats::REGION_BYTES, 0);
        Ok(image)
    }
}

/// The inputs for compiling a policy, besides its file.
#[derive(Clone, Copy, Debug, Default)]
pub struct With<'p> {
    /// The description that defines the policy's clients. Without one, the policy can be shown but not used.
    pub system: Option<&'p Path>,
    /// The device's key.
    pub device: Device<'p>,
}

/// Where to find the device's secret key.
#[derive(Clone, Copy, Debug, Default)]
pub enum Device<'p> {
    /// It is not needed: a machine that only shows a policy need not have it.
    #[default]
    Unread,
    /// In the file that the policy names, if it does.
    OfPolicy,
    /// In this PEM file, instead of the one that the policy names.
    File(&'p Path),
}

/// Reads and compiles the file. Paths of keys in it are relative to its folder.
///
/// # Errors
/// [`ToolError::Policy`] with line and reason, or a file that cannot be read.
pub fn compile(path: &Path, with: With<'_>) -> Result<Compiled, ToolError> {
    let content = files::read(path)?;
    let wrong = |path: &Path, line, reason| ToolError::Policy {
        path: path.to_path_buf(),
        line,
        reason,
    };
    let text = str::from_utf8(&content).map_err(|error| {
        let line = 1 + content[..error.valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        wrong(path, line, "not UTF-8: save it as UTF-8".to_owned())
    })?;
    let failed = |flaw: Flaw| wrong(path, flaw.line(text), flaw.reason);
    let document = document::parse(text).map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let formats = formats::compile(&document, folder).map_err(failed)?;
    let mut policy = build(&document, folder, &formats).map_err(failed)?;
    if !formats.is_empty() {
        let image = formats_image(&formats)?;
        policy.format_count = formats.len() as u32;
        // Compiling has checked that it fits in its region.
        policy.formats_bytes = image.len() as u32;
        policy.formats_sha256 = sha256(&image);
    }
    policy.device_key = match (with.device, &document.device.key) {
        (Device::File(key), _) => device_key(key)?,
        (Device::OfPolicy, Some(key)) => device_key(&folder.join(key.get_ref()))
            .map_err(|error| failed(Flaw::new(key, error.to_string())))?,
        (Device::OfPolicy, None) | (Device::Unread, _) => DeviceKey::NONE,
    };
    if let Some(file) = with.system {
        let entries = client_entries(&document).map_err(failed)?;
        let system = clients::description(file)?;
        let compiled = &mut policy.clients[..entries.len()];
        clients::connect(compiled, &entries, &system, file).map_err(|mismatch| match mismatch {
            Mismatch::Policy(flaw) => failed(flaw),
            Mismatch::System(line, reason) => wrong(file, line, reason),
        })?;
    }
    // An error that only audit's check finds has no line; it means that a check above is missing.
    policy
        .check()
        .map_err(|error| wrong(path, 1, error.to_string()))?;
    let warn = |flaw: Flaw| format!("{}:{}: {}", path.display(), flaw.line(text), flaw.reason);
    let mut warnings = warnings(&document, &policy);
    // For a policy that is only shown, the printed text says so.
    if with.system.is_some() {
        warnings.extend(no_device_key(&document, &policy));
    }
    Ok(Compiled {
        policy,
        connected: with.system.is_some(),
        formats,
        warnings: warnings.into_iter().map(warn).collect(),
    })
}

fn formats_image(formats: &[Format]) -> Result<Vec<u8>, ToolError> {
    let formats = formats.iter();
    let formats = formats.map(|one| (one.name.as_str(), &one.encoded));
    Ok(::formats::encode::image(formats)?)
}

/// The secret key in a PEM file.
fn device_key(path: &Path) -> Result<DeviceKey, ToolError> {
    let key = keys::read_secret(path)?;
    match DeviceKey(key.to_bytes()) {
        // Audit takes this key for a missing one.
        DeviceKey::NONE => Err(KeyError::Zeros {
            path: path.to_path_buf(),
        }
        .into()),
        key => Ok(key),
    }
}

/// A permission that is useless without a key.
fn no_device_key(document: &Document, policy: &Policy) -> Option<Flaw> {
    if policy.device_key != DeviceKey::NONE {
        return None;
    }
    let fine_tune = Permission::FineTune.as_str();
    let mut wanted = document.roles.values().flat_map(|role| &role.may);
    let place = wanted.find(|permission| permission.get_ref() == fine_tune)?;
    Some(Flaw::new(
        place,
        "this device has no key, so it makes no adapters: give it one with --device-key FILE, or as `key` in [device] \
         (`llmtool keygen --device` makes one)",
    ))
}

/// The clients in the order of the file.
fn client_entries(document: &Document) -> Result<Vec<clients::NamedClient<'_>>, Flaw> {
    let Document {
        clients, prompts, ..
    } = document;
    in_order(clients, "clients", "client", 0..=MAX_CLIENTS, prompts)
}

fn build(document: &Document, folder: &Path, formats: &[Format]) -> Result<Policy, Flaw> {
    let Document {
        default_user,
        prompts,
        inference,
        login,
        roles,
        users,
        clients: _,
        keys,
        formats: _,
        tokens,
        fine_tuning,
        device: _,
        log,
    } = document;
    if let Some(user) = default_user {
        let reason = format!(
            "there is no default-user any more: each client says which user it is; write [clients.shell] with user = \"{}\" \
             and login = true",
            user.get_ref()
        );
        return Err(Flaw::new(user, reason));
    }
    let mut policy = Policy::new_zeroed();
    policy.magic = wire::MAGIC;
    policy.version = wire::POLICY_VERSION;
    policy.keep_prompts = u32::from(*prompts.get_ref() == Prompts::Text);
    policy.user_defined = u32::from(tokens.user_defined);
    policy.log_write = match log.write {
        document::LogWrite::Ahead => LogWrite::Ahead,
        document::LogWrite::Behind => LogWrite::Behind,
    } as u32;
    policy.log_on_failure = match log.on_failure {
        document::LogFailure::Refuse => LogFailure::Refuse,
        document::LogFailure::GoOn => LogFailure::GoOn,
    } as u32;
    policy.deadline_us = duration(&inference.deadline);
    policy.train_deadline_us = fine_tuning
        .deadline
        .as_ref()
        .map_or(TRAIN_DEADLINE_US, duration);
    policy.stop_grace_us = duration(&inference.stop_grace);
    if policy.stop_grace_us < MIN_STOP_GRACE_US {
        let reason = format!(
            "a stop-grace of {} is too short, at least {} are needed",
            words::duration(policy.stop_grace_us),
            words::duration(MIN_STOP_GRACE_US)
        );
        return Err(Flaw::new(&inference.stop_grace, reason));
    }
    policy.context_tokens = match &inference.context {
        None => DEFAULT_CONTEXT_TOKENS as u32,
        Some(context) => number(context, "context", 1..=MAX_CONTEXT_TOKENS as u32)?,
    };
    policy.max_restarts = number(&inference.restarts, "restarts", 1..=MAX_RESTARTS as u32)?;
    policy.restart_window_us = duration(&inference.restarts_within);
    policy.egress_bytes_per_second = number(
        &inference.egress_bytes_per_second,
        "egress-bytes-per-second",
        1..=u32::MAX,
    )?;
    policy.egress_burst_bytes = number(
        &inference.egress_burst_bytes,
        "egress-burst-bytes",
        MIN_EGRESS_BURST_BYTES as u32..=u32::MAX,
    )?;
    policy.login_delay_us = duration(&login.delay);
    policy.login_delay_max_us = duration(&login.longest_delay);
    if policy.login_delay_us > policy.login_delay_max_us {
        return Err(Flaw::new(
            &login.longest_delay,
            "longest-delay is shorter than delay",
        ));
    }

    let roles = in_order(roles, "roles", "role", 1..=MAX_ROLES, prompts)?;
    let users = in_order(users, "users", "user", 1..=MAX_USERS, prompts)?;
    let keys = in_order(keys, "keys", "key", 0..=MAX_KEYS, prompts)?;
    policy.role_count = roles.len() as u32;
    policy.user_count = users.len() as u32;
    policy.key_count = keys.len() as u32;
    for (slot, (name, role)) in policy.roles.iter_mut().zip(&roles) {
        *slot = compile_role(name, role, formats)?;
    }
    let index_of = |role: &str| roles.iter().position(|(name, _)| *name.get_ref() == role);
    for (slot, (name, user)) in policy.users.iter_mut().zip(&users) {
        *slot = compile_user(name, user, index_of)?;
    }
    let mut known: Vec<(&str, [u8; 32])> = Vec::new();
    for (slot, (name, key)) in policy.keys.iter_mut().zip(&keys) {
        *slot = compile_key(name, key, folder)?;
        if let Some((other, _)) = known.iter().find(|(_, public)| *public == slot.public) {
            let reason = format!("key '{}' is the same as '{other}'", name.get_ref());
            return Err(Flaw::new(name, reason));
        }
        known.push((name.get_ref(), slot.public));
    }

    let clients = clients::compile(
        &client_entries(document)?,
        &policy.users[..users.len()],
        formats,
    )?;
    policy.client_count = clients.len() as u32;
    for (number, (slot, client)) in policy.clients.iter_mut().zip(clients).enumerate() {
        *slot = wire::Client {
            channel: number as u32,
            ..client
        };
    }
    Ok(policy)
}

/// The name, which [`in_order`] has checked.
fn name_of(name: &Spanned<String>) -> UserName {
    UserName::new(name.get_ref()).unwrap_or_default()
}

fn duration(value: &Spanned<Duration>) -> u64 {
    value.get_ref().0
}

/// A number within a range.
fn number<N>(value: &Spanned<u64>, member: &str, allowed: RangeInclusive<N>) -> Result<N, Flaw>
where
    N: Copy + Display + PartialOrd + TryFrom<u64>,
{
    let given = *value.get_ref();
    match N::try_from(given) {
        Ok(number) if allowed.contains(&number) => Ok(number),
        _ => {
            let (least, most) = allowed.into_inner();
            let reason = format!("{member} {given} is out of range, {least} to {most} are allowed");
            Err(Flaw::new(value, reason))
        }
    }
}

//! Roles, users and keys of a policy.

use super::document::{Flaw, Named, Prompts};
use super::{Format, document, duration, formats, name_of, number, words};
use crate::{keys, passphrase};
use protocol::limits::{BUDGET_PERIOD_US, MAX_BUDGET_TOKENS, MAX_GENERATED_TOKENS, MAX_SESSIONS};
use protocol::name::UserName;
use protocol::policy::{
    self as wire, MIN_LOG_BYTES_PER_HOUR, PassphraseHash, Permission, TrustedKey,
};
use std::ops::RangeInclusive;
use std::path::Path;
use toml::Spanned;
use zerocopy::FromZeros;

/// The members of a table in the order of the file, if their number is allowed.
pub(super) fn in_order<'d, T>(
    table: &'d Named<T>,
    plural: &str,
    singular: &str,
    allowed: RangeInclusive<usize>,
    anywhere: &Spanned<Prompts>,
) -> Result<Vec<(&'d Spanned<String>, &'d T)>, Flaw> {
    let mut members: Vec<_> = table.iter().collect();
    members.sort_by_key(|(name, _)| name.span().start);
    for (name, _) in &members {
        if UserName::new(name.get_ref()).is_none_or(|name| name.is_empty()) {
            let reason = format!(
                "'{}' is not a valid name for a {singular}: use 1 to {} visible ASCII characters without quotes and backslashes",
                name.get_ref(),
                protocol::limits::MAX_USER_BYTES
            );
            return Err(Flaw::new(name, reason));
        }
    }
    if !allowed.contains(&members.len()) {
        let (least, most) = allowed.into_inner();
        let reason = format!("{} {plural}, {least} to {most} are allowed", members.len());
        return Err(match members.get(most) {
            Some((name, _)) => Flaw::new(name, reason),
            None => Flaw::new(anywhere, reason),
        });
    }
    Ok(members)
}

pub(super) fn compile_role(
    name: &Spanned<String>,
    role: &document::Role,
    formats: &[Format],
) -> Result<wire::Role, Flaw> {
    let mut permissions = 0;
    for wanted in &role.may {
        let found = Permission::ALL.into_iter();
        let mut found = found.filter(|permission| permission.as_str() == wanted.get_ref());
        let permission = found.next().ok_or_else(|| {
            let all = Permission::ALL.map(Permission::as_str).join(", ");
            let reason = format!(
                "'{}' is not a permission; the permissions are {all}",
                wanted.get_ref()
            );
            Flaw::new(wanted, reason)
        })?;
        if permissions & permission as u32 != 0 {
            let reason = format!("'{}' is listed twice", wanted.get_ref());
            return Err(Flaw::new(wanted, reason));
        }
        permissions |= permission as u32;
    }
    Ok(wire::Role {
        name: name_of(name),
        permissions,
        max_tokens: number(&role.max_tokens, "max-tokens", 1..=MAX_GENERATED_TOKENS)?,
        max_sessions: number(&role.max_sessions, "max-sessions", 1..=MAX_SESSIONS as u32)?,
        log_bytes_per_hour: number(
            &role.log_bytes_per_hour,
            "log-bytes-per-hour",
            MIN_LOG_BYTES_PER_HOUR..=u32::MAX,
        )?,
        formats: formats::rule(
            formats,
            role.formats.as_ref(),
            role.must_use_format.as_ref(),
        )?,
    })
}

pub(super) fn compile_user(
    name: &Spanned<String>,
    user: &document::User,
    index_of: impl Fn(&str) -> Option<usize>,
) -> Result<wire::User, Flaw> {
    let role = index_of(user.role.get_ref()).ok_or_else(|| {
        let reason = format!("there is no role '{}'", user.role.get_ref());
        Flaw::new(&user.role, reason)
    })?;
    let period_us = duration(&user.period);
    if !BUDGET_PERIOD_US.contains(&period_us) {
        let reason = format!(
            "a period of {} is out of range, {} to {} are allowed",
            words::duration(period_us),
            words::duration(*BUDGET_PERIOD_US.start()),
            words::duration(*BUDGET_PERIOD_US.end()),
        );
        return Err(Flaw::new(&user.period, reason));
    }
    let passphrase = match &user.passphrase {
        None => PassphraseHash::new_zeroed(),
        Some(phc) => passphrase::parse(phc.get_ref())
            .map_err(|error| Flaw::new(phc, format!("passphrase: {error}")))?,
    };
    Ok(wire::User {
        name: name_of(name),
        budget_tokens: number(&user.budget, "budget", 0..=MAX_BUDGET_TOKENS)?,
        budget_period_us: period_us,
        role: role as u32,
        reserved: 0,
        passphrase,
    })
}

pub(super) fn compile_key(
    name: &Spanned<String>,
    key: &document::Key,
    folder: &Path,
) -> Result<TrustedKey, Flaw> {
    let (place, public) = match (&key.ed25519, &key.file) {
        (Some(hex), None) => (hex, keys::parse_public_hex(hex.get_ref())),
        (None, Some(file)) => (file, keys::read_public(&folder.join(file.get_ref()))),
        _ => {
            let reason = format!(
                "key '{}' needs either ed25519 (64 hexadecimal digits) or file (a PEM file)",
                name.get_ref()
            );
            return Err(Flaw::new(name, reason));
        }
    };
    let public = public.map_err(|error| Flaw::new(place, error.to_string()))?;
    Ok(TrustedKey {
        name: name_of(name),
        public: public.to_bytes(),
    })
}

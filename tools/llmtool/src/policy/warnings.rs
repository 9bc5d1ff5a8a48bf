//! Warnings about permissions that were probably not intended.

use super::document::{Document, Flaw};
use super::{DEMO_PASSPHRASE, document, name_of};
use crate::passphrase;
use protocol::policy::{self as wire, FormatRule, Permission, Policy};
use toml::Spanned;

/// Warnings: settings that are allowed, but that a careful author would change.
pub(super) fn warnings(document: &Document, policy: &Policy) -> Vec<Flaw> {
    let mut warnings = Vec::new();
    for (name, user) in &document.users {
        let Some(place) = &user.passphrase else {
            continue;
        };
        let compiled = policy.users().iter().find(|u| u.name == name_of(name));
        if compiled.is_some_and(|user| passphrase::matches(&user.passphrase, DEMO_PASSPHRASE)) {
            let name = name.get_ref();
            warnings.push(Flaw::new(
                place,
                format!(
                    "the passphrase of '{name}' is the one that everybody knows from the README; \
                     make another with `llmtool passphrase`"
                ),
            ));
        }
    }
    if policy.keys().is_empty() {
        let reason = "no keys are trusted, so no model will be loaded";
        warnings.push(Flaw::new(&document.prompts, reason));
    }
    for (name, client) in &document.clients {
        warnings.extend(nothing_left(name, client, policy));
    }
    warnings.extend(formats_needed(document, policy));
    if policy.clients().is_empty() {
        let reason = "there are no clients, so nobody can send requests";
        warnings.push(Flaw::new(&document.prompts, reason));
    }
    warnings
}

/// Users who cannot request anything at a client, either as its own user or after logging in: a format is required
/// there, and the role and the client have none in common.
fn nothing_left(name: &Spanned<String>, client: &document::Client, policy: &Policy) -> Vec<Flaw> {
    let mut left = reach(policy);
    left.retain(|reached| {
        reached.client.name == name_of(name)
            && reached.role.may(Permission::Infer)
            && reached.rule.must_use()
            && reached.rule.is_none()
    });
    let place = client.formats.as_ref().map_or(name.span(), Spanned::span);
    let flaw = |Reach { user, role, .. }: Reach<'_>| Flaw {
        at: place.clone(),
        reason: format!(
            "user '{}' can ask for nothing at client '{}': a format must be used, and role '{}' and the client allow none in \
             common",
            user.name,
            name.get_ref(),
            role.name
        ),
    };
    left.into_iter().map(flaw).collect()
}

/// Rules that require a format for users who could otherwise load models or fine-tune: these requests have no format,
/// so audit refuses them.
fn formats_needed(document: &Document, policy: &Policy) -> Vec<Flaw> {
    let refused = |role: &wire::Role| {
        let wanted = [Permission::Load, Permission::FineTune].into_iter();
        let wanted = wanted.filter(|permission| role.may(*permission));
        wanted.map(Permission::as_str).collect::<Vec<_>>()
    };
    let warning = |place, user: &wire::User, role: &wire::Role, by: &str| {
        let what = refused(role).join(" and ");
        let reason = format!(
            "user '{}' may {what} by role '{}', but {by} has must-use-format: such requests have no format and are refused",
            user.name, role.name
        );
        Flaw::new(place, reason)
    };
    let mut warnings = Vec::new();
    for (name, role) in &document.roles {
        let Some(place) = role.must_use_format.as_ref().filter(|must| *must.get_ref()) else {
            continue;
        };
        for user in policy.users() {
            let compiled = policy.roles().get(user.role as usize);
            let compiled = compiled.filter(|role| role.name == name_of(name));
            if let Some(role) = compiled.filter(|role| !refused(role).is_empty()) {
                warnings.push(warning(place, user, role, "the role"));
            }
        }
    }
    for (name, client) in &document.clients {
        let must = client.must_use_format.as_ref();
        let Some(place) = must.filter(|must| *must.get_ref()) else {
            continue;
        };
        for Reach {
            client, user, role, ..
        } in reach(policy)
        {
            // If the role requires a format, the warning above covers it.
            if client.name == name_of(name) && !role.formats.must_use() && !refused(role).is_empty()
            {
                let by = format!("client '{}'", client.name);
                warnings.push(warning(place, user, role, &by));
            }
        }
    }
    warnings
}

/// A user at a client.
pub(super) struct Reach<'p> {
    pub(super) client: &'p wire::Client,
    user: &'p wire::User,
    pub(super) role: &'p wire::Role,
    /// The rule of the role, narrowed by that of the client.
    pub(super) rule: FormatRule,
}

/// The users of each client: its own user and, if it may log in, all others.
pub(super) fn reach(policy: &Policy) -> Vec<Reach<'_>> {
    let mut all = Vec::new();
    for (at, client) in policy.clients().iter().enumerate() {
        for (number, user) in policy.users().iter().enumerate() {
            let Some(role) = policy.roles().get(user.role as usize) else {
                continue;
            };
            if client.user as usize == number || client.login == 1 {
                all.push(Reach {
                    client,
                    user,
                    role,
                    rule: policy.format_rule(user.role as usize, at),
                });
            }
        }
    }
    all
}

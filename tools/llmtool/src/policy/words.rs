//! Describes a policy to people: who may do what, and what it costs.

use crate::units::count;
use std::fmt::{self, Display, Formatter};

use format_compiler::{Sayable, sayable};
use formats::{Dfa, MAX_CHOICES, MAX_CHOICES_BYTES};
use protocol::hash::Hex;
use protocol::limits::MAX_PIECE_BYTES;
use protocol::policy::{
    CHOICES, Client, FormatRule, LogFailure, LogWrite, Permission, Policy, Role, User,
};

use super::warnings::reach;
use super::{Compiled, Format};

/// Most bits of payload that can pass the egress cap in an hour, whatever inference does.
#[must_use]
pub fn leak_bits_per_hour(policy: &Policy) -> u64 {
    let per_hour = 3600 * u64::from(policy.egress_bytes_per_second);
    8 * (per_hour + u64::from(policy.egress_burst_bytes))
}

/// A duration in words.
pub(super) fn duration(us: u64) -> String {
    humantime::format_duration(std::time::Duration::from_micros(us)).to_string()
}

/// A number with grouped digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The text of the policy.
#[derive(Debug)]
pub struct Words<'p>(pub &'p Compiled);

impl Display for Words<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Compiled {
            policy, connected, ..
        } = self.0;
        writeln!(f, "clients")?;
        for client in policy.clients() {
            write_client(f, self.0, client, *connected)?;
        }
        if policy.clients().is_empty() {
            writeln!(f, "  none: nobody can send requests")?;
        }
        writeln!(f, "users")?;
        for (index, user) in policy.users().iter().enumerate() {
            let Some(role) = policy.roles().get(user.role as usize) else {
                continue;
            };
            write_user(f, user, role, &entry(policy, index, user))?;
            write_rule(f, self.0, role.formats)?;
        }
        write_formats(f, self.0)?;
        writeln!(
            f,
            "keys whose signatures on models, adapters and training data count"
        )?;
        for key in policy.keys() {
            writeln!(f, "  {:<12} {}", key.name, Hex(&key.public))?;
        }
        if policy.keys().is_empty() {
            writeln!(f, "  none: no model will be loaded")?;
        }
        match self.0.device_key() {
            Some(key) => writeln!(
                f,
                "adapters that are made on this device are signed by its key, whose public half is {}; a fine-tuning may take {}",
                Hex(key.as_bytes()),
                duration(policy.train_deadline_us)
            )?,
            None => writeln!(f, "this device has no key, so it makes no adapters")?,
        }
        let kept = match policy.keep_prompts {
            0 => "the SHA-256 of prompts, not their text",
            _ => "prompts as text",
        };
        writeln!(f, "the log keeps {kept}")?;
        let written = match policy.log_write() {
            LogWrite::Ahead => {
                "an admission is on the disk before inference is told of it, and an end before the client is"
            }
            LogWrite::Behind => {
                "an entry is on the disk within about a second, so a power cut can lose the newest"
            }
        };
        let failure = match policy.log_on_failure() {
            LogFailure::Refuse => "nothing is admitted while it cannot be written",
            LogFailure::GoOn => "if it cannot be written, it goes on in memory",
        };
        writeln!(f, "on a system with a disk, {written}; {failure}")?;
        if policy.user_defined != 0 {
            writeln!(
                f,
                "what users write may become user-defined tokens of a model's vocabulary"
            )?;
        }
        writeln!(
            f,
            "models are loaded with a context of {} tokens, or their own where that is less",
            policy.context_tokens
        )?;
        writeln!(
            f,
            "a request may take {}, then has {} to stop, then inference is restarted",
            duration(policy.deadline_us),
            duration(policy.stop_grace_us)
        )?;
        writeln!(
            f,
            "{} within {}, then none until a reset",
            count(policy.max_restarts as usize, "restart"),
            duration(policy.restart_window_us)
        )?;
        writeln!(
            f,
            "a wrong passphrase costs {}, doubling up to {}",
            duration(policy.login_delay_us),
            duration(policy.login_delay_max_us)
        )?;
        writeln!(
            f,
            "inference may send {} bytes a second and {} at once: a hostile one leaks at most {} bits an hour",
            grouped(policy.egress_bytes_per_second.into()),
            grouped(policy.egress_burst_bytes.into()),
            grouped(leak_bits_per_hour(policy))
        )
    }
}

/// The formats and, for each, how much a hostile inference server that is restricted to it can say.
fn write_formats(f: &mut Formatter<'_>, compiled: &Compiled) -> fmt::Result {
    let Compiled {
        policy, formats, ..
    } = compiled;
    writeln!(
        f,
        "formats of answers, and what a hostile inference can say by one answer"
    )?;
    for (number, format) in formats.iter().enumerate() {
        let Format {
            name,
            kind,
            encoded,
        } = format;
        writeln!(
            f,
            "  {name:<12} {kind}: {} states, {} bytes",
            grouped(encoded.states() as u64),
            grouped(encoded.size() as u64)
        )?;
        let Some(dfa) = encoded.dfa() else {
            continue;
        };
        write_leaks(f, policy, |rule| rule.allows(number), &dfa)?;
    }
    write_choices(f, policy)?;
    for (limit, roles) in by_limit(policy, |rule| !rule.must_use()) {
        writeln!(
            f,
            "  {:<12} {limit} tokens ({roles}): {} bits",
            "no format",
            grouped(8 * bytes_of(limit) as u64)
        )?;
    }
    writeln!(
        f,
        "  beside the text: the number of tokens, how the text is cut into them, and when each comes (docs/leaks.md)"
    )
}

/// Choices that come with a request: as many and as long as possible.
fn write_choices(f: &mut Formatter<'_>, policy: &Policy) -> fmt::Result {
    for (limit, roles) in by_limit(policy, FormatRule::allows_choices) {
        // Each byte of each choice makes another prefix; the empty prefix is common to all.
        let broken_off = (2 + MAX_CHOICES_BYTES) as f64;
        writeln!(
            f,
            "  {CHOICES:<12} of a request, at most {MAX_CHOICES}, {limit} tokens ({roles}): {:.1} bits, or {:.1} if it may be \
             broken off",
            (MAX_CHOICES as f64).log2(),
            broken_off.log2()
        )?;
    }
    Ok(())
}

/// How much one answer in a format can say, for each token limit of the roles that may use it.
fn write_leaks(
    f: &mut Formatter<'_>,
    policy: &Policy,
    may_use: impl Fn(FormatRule) -> bool,
    dfa: &Dfa<'_>,
) -> fmt::Result {
    let limits = by_limit(policy, may_use);
    if limits.is_empty() {
        writeln!(f, "  {:<12} no role may use it", "")?;
    }
    for (limit, roles) in limits {
        let Sayable {
            words,
            broken_off,
            exact,
        } = sayable(dfa, bytes_of(limit));
        let bound = if exact { "" } else { "at most " };
        writeln!(
            f,
            "  {:<12} {limit} tokens ({roles}): {bound}{:.1} bits, or {:.1} if it may be broken off",
            "",
            words.max(0.0),
            broken_off
        )?;
    }
    Ok(())
}

/// Bytes of an answer with this many tokens.
const fn bytes_of(tokens: u32) -> usize {
    tokens as usize * MAX_PIECE_BYTES
}

/// The token limits of the roles that may generate text and whose rule satisfies `is_such`, each with the names of its
/// roles. A role's rule is narrowed by that of the client where its users ask; if it satisfies `is_such` only at some
/// clients, these are named.
fn by_limit(policy: &Policy, is_such: impl Fn(FormatRule) -> bool) -> Vec<(u32, String)> {
    let reached = reach(policy);
    let mut roles: Vec<(&Role, String)> = Vec::new();
    for role in policy
        .roles()
        .iter()
        .filter(|role| role.may(Permission::Infer))
    {
        let mut clients: Vec<(&str, bool)> = Vec::new();
        for reached in reached
            .iter()
            .filter(|reached| reached.role.name == role.name)
        {
            let client = (reached.client.name.as_str(), is_such(reached.rule));
            if !clients.contains(&client) {
                clients.push(client);
            }
        }
        let name = role.name.as_str();
        let such = clients.iter().filter(|(_, such)| *such);
        let such: Vec<&str> = such.map(|(client, _)| *client).collect();
        if such.len() < clients.len() && !such.is_empty() {
            roles.push((role, format!("{name} at {}", such.join(" and "))));
        } else if such.len() == clients.len() && (!such.is_empty() || is_such(role.formats)) {
            // It holds at all clients, or nobody has the role yet.
            roles.push((role, name.to_owned()));
        }
    }
    let mut limits: Vec<u32> = roles.iter().map(|(role, _)| role.max_tokens).collect();
    limits.sort_unstable();
    limits.dedup();
    let names = |limit| {
        let roles = roles.iter().filter(|(role, _)| role.max_tokens == limit);
        roles.map(|(_, name)| name.as_str()).collect::<Vec<_>>()
    };
    let limits = limits.into_iter();
    limits
        .map(|limit| (limit, names(limit).join(", ")))
        .collect()
}

/// A rule about formats, unless it allows everything.
fn write_rule(f: &mut Formatter<'_>, compiled: &Compiled, rule: FormatRule) -> fmt::Result {
    if rule == FormatRule::ANY {
        return Ok(());
    }
    let named = compiled.formats.iter().enumerate();
    let named = named.filter(|(number, _)| rule.allows(*number));
    let mut allowed: Vec<&str> = named.map(|(_, format)| format.name.as_str()).collect();
    if rule.allows_choices() {
        allowed.push("choices of the request");
    }
    let allowed = match (allowed.is_empty(), rule.must_use()) {
        (true, _) => "no format may be used".to_owned(),
        (false, true) => format!("answers only in a format: {}", allowed.join(", ")),
        (false, false) => format!("answers in no format, or in {}", allowed.join(", ")),
    };
    writeln!(f, "  {:<12} {allowed}", "")
}

/// Names of clients.
fn names<'p>(clients: impl Iterator<Item = &'p Client>) -> String {
    let names: Vec<&str> = clients.map(|client| client.name.as_str()).collect();
    names.join(", ")
}

fn write_client(
    f: &mut Formatter<'_>,
    compiled: &Compiled,
    client: &Client,
    connected: bool,
) -> fmt::Result {
    let policy = &compiled.policy;
    let user = policy.users().get(client.user as usize);
    let user = user.map_or("", |user| user.name.as_str());
    let who = match client.login {
        0 => format!("user {user}, always"),
        _ => format!("user {user}, until somebody logs in"),
    };
    let channel = if connected {
        format!("audit's channel {}", client.channel)
    } else {
        "its channel stands in system.xml".to_owned()
    };
    writeln!(f, "  {:<12} {who} ({channel})", client.name)?;
    writeln!(
        f,
        "  {:<12} at once {}, {}, {} that inference has not read",
        "",
        count(client.requests as usize, "request"),
        count(client.sessions as usize, "session"),
        count(client.commands as usize, "message")
    )?;
    write_rule(f, compiled, client.formats)
}

/// How to become a user.
fn entry(policy: &Policy, index: usize, user: &User) -> String {
    let clients = policy.clients().iter();
    let its = names(
        clients
            .clone()
            .filter(|client| client.user as usize == index),
    );
    let logins = names(clients.filter(|client| client.login == 1));
    match (user.passphrase.passes, its.is_empty(), logins.is_empty()) {
        (0, false, _) => format!("no passphrase; {its}"),
        (0, true, false) => format!("no passphrase: whoever is at {logins}"),
        (_, _, false) => format!("passphrase, at {logins}"),
        (_, _, true) => "nobody: no client is this user, and none may log in".to_owned(),
    }
}

fn write_user(f: &mut Formatter<'_>, user: &User, role: &Role, entry: &str) -> fmt::Result {
    let may = Permission::ALL.into_iter();
    let may: Vec<&str> = may
        .filter(|permission| role.may(*permission))
        .map(Permission::as_str)
        .collect();
    let may = if may.is_empty() {
        "nothing".to_owned()
    } else {
        may.join(", ")
    };
    writeln!(f, "  {:<12} {} ({entry})", user.name, role.name)?;
    writeln!(f, "  {:<12} may {may}", "")?;
    writeln!(
        f,
        "  {:<12} {} tokens each {}, {} in a request, {}",
        "",
        grouped(user.budget_tokens),
        duration(user.budget_period_us),
        role.max_tokens,
        count(role.max_sessions as usize, "session")
    )?;
    writeln!(
        f,
        "  {:<12} fills at most {} bytes of the audit log in an hour, and at once",
        "",
        grouped(role.log_bytes_per_hour.into())
    )
}

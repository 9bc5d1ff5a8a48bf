//! Compiles `[clients.NAME]`: the user, the limits and the channel of each client.
//!
//! The clients' limits add up to no more than the system has, so each client has its part whatever the others do.

use std::path::Path;

use protocol::limits::{CLIENT_COMMANDS, MAX_CLIENTS, MAX_REQUESTS, MAX_SESSIONS};
use protocol::name::UserName;
use protocol::policy as wire;
use sysdesc::System;
use toml::Spanned;

use super::document::{Client, Flaw};
use super::formats::{self, Format};
use super::{name_of, number};
use crate::error::ToolError;
use crate::files;

/// A client with its name, including the position in the source.
pub(super) type NamedClient<'d> = (&'d Spanned<String>, &'d Client);

/// A resource that is divided among the clients.
struct Share {
    /// Its name in the policy.
    member: &'static str,
    /// The total number.
    all: usize,
    of: fn(&Client) -> &Option<Spanned<u64>>,
}

const REQUESTS: Share = Share {
    member: "requests",
    all: MAX_REQUESTS,
    of: |client| &client.requests,
};
const SESSIONS: Share = Share {
    member: "sessions",
    all: MAX_SESSIONS,
    of: |client| &client.sessions,
};
const COMMANDS: Share = Share {
    member: "commands",
    all: CLIENT_COMMANDS,
    of: |client| &client.commands,
};

/// The clients in the order of the file, with all channels still 0.
pub(super) fn compile(
    clients: &[NamedClient<'_>],
    users: &[wire::User],
    formats: &[Format],
) -> Result<Vec<wire::Client>, Flaw> {
    let requests = parts(clients, &REQUESTS)?;
    let sessions = parts(clients, &SESSIONS)?;
    let commands = parts(clients, &COMMANDS)?;
    let mut compiled = Vec::new();
    for (index, (name, client)) in clients.iter().enumerate() {
        compiled.push(wire::Client {
            name: name_of(name),
            channel: 0,
            user: user(name, client, users)?,
            login: u32::from(client.login),
            requests: requests[index],
            sessions: sessions[index],
            commands: commands[index],
            formats: formats::rule(
                formats,
                client.formats.as_ref(),
                client.must_use_format.as_ref(),
            )?,
        });
    }
    Ok(compiled)
}

/// The index of a client's user.
fn user(name: &Spanned<String>, client: &Client, users: &[wire::User]) -> Result<u32, Flaw> {
    let client_name = name.get_ref();
    let Some(wanted) = &client.user else {
        let what = if client.login {
            "may log in, but has no user for the time before that"
        } else {
            "has no user and may not log in"
        };
        let reason = format!(
            "client '{client_name}' {what}: write user = \"NAME\", with one of the users who have no passphrase"
        );
        return Err(Flaw::new(name, reason));
    };
    let user = UserName::new(wanted.get_ref());
    let found = users.iter().position(|other| Some(other.name) == user);
    let Some(index) = found else {
        let reason = format!(
            "client '{client_name}' is user '{}', who is not in [users]",
            wanted.get_ref()
        );
        return Err(Flaw::new(wanted, reason));
    };
    if users[index].passphrase.passes != 0 {
        let reason = format!(
            "client '{client_name}' is user '{0}', who has a passphrase, which nobody can give for a client: choose a user \
             without, and login = true if '{0}' is to log in there",
            wanted.get_ref()
        );
        return Err(Flaw::new(wanted, reason));
    }
    Ok(index as u32)
}

/// Each client's part: what the policy gives it, or an equal part of the rest.
fn parts(clients: &[NamedClient<'_>], share: &Share) -> Result<Vec<u32>, Flaw> {
    let Share { member, all, of } = share;
    let mut given = 0;
    let mut open = 0;
    for (_, client) in clients {
        match of(client) {
            None => open += 1,
            Some(value) => {
                given += number(value, member, 1..=*all as u32)?;
                if given as usize > *all {
                    let reason = format!(
                        "the {member} of the clients add up to {given} here, but there are only {all}: give them fewer"
                    );
                    return Err(Flaw::new(value, reason));
                }
            }
        }
    }
    let left = *all as u32 - given;
    let part = left.checked_div(open).unwrap_or(0);
    let mut parts = Vec::new();
    for (name, client) in clients {
        parts.push(match of(client) {
            Some(value) => *value.get_ref() as u32,
            None if part > 0 => part,
            None => {
                let reason = format!(
                    "client '{}' gives no {member}, and the others leave only {left} of {all}: give them fewer",
                    name.get_ref()
                );
                return Err(Flaw::new(name, reason));
            }
        });
    }
    Ok(parts)
}

/// Why a policy and a description do not match.
pub(super) enum Mismatch {
    /// An error in the policy.
    Policy(Flaw),
    /// An error in the description: the line and the reason.
    System(usize, String),
}

/// Sets each client's channel number in audit.
pub(super) fn connect(
    compiled: &mut [wire::Client],
    clients: &[NamedClient<'_>],
    system: &System,
    path: &Path,
) -> Result<(), Mismatch> {
    let wrong = |line: u32, reason: String| Mismatch::System(line as usize, reason);
    let there = system
        .clients()
        .map_err(|error| wrong(error.line, error.problem.to_string()))?;
    for client in &there {
        let name = &client.domain.name;
        if client.slot.0 >= MAX_CLIENTS {
            let reason = format!(
                "'{name}' is the client in {}: audit has the slots 0 to {}",
                client.slot,
                MAX_CLIENTS - 1
            );
            return Err(wrong(client.line, reason));
        }
        if clients.iter().all(|(named, _)| named.get_ref() != name) {
            let reason = format!(
                "'{name}' is the client in {} of audit, and the policy has no [clients.{name}]: write there which user it is",
                client.slot
            );
            return Err(wrong(client.line, reason));
        }
    }
    for (entry, (name, _)) in compiled.iter_mut().zip(clients) {
        let name = *name;
        let wanted = name.get_ref();
        let found = there.iter().find(|client| client.domain.name == *wanted);
        let Some(client) = found else {
            let what = match system.domain(wanted) {
                None => "has no such domain".to_owned(),
                Some(domain) => format!(
                    "has such a domain (line {}), but audit has no slot for it",
                    domain.line
                ),
            };
            let names: Vec<&str> = there
                .iter()
                .map(|client| client.domain.name.as_str())
                .collect();
            let all = if names.is_empty() {
                "it has no clients".to_owned()
            } else {
                format!("its clients are {}", names.join(", "))
            };
            let reason = format!("client '{wanted}': {} {what}; {all}", path.display());
            return Err(Mismatch::Policy(Flaw::new(name, reason)));
        };
        entry.channel = client.channel.into();
    }
    Ok(())
}

/// Reads a description.
pub(super) fn description(path: &Path) -> Result<System, ToolError> {
    let content = files::read(path)?;
    let wrong = |line, reason| ToolError::Policy {
        path: path.to_path_buf(),
        line,
        reason,
    };
    let text =
        str::from_utf8(&content).map_err(|_| wrong(1, "not UTF-8: save it as UTF-8".to_owned()))?;
    System::parse(text).map_err(|error| {
        let sysdesc::Error { place, problem } = error;
        wrong(place.line as usize, problem.to_string())
    })
}

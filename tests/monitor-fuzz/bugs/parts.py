"""Parts of each client.

Each bug: what is wrong, the file, a text in it and its replacement; further pairs of texts may follow.
"""

BUGS = [
    (
        "a client gets a place in inference's ring that is not its part",
        "link.rs",
        "_ if own < places => Ok(()),",
        "_ if own <= places => Ok(()),",
    ),
    (
        "stops and credit take the clients' places in inference's ring",
        "link.rs",
        "self.unread_of(None) < self.own_places &&",
        "self.unread_of(None) < SLOTS &&",
    ),
    (
        "the requests of all clients count against each",
        "monitor/requests.rs",
        "let of_client = |entry: &&InFlight<'_>| entry.client() == Some(client);",
        "let of_client = |entry: &&InFlight<'_>| entry.client() >= Some(client);",
    ),
    (
        "a client gets one request more than its part",
        "monitor/requests.rs",
        "match taken < places {",
        "match taken <= places {",
    ),
    (
        "a client gets sessions as long as any are free",
        "sessions.rs",
        "free.filter(|_| clients < limits.client)",
        "free.filter(|_| clients < limits.client.max(MAX_SESSIONS))",
    ),
    (
        "an idle session of another client makes room",
        "sessions.rs",
        "let of_client = |s: &UserSession| s.owner.client == owner.client;",
        "let of_client = |s: &UserSession| s.owner.client <= owner.client;",
    ),
    (
        "sessions of one client that ended push out those of the others",
        "sessions.rs",
        "                self.forget_gone(session.owner.client);",
        "                self.gone.pop_front();",
    ),
    (
        "a session is found only by its name",
        "sessions.rs",
        ".find(|(_, session)| session.owner == owner && session.name == name)",
        ".find(|(_, session)| (session.owner == owner || !name.is_empty()) && session.name == name)",
    ),
    (
        "a session is found without its client",
        "sessions.rs",
        ".find(|(_, session)| session.owner == owner && session.name == name)",
        ".find(|(_, session)| session.owner.user == owner.user && session.name == name)",
    ),
    (
        "a client can cancel another's request",
        "monitor/text.rs",
        "self.table.find(|entry| entry.origin == origin)",
        "self.table.find(|entry| matches!(entry.origin, Origin::Client { id: of, .. } if of == id))",
    ),
    (
        "the sessions of a user at all clients are listed at each",
        "sessions.rs",
        ".filter(|(session, _)| owner.is_none_or(|owner| session.owner == owner))",
        ".filter(|(session, _)| owner.is_none_or(|owner| session.owner.user == owner.user))",
    ),
    (
        "a logout makes the client's user the first one",
        "client.rs",
        "identity.user = identity.own;",
        "identity.user = 0;",
    ),
    (
        "a client that may not log in does",
        "monitor/requests.rs",
        "            Request::Login { user, passphrase } => {\n                if !identity.may_log_in {",
        "            Request::Login { user, passphrase } => {\n                if !identity.may_log_in && user.is_empty() {",
    ),
    (
        "violations of clients are recorded without a name",
        "ledger.rs",
        "self.record_violations(CLIENT, model_name(name), count, work, now);",
        "let _ = name;\n            self.record_violations(CLIENT, ModelName::EMPTY, count, work, now);",
    ),
    (
        "the client that is read first does not change",
        "client.rs",
        "self.first = if next < self.clients.len() { next } else { 0 };",
        "let _ = next;",
    ),
    (
        "a client is read until its ring is empty before the next one is",
        "monitor/requests.rs",
        "                any |= self.read_client(client, frame, now, port);",
        "                while self.read_client(client, frame, now, port) {\n                    any = true;\n                }",
    ),
]

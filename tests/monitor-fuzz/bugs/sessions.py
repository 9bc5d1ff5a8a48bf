"""Sessions and models.

Each bug: what is wrong, the file, a text in it and its replacement; further pairs of texts may follow.
"""

BUGS = [
    (
        "an active session is evicted",
        "sessions.rs",
        ".filter(|(_, session)| !session.active && is(session))",
        ".filter(|(_, session)| is(session))",
    ),
    (
        "a bad signature is accepted",
        "models.rs",
        "    if !verdict.good {",
        "    if !verdict.good && verdict.offset == usize::MAX {",
    ),
    (
        "text is admitted while a client's model is loaded",
        "monitor/text.rs",
        "        if self.is_loading_for_client() {",
        "        if self.is_loading_for_client() && self.link.current.is_none() {",
    ),
    (
        "a wrong passphrase makes nobody wait longer",
        "access.rs",
        ".checked_shl(failures.saturating_sub(1))",
        ".checked_shl(failures.saturating_sub(failures))",
    ),
]

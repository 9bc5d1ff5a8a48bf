"""Credit, and text on its way.

Each bug: what is wrong, the file, a text in it and its replacement; further pairs of texts may follow.
"""

BUGS = [
    (
        "credit is granted for text that has arrived, even if it was not handed on",
        "monitor/delivery.rs",
        "let credit = generation.handed_on.saturating_add(window).min(most);",
        "let credit = generation.tokens.saturating_add(window).min(most);",
        "let ahead = generation.credit.saturating_sub(generation.handed_on);",
        "let ahead = generation.credit.saturating_sub(generation.tokens);",
    ),
    (
        "credit is granted a token at a time",
        "monitor/delivery.rs",
        "ahead <= window / 2;",
        "ahead < window;",
    ),
    (
        "a paused request gets no more credit",
        "monitor/delivery.rs",
        "let is_due = credit > generation.credit && ahead",
        "let is_due = credit > generation.credit && ahead > 0 && ahead",
    ),
    (
        "a request that must stop gets credit",
        "monitor/delivery.rs",
        "if !is_due || generation.stop != Stop::No {",
        "if !is_due {",
    ),
    (
        "inference may be ahead by more than a full bucket holds",
        "egress.rs",
        "let most = burst.saturating_sub(held).checked_div(MOST_TOKEN_BYTES);",
        "let most = burst.saturating_sub(held).checked_div(TOKEN_BYTES);",
    ),
    (
        "a token beyond the credit passes",
        "monitor/reports.rs",
        "if generation.tokens >= generation.credit {",
        "if generation.tokens > generation.credit {",
    ),
    (
        "the end of a request is told before its text",
        "monitor/delivery.rs",
        "let waiting = entry.generation().filter(|it| it.has_text());\n        let is_text",
        "let waiting = entry.generation().filter(|it| it.has_text() && !entry.is_over());\n        let is_text",
    ),
    (
        "text of one client is sent to another",
        "monitor/delivery.rs",
        "if !self.clients.tell(client, id, &event) {\n            return false;",
        "let to = if is_text && id % 7 == 0 { 0 } else { client };\n"
        "        if !self.clients.tell(to, id, &event) {\n            return false;",
    ),
    (
        "joined text says that it is one token",
        "monitor/delivery.rs",
        "                tokens: generation.waiting(),\n",
        "                tokens: 1,\n",
    ),
    (
        "text that was handed on is handed on again with the text that follows",
        "table/texts.rs",
        "            generation.released = false;\n            buffer.text.clear();",
        "            generation.released = false;\n            buffer.text.truncate(1);",
    ),
]

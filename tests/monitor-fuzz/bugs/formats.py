"""Formats, choices and stop strings.

Each bug: what is wrong, the file, a text in it and its replacement; further pairs of texts may follow.
"""

BUGS = [
    (
        "the bytes of a token are not walked through the format",
        "answer.rs",
        "                *state = dfa.walk(*state, text).ok_or(Wrong::Format)?;\n",
        "                *state = dfa.walk(*state, text).unwrap_or(*state);\n",
    ),
    (
        "only the first byte of a token is walked through the choices",
        "answer.rs",
        "*state = choices.walk(*state, text).ok_or(Wrong::Format)?;",
        "*state = choices\n                    .walk(*state, text.get(..1).unwrap_or(text))\n                    .ok_or(Wrong::Format)?;",
    ),
    (
        "a format starts over with each token",
        "answer.rs",
        "*state = dfa.walk(*state, text).ok_or(Wrong::Format)?;",
        "*state = dfa.walk(dfa.start(), text).ok_or(Wrong::Format)?;",
    ),
    (
        "a bound answer may end anywhere",
        "answer.rs",
        "(Self::Format(dfa, state), _) => dfa.accepts(*state),",
        "(Self::Format(dfa, state), _) => dfa.accepts(*state) || !dfa.accepts(*state),",
    ),
    (
        "an answer that says it was cancelled may end anywhere, even if it was not asked to stop",
        "monitor/reports/ends.rs",
        "let is_stopped = generation.stop != Stop::No && reason == FinishReason::Cancelled;",
        "let is_stopped = reason == FinishReason::Cancelled;",
    ),
    (
        "a stop string is let through",
        "answer.rs",
        "if text.iter().any(|byte| ahead.push(stops, *byte).stopped) {",
        "if text.iter().any(|byte| ahead.push(stops, *byte).stopped) && stops.is_empty() {",
    ),
    (
        "held-back text is shown although it belongs to a stop string",
        "answer.rs",
        "                    *matcher = StopMatcher::new();\n                    return Err(Wrong::Stop);",
        "                    return Err(Wrong::Stop);",
    ),
    (
        "held-back text is forgotten at the end",
        "monitor/reports/ends.rs",
        "        self.table.release_text(index);\n",
        "",
    ),
    (
        "held-back text is not told if all tokens have been told",
        "generation.rs",
        "self.waiting() > 0 || self.released",
        "self.waiting() > 0 || self.released && self.tokens == 0",
    ),
    (
        "the choices of another request stay in its place",
        "table.rs",
        "            buffer.words = words;\n",
        "            if matches!(buffer.words, Words::None) || matches!(words, Words::Stops(_)) {\n"
        "                buffer.words = words;\n            }\n",
        "                buffer.words = Words::None;\n",
        "",
    ),
    (
        "a role that must use a format may go without",
        "answer.rs",
        "        if rule.must_use() {",
        "        if rule.must_use() && rule.is_none() {",
    ),
    (
        "formats that a role may not use are admitted",
        "answer.rs",
        "if !rule.allows(named.index) {",
        "if !rule.allows(named.index) && rule.is_none() {",
    ),
    (
        "inference is told the number of the previous format",
        "answer.rs",
        "number: number.saturating_add(1),",
        "number,",
    ),
    (
        "the detail of a failure passes although the answer is bound",
        "monitor/reports/ends.rs",
        "Some(generation) => (bare(failure, generation), &[][..]),",
        "Some(generation) => (bare(failure, generation), detail),",
    ),
    (
        "the numbers of a failure pass although the answer is bound",
        "monitor/reports/ends.rs",
        "        code => Failure::of(code),\n",
        "        code => Failure { code, ..failure },\n",
    ),
    (
        "the length of the prompt passes although the answer is bound",
        "monitor/reports/ends.rs",
        "            true => (FinishReason::EndOfText, 0),",
        "            true => (FinishReason::EndOfText, prompt_tokens),",
    ),
    (
        "a template may add any number of tokens",
        "monitor/reports.rs",
        "if !loaded.info.has_sound_template() {",
        "if !loaded.info.has_sound_template() && loaded.info.parameters == 0 {",
    ),
    (
        "what a template adds is not reserved",
        "monitor/text.rs",
        "model.map_or(0, |it| extent.most_tokens(&it.loaded.info));",
        "model.map_or(0, |_| extent.most_tokens(&Default::default()));",
    ),
]

"""The little language in which plots are written, and its parser.

    [a|b|c]        one of the alternatives, which may hold anything, also nothing
    <happy>        one of the phrases of that name (`phrases.py`)
    {A}            a slot: a role, a thing, a place or a variant's text; after a dot the form that is wanted
    ^ or ~         the next letter is a capital one, or is not, where the rule of `grammar.capitalise` would miss it

A text of several *beats* separates them with a blank line; a line that starts with `/ ` begins another version of
the same beat. What a beat says, every version of it says; how, they choose.
"""

from dataclasses import dataclass


class TemplateError(ValueError):
    """A template that cannot be parsed; the text names the template."""


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Slot:
    name: str
    form: str


@dataclass(frozen=True)
class Phrase:
    name: str


@dataclass(frozen=True)
class Choice:
    options: tuple


Node = Text | Slot | Phrase | Choice
CLOSING = {"{": "}", "<": ">"}


def parse(source: str) -> tuple[Node, ...]:
    """One template to its nodes."""
    return _sequence(source, 0, inside=False)[0]


def beats(source: str) -> list[list[tuple[Node, ...]]]:
    """A text of several beats to the versions of each."""
    found = []
    for block in source.strip().split("\n\n"):
        versions, lines = [], []
        for line in block.split("\n"):
            line = line.strip()
            if line.startswith("/ "):
                versions.append(" ".join(lines))
                lines = [line[2:]]
            else:
                lines.append(line)
        versions.append(" ".join(lines))
        found.append([parse(version) for version in versions])
    return found


def _sequence(source: str, at: int, inside: bool):
    nodes, text = [], []

    def flush():
        if text:
            nodes.append(Text("".join(text)))
            text.clear()

    while at < len(source):
        char = source[at]
        if char in "|]":
            if inside:
                break
            raise TemplateError(f"{char} outside [ ] in {source!r}")
        if char == "[":
            flush()
            options = []
            while True:
                option, at = _sequence(source, at + 1, inside=True)
                options.append(option)
                if at >= len(source):
                    raise TemplateError(f"[ without ] in {source!r}")
                if source[at] == "]":
                    break
            nodes.append(Choice(tuple(options)))
        elif char in CLOSING:
            flush()
            end = source.find(CLOSING[char], at)
            if end < 0:
                raise TemplateError(f"{char} without {CLOSING[char]} in {source!r}")
            name = source[at + 1 : end]
            if char == "<":
                nodes.append(Phrase(name))
            else:
                name, _, form = name.partition(".")
                nodes.append(Slot(name, form))
            at = end
        else:
            text.append(char)
        at += 1
    flush()
    return tuple(nodes), at

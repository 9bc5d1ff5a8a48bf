"""Events by number: document i of seed s is a function of (split, s, i) alone, whatever was written before.

Three things keep the splits apart, and tests hold each:

- *Seeds*: every random choice starts from the text `split/seed/number`.
- *Combinations*: one in five of (kind, thing, state, fact) is held out. The training text never has what happened there
  happen to that thing in that state, at any hours; it has each of the three with others.
- *Wordings*: one in four of (frame, phrase) is held out, so that no line of the one split is one of the other. The training
  text has each frame and each phrase with others.

A held-out event is held out in both ways.
"""

import random
import zlib
from dataclasses import dataclass

from trainlib import chat

from . import rules, wordings
from .rules import PLAIN

SEPARATOR = "<|endoftext|>"
SPLITS = ("train", "valid")
HELD_OUT_OF = 5
"""One combination in so many is held out."""
EVENTS = 128
"""Of a document, so that what the standing text costs to read is paid once for all of them."""


@dataclass(frozen=True)
class Event:
    """What happens, what applies to it, and what is right."""

    kind: str
    thing: str
    state: str
    """Of the thing; of a temperature, on which side of the limit the reading lies."""
    fact: str
    is_open: bool
    line: str

    @property
    def combination(self) -> tuple[str, str, str, str]:
        return self.kind, self.thing, self.state, self.fact

    @property
    def right(self) -> str:
        return rules.right_class(self.kind, self.state, self.fact, self.is_open)


def is_held_out(combination: tuple[str, str, str, str]) -> bool:
    return zlib.crc32("/".join(combination).encode()) % HELD_OUT_OF == 0


def is_held_out_wording(frame: int, phrase: int) -> bool:
    """A diagonal, so that every frame and every phrase has one of four held out."""
    return (frame + phrase) % 4 == 0


def beginning(kind: str, state: str, limit: int, is_open: bool, chance: random.Random) -> str:
    """What applies, in words."""
    hours = chance.choice(wordings.HOURS[is_open])
    if state == PLAIN:
        text = wordings.PLAIN_BEGINNING.format(hours=hours)
    else:
        known = chance.choice(wordings.KNOWN[kind]["limit" if kind == "temperature" else state]).format(n=limit)
        text = chance.choice(wordings.BEGINNINGS).format(hours=hours, known=known)
    return text[0].upper() + text[1:]


def draw(kind: str, split: str, chance: random.Random) -> Event | None:
    """An event of this kind and split; none if what was drawn is not of the split."""
    thing = chance.choice(rules.THINGS[kind])
    state = chance.choice(sorted(rules.RULES[kind]))
    fact = chance.choice(sorted(rules.RULES[kind][state]))
    is_open = chance.random() < 0.5
    frame = chance.randrange(len(wordings.FRAMES[kind]))
    phrase = chance.randrange(len(wordings.PHRASES[kind][fact]))
    limit = reading = 0
    wanted = split == "valid"
    if is_held_out((kind, thing, state, fact)) != wanted or is_held_out_wording(frame, phrase) != wanted:
        return None
    if kind == "temperature":
        limit = chance.choice(rules.LIMITS)
        distance = chance.randint(1, rules.FAR)
        reading = limit + (distance if state == "above" else -distance)
    said = wordings.PHRASES[kind][fact][phrase].format(n=reading)
    line = beginning(kind, state, limit, is_open, chance) + wordings.FRAMES[kind][frame].format(t=thing, p=said)
    return Event(kind, thing, state, fact, is_open, line)


def make(split: str, seed: int, number: int, count: int) -> list[Event]:
    """Events, each drawn for itself: what applies to one says nothing of the next."""
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, must be one of {', '.join(SPLITS)}")
    chance = random.Random(f"events/{split}/{seed}/{number}")
    found = []
    for _ in range(count):
        kind, event = chance.choice(sorted(rules.THINGS)), None
        while event is None:
            event = draw(kind, split, chance)
        found.append(event)
    return found


def document(split: str, seed: int, number: int, count: int = EVENTS) -> str:
    """A conversation: the standing text as the system's, the line of each event as a user's, its class as the answer. Each
    event is judged by its line alone, so the order of the events means nothing."""
    turns = [turn for event in make(split, seed, number, count) for turn in (("user", event.line), ("assistant", event.right))]
    return chat.write([("system", wordings.STANDING), *turns])


def write(file, count: int, split: str, seed: int) -> int:
    """Writes `count` documents; returns their bytes."""
    return sum(file.write(f"{document(split, seed, number)}\n{SEPARATOR}\n") for number in range(count))

"""Sites and events by number: document i of seed s is a function of (split, s, i) alone, whatever was written before.

Three things keep the splits apart, and tests hold each:

- *Seeds*: every random choice starts from the text `split/seed/number`.
- *Combinations*: one in five of (kind, thing, state, fact) is held out. The training text never has what happened there
  happen to that thing in that state; it has each of the three with others.
- *Wordings*: one in four of (frame, phrase) is held out, so that no line of the one split is one of the other. The training
  text has each frame and each phrase with others.

A held-out event is held out in both ways.
"""

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from trainlib import chat

from . import rules, wordings
from .rules import PLAIN

SEPARATOR = "<|endoftext|>"
SPLITS = ("train", "valid")
HELD_OUT_OF = 5
"""One combination in so many is held out."""
MOST_NOTES = 18
"""Of a site. The fewest are two."""
EVENTS = 16
"""Of a document of the training text, so that what its notes cost to read is paid once for all of them."""
STATES = 0.35
"""How often a question of a training document asks for the state of a thing instead: what an event means hangs on it, and what
the notes say is learnt much sooner if it is asked for by itself. (They come to nearly half of all, since events that are held
out are drawn again.)"""
NOTED = 0.6
"""Share of the events that happen to a thing that a note is about, as far as there is one."""


@dataclass(frozen=True)
class Event:
    """What happens, and what is right."""

    kind: str
    thing: str
    state: str
    """Of the thing, by the notes; of a temperature, on which side of the limit the reading lies."""
    fact: str
    line: str
    right: str

    @property
    def combination(self) -> tuple[str, str, str, str]:
        return self.kind, self.thing, self.state, self.fact


@dataclass(frozen=True)
class Site:
    """What the one who judges knows of a site."""

    is_open: bool
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    """By kind and thing; of a thing that is not there, nothing is noted."""
    limits: dict[str, int] = field(default_factory=dict)
    """Degrees, by place."""
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The notes as the model reads them, as the system's text."""
        notes = (wordings.HOURS[self.is_open], *self.notes)
        return "\n".join((wordings.PREAMBLE, *(wordings.NOTE + note for note in notes)))


def is_held_out(combination: tuple[str, str, str, str]) -> bool:
    return zlib.crc32("/".join(combination).encode()) % HELD_OUT_OF == 0


def is_held_out_wording(frame: int, phrase: int) -> bool:
    """A diagonal, so that every frame and every phrase has one of four held out."""
    return (frame + phrase) % 4 == 0


def make_site(chance: random.Random, notes: int | None = None) -> Site:
    """A site with a number of notes, by chance if none is given."""
    things = [(kind, thing) for kind, names in rules.THINGS.items() for thing in names]
    # Few more often than many: of few, it is learnt sooner what notes are for.
    noted = chance.sample(things, notes or 2 + int((MOST_NOTES - 1) * chance.random() ** 2))
    states, limits, written = {}, {}, []
    for kind, thing in noted:
        state = chance.choice(sorted(wordings.NOTES[kind]))
        degrees = chance.choice(rules.LIMITS)
        if kind == "temperature":
            limits[thing] = degrees
        else:
            states[kind, thing] = state
        written.append(chance.choice(wordings.NOTES[kind][state]).format(t=thing, n=degrees))
    return Site(chance.random() < 0.5, states, limits, tuple(written))


def make_event(site: Site, split: str, chance: random.Random, states: float = 0.0) -> Event | None:
    """An event of this split at this site; none if what was drawn is of the other. With a chance of `states`, a question for the
    state of a thing."""
    noted = [*site.states, *(("temperature", place) for place in site.limits)]
    if noted and chance.random() < NOTED:
        kind, thing = chance.choice(noted)
    else:
        kind = chance.choice(sorted(rules.THINGS))
        thing = chance.choice(sorted(site.limits) if kind == "temperature" and site.limits else rules.THINGS[kind])
    degrees = 0
    if kind == "temperature":
        if thing not in site.limits:
            return None
        state = chance.choice(("below", "above"))
        distance = chance.randint(1, rules.FAR)
        degrees = site.limits[thing] + (distance if state == "above" else -distance)
    else:
        state = site.states.get((kind, thing), PLAIN)
    if chance.random() < states:
        frame = chance.choice(wordings.FRAMES[kind])
        line = frame.format(t=thing, p=wordings.ASKED[kind].format(n=degrees))
        return Event(kind, thing, state, wordings.STATE, line, wordings.STATE_WORDS[state])
    fact = chance.choice(sorted(rules.RULES[kind][state]))
    frame = chance.randrange(len(wordings.FRAMES[kind]))
    phrase = chance.randrange(len(wordings.PHRASES[kind][fact]))
    wanted = split == "valid"
    if is_held_out((kind, thing, state, fact)) != wanted or is_held_out_wording(frame, phrase) != wanted:
        return None
    said = wordings.PHRASES[kind][fact][phrase].format(n=degrees)
    line = wordings.FRAMES[kind][frame].format(t=thing, p=said)
    return Event(kind, thing, state, fact, line, rules.right_class(kind, state, fact, site.is_open))


def make(split: str, seed: int, number: int, events: int, states: float = 0.0) -> tuple[Site, list[Event]]:
    """A site, and events at it; a share of `states` of them are questions for states."""
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, must be one of {', '.join(SPLITS)}")
    chance = random.Random(f"events/{split}/{seed}/{number}")
    site, found = make_site(chance), []
    while len(found) < events:
        event = make_event(site, split, chance, states)
        if event:
            found.append(event)
    return site, found


def document(split: str, seed: int, number: int, events: int = EVENTS) -> str:
    """A conversation: the notes of a site as the system's text, the line of each event as a user's, its class as the answer.
    Each event is judged by the notes alone, so the order of the events means nothing."""
    site, found = make(split, seed, number, events, STATES if split == "train" else 0.0)
    turns = [turn for event in found for turn in (("user", event.line), ("assistant", event.right))]
    return chat.write([("system", site.text), *turns])


def watch(split: str, seed: int, count: int) -> tuple[Site, list[Event]]:
    """A site about which there are as many notes as there can be, and events at it. What happens there happens again, so a
    line may come more than once."""
    chance = random.Random(f"watch/{split}/{seed}")
    site, found = make_site(chance, MOST_NOTES), []
    while len(found) < count:
        event = make_event(site, split, chance)
        if event:
            found.append(event)
    return site, found


def questions(split: str, seed: int, count: int) -> Iterator[tuple[Site, Event]]:
    """One event each at `count` sites."""
    for number in range(count):
        site, (event,) = make(split, seed, number, 1)
        yield site, event


def write(file, count: int, split: str, seed: int) -> int:
    """Writes `count` documents; returns their bytes."""
    return sum(file.write(f"{document(split, seed, number)}\n{SEPARATOR}\n") for number in range(count))

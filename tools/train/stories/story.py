"""One story: a plot, its cast and its things, realised as text.

The realiser walks a template and chooses. Its one rule: **it chooses a pronoun only for the character of its gender who
was named last, in this paragraph, at most one sentence ago**; all other mentions are by name, save where the template
itself asks for a pronoun (`{A.he}`). So a "he" can be resolved by looking back, which is what a small model must learn.
"""

import random
from dataclasses import dataclass, field
from functools import cache

from . import grammar, openings, phrases, places, template, things
from .characters import Caster, Character
from .template import Choice, Node, Phrase, Slot, Text

PRONOUN_SHARE = 0.6
"""How often a character who may be called by pronoun is."""
PRONOUN_SHARE_SAME_SENTENCE = 0.9
FULL_NAME_SHARE = 0.3
"""How often a known thing is named with its adjective: the red kite."""
JOIN_SHARE = 0.4
"""How often a beat goes on in the paragraph of the beat before."""
NO_OPENING_SHARE = 0.2
"""How often a story starts with its plot's first beat."""
TAGS = {"said": "said", "asked": "asked", "cried": "cried", "whispered": "whispered", "called": "called", "answered": "answered",
        "shouted": "shouted", "thought": "thought"}


@dataclass(frozen=True)
class Plot:
    """A skeleton: what is wished for, what stands in the way, who helps, how it feels, and what the end looks back to."""

    name: str
    text: str
    """Beats in the language of `template.py`."""
    cast: dict[str, str]
    """Role to description (`characters.Caster.cast`); the hero is A and comes first."""
    things: dict[str, str] = field(default_factory=dict)
    """Name to kind (`things.KINDS`)."""
    variants: tuple[dict[str, str], ...] = ()
    """Sets of texts that belong together, one set a story: `{v.key}`. A noun phrase with "a" has "the" from its second mention on; `{a.key}` keeps it as it is."""
    sky: str = "any"
    """The weather: any, sun, rain, snow, wind or night."""
    home: str = ""
    """For animals: which of `places.WILD_HOMES`."""


@cache
def compiled(text: str) -> tuple[Node, ...]:
    return template.parse(text)


@cache
def compiled_beats(text: str):
    return template.beats(text)


@dataclass(frozen=True)
class Told:
    """A finished story with what it was made of, for the tests and for no one else."""

    text: str
    plot: Plot
    cast: dict[str, Character]
    things: dict[str, things.Thing]


class Teller:
    def __init__(self, plot: Plot, chance: random.Random):
        self.plot, self.chance = plot, chance
        caster = Caster(chance)
        self.cast: dict[str, Character] = {}
        for role, description in plot.cast.items():
            self.cast[role] = caster.cast(description, self.cast.get("A"))
        self.hero = self.cast["A"]
        taken: set[str] = set()
        self.things = {name: things.choose(kind, chance, taken) for name, kind in plot.things.items()}
        self.variant = chance.choice(plot.variants) if plot.variants else {}
        self.said: set[str] = set()
        """Keys of the variant that have come up."""
        self.fixed: dict[str, str] = {}
        self.dated = False
        self.out: list[str] = []
        self.paragraphs: list[str] = []
        self.sentence, self.quoted = 0, False
        self.last: dict[str, Character] = {}
        self.mentioned: dict[Character, int] = {}
        self.here: set[Character] = set()
        """Characters named in this paragraph."""

    # The whole

    def tell(self) -> Told:
        beats = compiled_beats(self.plot.text)
        if self.chance.random() >= NO_OPENING_SHARE:
            self.paragraph(compiled(self.opening()), join=False)
        for number, versions in enumerate(beats):
            version = self.chance.choice(versions)
            self.paragraph(version, join=self.chance.random() < (JOIN_SHARE if number else 0.7))
        text = "\n\n".join(self.paragraphs)
        return Told(text, self.plot, self.cast, self.things)

    def opening(self) -> str:
        child = self.hero.kind in ("boy", "girl")
        fitting = [o for o in openings.OPENINGS if o.sky in ("any", self.plot.sky) and (child or not o.people)
                   and not (o.dated and self.plot.sky == "night")]
        opening = self.chance.choices(fitting, [o.weight for o in fitting])[0]
        self.dated = opening.dated
        return opening.text

    def paragraph(self, nodes: tuple[Node, ...], join: bool):
        """Realises nodes as a paragraph of its own, or at the end of the one before if neither holds speech at the seam."""
        before = self.paragraphs[-1] if self.paragraphs else ""
        joined = join and before and not before.endswith('"') and not before.startswith('"')
        if not joined:
            self.here.clear()
        self.out.clear()
        self.sentence += 1
        self.quoted = False
        self.walk(nodes)
        new = " ".join("".join(self.out).split())
        new = grammar.capitalise(grammar.correct_articles(grammar.once(new)))
        if joined and not new.startswith('"'):
            self.paragraphs[-1] = f"{before} {new}"
        else:
            self.paragraphs.append(new)

    # Nodes

    def walk(self, nodes: tuple[Node, ...]):
        for node in nodes:
            if isinstance(node, Text):
                self.emit(node.text)
            elif isinstance(node, Choice):
                self.walk(self.chance.choice(node.options))
            elif isinstance(node, Phrase):
                self.emit(self.chance.choice(phrases.PHRASES[node.name].split("|")))
            else:
                self.slot(node)

    def emit(self, text: str):
        self.out.append(text)
        if text.count('"') % 2:
            self.quoted = not self.quoted
        self.sentence += text.count(". ") + text.count("! ") + text.count("? ") + text.count('." ')

    def slot(self, slot: Slot):
        name, form = slot.name, slot.form
        if name in self.cast:
            self.refer(self.cast[name], form)
        elif name in self.things:
            self.emit(self.name_thing(self.things[name], form))
        elif name == "v":
            known, text = form in self.said, self.variant[form]
            self.said.add(form)
            self.walk(compiled(grammar.definite(text) if known else text))
        elif name == "a":
            self.walk(compiled(self.variant[form]))
        elif name == "day":
            self.emit(self.day())
        elif name == "home":
            self.emit(self.once("home", places.WILD_HOMES.get(self.plot.home, places.HOMES)))
        elif name == "p":
            self.emit(self.once(form, places.PLACES[form]))
        elif name == "number":
            self.emit(self.once("number", openings.NUMBERS))
        elif name == "few":
            self.emit(self.once("few", ["two", "three", "four", "five"]))
        else:
            raise template.TemplateError(f"plot {self.plot.name!r}: no such slot {{{name}.{form}}}")

    def once(self, key: str, options: list[str]) -> str:
        """A choice that the story then keeps."""
        if key not in self.fixed:
            self.fixed[key] = self.chance.choice(options)
        return self.fixed[key]

    def day(self) -> str:
        night = self.plot.sky == "night"
        options = (openings.LATER_NIGHT if night else openings.LATER) if self.dated else openings.DAYS[self.plot.sky]
        self.dated = True
        return self.chance.choice(options)

    def name_thing(self, thing: things.Thing, form: str) -> str:
        known = thing.full if self.chance.random() < FULL_NAME_SHARE else thing.noun
        forms = {"a": thing.a, "the": f"the {known}", "": known, "noun": thing.noun, "full": thing.full}
        return forms[form]

    # References to characters

    def refer(self, who: Character, form: str):
        if form in TAGS:
            self.tag(who, TAGS[form])
            return
        pronouns = who.pronouns
        lower = form.lower()
        if lower in ("he", "him", "his", "himself"):
            word = getattr(pronouns, lower)
            self.emit("^" + word if form != lower else word)
        elif form == "intro":
            self.emit(who.intro)
        elif form == "plain":
            self.emit(who.plain_intro)
        elif form == "who":
            self.emit(grammar.with_article(f"{who.trait} {who.kind}"))
        elif form == "kind":
            self.emit(who.kind)
            return
        elif form == "quality":
            self.emit(self.once("quality", openings.QUALITIES))
            return
        elif form == "feature":
            self.walk(compiled(self.once("feature", openings.FEATURES[who.kind in ("boy", "girl")])))
            return
        elif form == "call":
            self.emit(who.call or who.kind)
        elif form in ("", "o", "s", "name"):
            self.name(who, form)
        else:
            raise template.TemplateError(f"plot {self.plot.name!r}: no such form {form!r} of a character")
        self.note(who)

    def name(self, who: Character, form: str):
        """By name or by pronoun: subject (""), object ("o"), possessive ("s"); "name" is always the name."""
        if self.quoted:
            name = who.call or who.name
        elif who is self.hero and who not in self.mentioned and form in ("", "o"):
            name = who.intro
        elif form != "name" and self.clear(who) and self.chance.random() < self.share(who):
            self.emit({"": who.pronouns.he, "o": who.pronouns.him, "s": who.pronouns.his}[form])
            return
        else:
            name = who.name
        self.emit(grammar.possessive(name) if form == "s" else name)

    def tag(self, who: Character, verb: str):
        """Who speaks: said Tom, Tom said, he said."""
        if self.clear(who) and self.chance.random() < 0.4:
            self.emit(f"{who.pronouns.he} {verb}")
        elif self.chance.random() < 0.6 and verb != "thought":
            self.emit(f"{verb} {who.name}")
        else:
            self.emit(f"{who.name} {verb}")
        self.note(who)

    def clear(self, who: Character) -> bool:
        """Whether a pronoun can only mean `who`."""
        return (self.last.get(who.pronouns.he) is who and who in self.here and self.sentence - self.mentioned[who] <= 1
                and not self.quoted)

    def share(self, who: Character) -> float:
        return PRONOUN_SHARE_SAME_SENTENCE if self.mentioned[who] == self.sentence else PRONOUN_SHARE

    def note(self, who: Character):
        self.last[who.pronouns.he] = who
        self.mentioned[who] = self.sentence
        self.here.add(who)


def tell(plot: Plot, chance: random.Random) -> Told:
    return Teller(plot, chance).tell()

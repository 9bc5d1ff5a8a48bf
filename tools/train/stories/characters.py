"""Who is in a story: names, kinds, traits, and the cast that a plot asks for."""

import random
from dataclasses import dataclass

from . import grammar
from .grammar import HE, SHE, Pronouns

BOYS = """Tom Ben Sam Max Leo Finn Jack Noah Luke Owen Eli Theo Hugo Oscar Felix Adam Omar Ravi Milo Kofi Nico Hans Ivan
Diego Bill Ted Jim Peter Henry Arthur""".split()
GIRLS = """Mia Anna Lily Zoe Ella Ruby Nora Ivy Rose Emma Lucy Sara Maya Nina Clara Alma Iris Amy Kate Sue Jane Mary Lena
Tara Aisha Yuki Rita Elsa Molly Betty""".split()
BOY_ANIMALS = "Pip Moss Rusty Bruno Hopper Puff Ollie Chip Basil Ziggy Barney Scout Bobo Digger Flint Nibs".split()
GIRL_ANIMALS = "Dot Poppy Hazel Willow Tilly Pearl Daisy Bella Fern Misty Honey Clover Peaches Olive Coco Minnie".split()

TRAITS = "little kind clever quiet brave cheerful curious busy friendly gentle careful funny shy merry".split()
"""Adjectives that stand before "boy" and "rabbit" and promise nothing that a plot could break."""

ANIMALS = {
    "wood": "rabbit squirrel fox hedgehog mouse bear badger deer owl beaver raccoon mole".split(),
    "pond": "frog duck turtle otter swan".split(),
    "ground": "rabbit squirrel mouse mole hedgehog chipmunk".split(),
    "soft": "rabbit mouse mole squirrel chipmunk".split(),
    "garden": "snail mouse robin beetle bee ladybug ant hedgehog".split(),
    "small": "mouse ladybug ant beetle".split(),
    "big": "bear horse elephant lion".split(),
    "bird": "robin sparrow swallow owl".split(),
    "slow": "turtle snail toad".split(),
    "fast": "rabbit hare fox deer".split(),
    "prickly": ["hedgehog", "porcupine"],
}

GROWN_UPS = [
    # What the narration says, what a child calls them, pronouns. {his} is the hero's.
    ("{his} mom", "Mom", SHE),
    ("{his} mother", "Mama", SHE),
    ("Mom", "Mom", SHE),
    ("Mama", "Mama", SHE),
    ("{his} dad", "Dad", HE),
    ("{his} father", "Papa", HE),
    ("Dad", "Dad", HE),
    ("Papa", "Papa", HE),
    ("{his} grandma", "Grandma", SHE),
    ("Grandma", "Grandma", SHE),
    ("{his} grandpa", "Grandpa", HE),
    ("Grandpa", "Grandpa", HE),
]
PARENTS = GROWN_UPS[:8]
GRANDPARENTS = GROWN_UPS[8:]
SIBLINGS = [("big sister", SHE), ("big brother", HE), ("older sister", SHE), ("older brother", HE)]
LITTLE_SIBLINGS = [("little sister", SHE), ("little brother", HE), ("younger sister", SHE), ("younger brother", HE)]
BABIES = [("baby sister", SHE), ("baby brother", HE)]
NEIGHBOURS = """Lake Hill Green Brown Wood Stone Bell Field Rivers Park Gray Cook Fisher Young West Reed""".split()
WORKERS = {
    "shop": "baker shopkeeper toymaker".split(),
    "street": ["mail carrier", "bus driver", "police officer", "street sweeper"],
    "park": ["gardener", "park keeper", "ice cream seller"],
    "school": ["teacher"],
    "doctor": ["doctor", "nurse"],
    "vet": ["vet"],
    "library": ["librarian"],
    "bus": ["bus driver"],
    "clock": ["clockmaker", "watchmaker"],
}


@dataclass(eq=False)
class Character:
    """One person or animal of a story. The name and the pronouns never change."""

    name: str
    """What the narration says: "Tom", "his mom", "Mrs. Lake"."""
    kind: str
    """What it is: "boy", "rabbit", "baker"."""
    pronouns: Pronouns
    trait: str = ""
    call: str = ""
    """What others call it when they speak to it."""
    family: str = ""
    """The other family members' title in an animal story: Mama Rabbit."""

    @property
    def intro(self) -> str:
        """First mention by kind and name: a little boy named Tom."""
        return grammar.with_article(f"{self.trait} {self.kind}".strip()) + f" named {self.name}"

    @property
    def plain_intro(self) -> str:
        """First mention of a lesser character: a boy named Tom."""
        return grammar.with_article(self.kind) + f" named {self.name}"


class Caster:
    """Finds a character for each role, no name and no first letter of a child's name used twice."""

    def __init__(self, chance: random.Random):
        self.chance = chance
        self.taken: set[str] = set()

    def _name(self, names: list[str]) -> str:
        free = [name for name in names if name[0] not in self.taken]
        name = self.chance.choice(free)
        self.taken.add(name[0])
        return name

    def _named(self, kind: str, names: tuple[list[str], list[str]], gender: Pronouns | None) -> Character:
        gender = gender or self.chance.choice((HE, SHE))
        name = self._name(names[0] if gender is HE else names[1])
        return Character(name, kind, gender, self.chance.choice(TRAITS), name)

    def cast(self, role: str, hero: Character | None) -> Character:
        """A character for a role's description: `child`, `animal wood`, `parent`, `grandparent`, `sibling`, `little`,
        `baby`, `neighbour`, `worker shop`. The hero is cast first: the family is named after the hero."""
        what, _, where = role.partition(" ")
        chance = self.chance
        if what == "child":
            gender = {"boy": HE, "girl": SHE}.get(where) or chance.choice((HE, SHE))
            return self._named("boy" if gender is HE else "girl", (BOYS, GIRLS), gender)
        if what == "other":  # a child of the other gender than the hero: pronouns tell the two apart
            gender = SHE if hero.pronouns is HE else HE
            return self._named("boy" if gender is HE else "girl", (BOYS, GIRLS), gender)
        if what in ("animal", "otheranimal"):
            kinds = [kind for kind in ANIMALS[where] if not hero or kind != hero.kind]
            gender = None if what == "animal" else (SHE if hero.pronouns is HE else HE)
            kind = chance.choice(kinds)
            return self._named(kind, (BOY_ANIMALS, GIRL_ANIMALS), gender)
        if what in ("parent", "grandparent", "grownup"):
            titles = {"parent": PARENTS, "grandparent": GRANDPARENTS, "grownup": GROWN_UPS}[what]
            name, call, gender = chance.choice(titles)
            return Character(name.format(his=hero.pronouns.his), call.lower(), gender, "", call)
        if what == "animalparent":
            call, gender = chance.choice((("Mama", SHE), ("Papa", HE), ("Grandma", SHE), ("Grandpa", HE)))
            return Character(f"{call} {hero.kind.capitalize()}", hero.kind, gender, "", call)
        if what in ("sibling", "little", "baby"):
            kind, gender = chance.choice({"sibling": SIBLINGS, "little": LITTLE_SIBLINGS, "baby": BABIES}[what])
            name = self._name(BOYS if gender is HE else GIRLS)
            return Character(name, kind, gender, "", name)
        if what == "neighbour":
            title, kind, gender = chance.choice((("Mrs.", "woman", SHE), ("Mr.", "man", HE), ("Miss", "woman", SHE)))
            name = f"{title} {chance.choice(NEIGHBOURS)}"
            return Character(name, kind, gender, chance.choice(("old", "kind", "friendly")), name)
        if what == "worker":
            kind, gender = chance.choice(WORKERS[where]), chance.choice((HE, SHE))
            return Character(f"the {kind}", kind, gender, chance.choice(("kind", "old", "friendly", "tall")), "")
        raise ValueError(f"no such kind of role: {role!r}")

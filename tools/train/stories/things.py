"""The objects of a story. One that has come in with an adjective keeps it."""

import random
from dataclasses import dataclass

from . import grammar

COLOURS = "red blue green yellow orange purple white brown pink".split()
SIZES = "little small tiny big".split()
LOOKS = "shiny new old soft round pretty bright".split()

KINDS: dict[str, tuple[str, list[str]]] = {
    # kind: (which adjectives, nouns)
    "toy": ("red blue green yellow orange little small big new shiny wooden old",
            ["ball", "kite", "toy boat", "toy car", "toy truck", "train", "drum", "top", "robot", "puppet", "doll",
             "wagon", "yo-yo", "toy plane"]),
    "soft": ("soft brown gray white pink old little yellow fluffy",
             ["teddy bear", "toy rabbit", "blanket", "toy dog", "toy elephant", "pillow", "toy cat", "toy lamb"]),
    "small": ("shiny little round blue red green silver golden tiny smooth",
              ["button", "marble", "ring", "coin", "key", "bell", "shell", "stone", "bead", "whistle", "feather"]),
    "wear": ("red blue green yellow warm soft woolly new striped purple",
             ["hat", "scarf", "coat", "sweater", "cap", "jacket"]),
    "book": ("big old new thick little blue red", ["book", "picture book", "story book", "notebook"]),
    "lost": ("red blue green little old brown black striped",
             ["bag", "umbrella", "purse", "glove", "hat", "scarf", "basket", "watch", "wallet"]),
    "fruit": ("big red sweet juicy ripe round", ["apple", "pear", "peach", "plum", "orange", "melon"]),
    "treat": ("big sweet warm fresh little round", ["cookie", "bun", "cake", "muffin", "pie", "pancake", "sandwich", "donut"]),
    "pet": ("little brown black white gray spotted fluffy small", ["dog", "cat", "puppy", "kitten", "rabbit"]),
    "music": ("little old new shiny wooden", ["drum", "flute", "guitar", "horn", "fiddle", "trumpet"]),
    "ride": ("red blue green shiny new fast yellow", ["bike", "scooter", "sled", "wagon", "skateboard"]),
    "vase": ("blue white tall old pretty green", ["vase", "bowl", "cup", "plate", "jug", "teapot", "lamp"]),
    "plant": ("little green small tiny", ["sunflower", "bean plant", "pumpkin plant", "rose bush", "apple tree", "tulip"]),
    "gift": ("red little pretty warm new blue bright",
             ["scarf", "bracelet", "picture frame", "card", "bookmark", "box", "mug", "hat"]),
    "tool": ("old little big wooden", ["spade", "hammer", "ladder", "broom", "rake", "bucket", "rope", "net"]),
    "wild": ("little brown gray small baby", ["bird", "squirrel", "duckling", "hedgehog", "robin", "rabbit", "turtle"]),
    "box": ("old little wooden big tin dusty", ["box", "chest", "basket", "trunk"]),
}


@dataclass(eq=False)
class Thing:
    """An object: "red kite". Its noun and adjective never change."""

    noun: str
    adjective: str

    @property
    def full(self) -> str:
        return f"{self.adjective} {self.noun}"

    @property
    def a(self) -> str:
        return grammar.with_article(self.full)


def choose(kind: str, chance: random.Random, taken: set[str]) -> Thing:
    """A thing of a kind, with a noun that the story does not use yet."""
    adjectives, nouns = KINDS[kind]
    noun = chance.choice([noun for noun in nouns if noun.split()[-1] not in taken])
    taken.add(noun.split()[-1])
    fitting = [word for word in adjectives.split() if word not in noun.split() and (word, noun) not in ODD]
    return Thing(noun, chance.choice(fitting))


ODD = {
    ("wooden", "ball"), ("wooden", "kite"), ("silver", "stone"), ("golden", "stone"), ("red", "orange"), ("silver", "marble"),
    ("golden", "marble"), ("silver", "shell"), ("golden", "shell"), ("golden", "feather"), ("smooth", "feather"), ("shiny", "feather"),
    ("round", "feather"), ("silver", "feather"), ("round", "key"), ("soft", "key"), ("striped", "watch"), ("striped", "basket"),
    ("striped", "wallet"), ("red", "pear"), ("warm", "cap"), ("round", "sandwich"), ("fluffy", "blanket"), ("sweet", "sandwich"),
    ("little", "teapot"), ("round", "ring"), ("red", "melon"), ("round", "plum"), ("shiny", "doll"), ("shiny", "puppet"),
    ("wooden", "drum"), ("gray", "blanket"), ("warm", "sandwich"), ("warm", "bracelet"), ("warm", "card"), ("warm", "bookmark"),
    ("warm", "box"), ("warm", "mug"), ("warm", "picture frame"), ("wooden", "flute"), ("wooden", "rope"), ("wooden", "net"),
    ("shiny", "guitar"), ("shiny", "kite"), ("round", "button"), ("round", "coin"), ("silver", "button"), ("golden", "button"),
    ("striped", "purse"), ("wooden", "doll"), ("round", "marble"), ("round", "bead"), ("round", "bell"), ("golden", "bead"),
    ("tin", "basket"), ("tin", "chest"), ("dusty", "basket"), ("round", "cake"), ("fluffy", "pillow"), ("round", "whistle"),
    ("round", "melon"), ("red", "peach"), ("round", "orange"), ("wooden", "yo-yo"), ("wooden", "horn"), ("wooden", "trumpet"),
    ("brown", "turtle"), ("brown", "robin"), ("gray", "robin"), ("gray", "turtle"), ("brown", "blanket"), ("brown", "pillow"),
    ("yellow", "toy elephant"), ("yellow", "toy cat"), ("pink", "toy dog"), ("spotted", "kitten"), ("brown", "duckling"),
    ("baby", "duckling"), ("baby", "robin"), ("blue", "shell"), ("green", "shell"), ("green", "coin"), ("blue", "coin"),
    ("red", "coin"), ("red", "stone"), ("green", "key"), ("red", "key"), ("blue", "key"), ("smooth", "key"), ("smooth", "bell"),
    ("smooth", "coin"), ("smooth", "whistle"), ("round", "shell"), ("red", "shell"), ("smooth", "ring"), ("green", "feather"),
}
"""Adjective and noun that do not go together, or say the same twice."""

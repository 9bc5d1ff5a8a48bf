"""Stories by number: story i of seed s is a function of (s, i) alone, whatever was written before.

The training and the held-out split have seeds that never meet: every random choice starts from the text
`split/seed/number`.
"""

import random
from collections.abc import Iterator

from .plots import PLOTS
from .story import Told, tell

SEPARATOR = "<|endoftext|>"
SPLITS = ("train", "valid")


def story(split: str, seed: int, number: int) -> Told:
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, must be one of {', '.join(SPLITS)}")
    chance = random.Random(f"{split}/{seed}/{number}")
    return tell(chance.choice(PLOTS), chance)


def stories(split: str, seed: int) -> Iterator[Told]:
    """Stories without end."""
    number = 0
    while True:
        yield story(split, seed, number)
        number += 1


def write(file, size: int, split: str, seed: int) -> int:
    """Writes whole stories until `size` bytes are reached; returns how many stories it took."""
    written = 0
    for count, told in enumerate(stories(split, seed), 1):
        written += file.write(f"{told.text}\n{SEPARATOR}\n")
        if written >= size:
            return count
    raise AssertionError("stories never end")

"""The training text: tales of the corpus and stories of the generator, in a stated proportion.

Documents come in a seeded random order, so that any stretch of the text holds both registers. The tales that are taken
are the first ones of that order; the stories are stories 0, 1, 2, … of the generator's training split.
"""

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path

from stories import generate

from . import corpus

SEPARATOR_BYTES = len(corpus.SEPARATOR) + 2
"""A document in the file ends with a newline, the separator and a newline."""


@dataclass(frozen=True)
class Mix:
    """What went into a text."""

    seed: int
    tales: int
    tales_bytes: int
    stories: int
    stories_bytes: int

    @property
    def share(self) -> float:
        """Share of the stories in the bytes."""
        return self.stories_bytes / (self.tales_bytes + self.stories_bytes)


def size_of(document: str) -> int:
    return len(document.encode()) + SEPARATOR_BYTES


def take(documents, size: int) -> list[str]:
    """Whole documents until `size` bytes are reached, or all of them."""
    taken, have = [], 0
    for document in documents:
        if have >= size:
            break
        taken.append(document)
        have += size_of(document)
    return taken


def mix(tales: list[str], share: float, size: int | None, seed: int) -> tuple[list[str], Mix]:
    """Documents of `size` bytes in all (None: all tales), of which `share` are stories."""
    if not 0.0 <= share < 1.0:
        raise ValueError(f"the share of stories is {share}, must be at least 0 and below 1")
    chance = random.Random(seed)
    tales = chance.sample(tales, len(tales))
    if size is not None:
        tales = take(tales, round(size * (1.0 - share)))
    tales_bytes = sum(map(size_of, tales))
    # The tales are counted first: their last document overshoots, and the stories keep the proportion.
    wanted = round(tales_bytes * share / (1.0 - share))
    stories = take((told.text for told in generate.stories("train", seed)), wanted) if wanted else []
    made = Mix(seed, len(tales), tales_bytes, len(stories), sum(map(size_of, stories)))
    return chance.sample(tales + stories, len(tales) + len(stories)), made


def write(place: Path, share: float, size: int | None, seed: int) -> Mix:
    """Writes the text, and beside it, as .json, what it is made of."""
    tales = [document for path in corpus.train_files() for document in corpus.documents(path)]
    documents, made = mix(tales, share, size, seed)
    with corpus.whole(place) as file:
        for document in documents:
            file.write(f"{document}\n{corpus.SEPARATOR}\n")
    place.with_suffix(".json").write_text(json.dumps(asdict(made), indent=1) + "\n")
    return made

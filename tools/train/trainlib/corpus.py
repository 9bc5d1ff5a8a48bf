"""Text files to documents. A document ends at a line that holds only `<|endoftext|>`."""

import os
import random
from contextlib import contextmanager
from pathlib import Path

SEPARATOR = "<|endoftext|>"
TITLE_BYTES = 80
"""A first paragraph of one line, shorter than this and without an end mark, is taken for a title."""

REPOSITORY = Path(__file__).resolve().parents[3]


def shared_folder() -> Path:
    """The folder that holds `corpus/`: `SEL4_LLM_SHARED`, or `shared` beside the repository."""
    return Path(os.environ.get("SEL4_LLM_SHARED", REPOSITORY.parent / "shared"))


def train_files() -> list[Path]:
    return [shared_folder() / "corpus" / name for name in ("train.txt", "train-extra.txt")]


def valid_file() -> Path:
    return shared_folder() / "corpus" / "valid.txt"


def documents(path: Path) -> list[str]:
    """The documents of a file, without the newlines at their ends; empty ones are left out."""
    found, lines = [], []
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            if line.rstrip("\n") == SEPARATOR:
                found.append("".join(lines).strip("\n"))
                lines = []
            else:
                lines.append(line)
    found.append("".join(lines).strip("\n"))
    return [document for document in found if document]


@contextmanager
def whole(place: Path):
    """A text file to write, which takes its place only when all of it is there."""
    unfinished = place.with_name(f"{place.name}.new")
    with open(unfinished, "w", encoding="utf-8", newline="\n") as file:
        yield file
    os.replace(unfinished, place)


def without_title(document: str) -> str:
    """The document from its second paragraph on, if the first one looks like a title."""
    title, separator, rest = document.partition("\n\n")
    is_title = "\n" not in title and len(title) < TITLE_BYTES and not title.endswith((".", "!", '"', "'", ","))
    return rest if separator and is_title else document


def drop_titles(texts: list[str], share: float, seed: int) -> list[str]:
    """Drops the titles of a seeded `share` of the documents, so that stories also begin with their first sentence:
    a prompt such as "Once upon a time" stands where else only titles stand."""
    chance = random.Random(seed)
    return [without_title(text) if chance.random() < share else text for text in texts]

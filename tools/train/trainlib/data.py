"""Token files and the order in which windows of them are read.

A token file is a flat array of little-endian uint16: BOS, the document, EOS, and so on without padding.

There are two orders. `Windows` tile the text wherever its documents begin; a step reads tokens and their targets.
`Documents` are for a text of questions and answers: a window is a document from its beginning, and a step has weights
besides, for what is learnt there is above all the answers.
"""

import json
from pathlib import Path

import numpy as np
import torch

from . import corpus
from .tokenizer import BOS, EOS, NEWLINE


def encode(processor, texts: list[str]) -> np.ndarray:
    pieces = []
    for ids in processor.encode(texts):
        pieces += [BOS, *ids, EOS]
    return np.array(pieces, dtype="<u2")


def line_start(processor, text: str) -> list[int]:
    """The tokens of `text` at the start of a line, with the newline before it."""
    ids = processor.encode(f"\n{text}")
    return ids[ids.index(processor.piece_to_id(NEWLINE)) :]


def prepare(
    processor, train_files: list[Path], valid_file: Path, drop_titles: float, seed: int, folder: Path,
    also_valid: dict[str, Path] | None = None, answers_after: str | None = None,
) -> dict:
    """Writes train.bin, valid.bin and meta.json; returns what meta.json says.

    `also_valid` names further held-out texts, which go to valid-NAME.bin and are measured beside the first.
    `answers_after` begins the lines whose rest is an answer; meta.json keeps its tokens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = [text for path in train_files for text in corpus.documents(path)]
    train = encode(processor, corpus.drop_titles(texts, drop_titles, seed))
    valid = encode(processor, corpus.documents(valid_file))
    train.tofile(folder / "train.bin")
    valid.tofile(folder / "valid.bin")
    meta = {
        "train_tokens": len(train),
        "train_bytes": sum(path.stat().st_size for path in train_files),
        "valid_tokens": len(valid),
        "valid_bytes": valid_file.stat().st_size,
        "vocab": processor.vocab_size(),
        "also_valid": {},
        "answers_after": line_start(processor, answers_after) if answers_after else [],
    }
    for name, path in (also_valid or {}).items():
        encode(processor, corpus.documents(path)).tofile(folder / f"valid-{name}.bin")
        meta["also_valid"][name] = path.stat().st_size
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")
    return meta


def read(path: Path) -> np.ndarray:
    return np.fromfile(path, dtype="<u2")


class Windows:
    """Training windows as a function of the step alone, so that a resumed run sees what an unbroken one would.

    An epoch cuts the tokens into windows of `context` from a random offset and visits each once, in random
    order; offset and order come from (seed, epoch).
    """

    def __init__(self, tokens: np.ndarray, context: int, batch: int, seed: int):
        self.tokens, self.context, self.batch, self.seed = tokens, context, batch, seed
        # One token is needed after the last window, and an offset of up to context - 1 before the first.
        self.per_epoch = (len(tokens) - context) // context // batch * batch
        if self.per_epoch < batch:
            raise ValueError(f"{len(tokens)} tokens are too few for a batch of {batch} windows of {context}")
        self.epoch, self.offset, self.order = None, 0, None

    def _enter(self, epoch: int):
        if epoch != self.epoch:
            random = np.random.default_rng([self.seed, epoch])
            self.epoch = epoch
            self.offset = int(random.integers(self.context))
            self.order = random.permutation(self.per_epoch)

    def at(self, step: int):
        """Tokens and targets of a step, each (batch, context)."""
        first = step * self.batch
        self._enter(first // self.per_epoch)
        first %= self.per_epoch
        starts = self.offset + self.order[first : first + self.batch] * self.context
        rows = np.stack([self.tokens[s : s + self.context + 1] for s in starts]).astype(np.int64)
        rows = torch.from_numpy(rows)
        return rows[:, :-1], rows[:, 1:]

    @property
    def epoch_tokens(self) -> int:
        return self.per_epoch * self.context


def answers(tokens: np.ndarray, start: list[int]) -> np.ndarray:
    """Which tokens are of an answer: those behind the tokens `start`, up to the end of the line or of the document."""
    found = np.ones(len(tokens) - len(start) + 1, dtype=bool)
    for place, token in enumerate(start):
        found &= tokens[place : place + len(found)] == token
    of_answer = np.zeros(len(tokens), dtype=bool)
    for first in np.flatnonzero(found) + len(start):
        last = first
        while last < len(tokens) and tokens[last] not in (start[0], EOS):
            last += 1
        of_answer[first:last] = True
    return of_answer


class Documents:
    """As `Windows`, with a document in each window. What has no room in the context is left out, and weighs nothing; so does
    what fills up the shorter windows of a step."""

    def __init__(self, tokens: np.ndarray, context: int, batch: int, seed: int, start: list[int], share: float):
        self.tokens, self.context, self.batch, self.seed, self.share = tokens, context, batch, seed, share
        self.answers = answers(tokens, start)
        if not self.answers.any():
            raise ValueError("the text has no answers: `prepare --answers-after` says what they stand behind")
        self.starts = np.flatnonzero(tokens == BOS)
        self.lengths = np.minimum(np.diff(self.starts, append=len(tokens)), context + 1)
        self.per_epoch = len(self.starts) // batch * batch
        if self.per_epoch < batch:
            raise ValueError(f"{len(self.starts)} documents are too few for a batch of {batch}")
        self.epoch, self.order = None, None

    @property
    def epoch_tokens(self) -> int:
        return int(self.lengths.sum())

    def at(self, step: int):
        """Tokens, targets and weights of a step, each (batch, length of the longest document). The weights of all tokens make
        up 1 - share, those of the answers share besides."""
        first = step * self.batch
        epoch = first // self.per_epoch
        if epoch != self.epoch:
            self.epoch, self.order = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.starts))
        first %= self.per_epoch
        chosen = self.order[first : first + self.batch]
        rows = np.full((self.batch, self.lengths[chosen].max()), EOS, dtype=np.int64)
        is_text, is_answer = (np.zeros(rows.shape, dtype=np.float32) for _ in range(2))
        for row, document in enumerate(chosen):
            start, length = self.starts[document], self.lengths[document]
            rows[row, :length] = self.tokens[start : start + length]
            is_text[row, :length] = 1.0
            is_answer[row, :length] = self.answers[start : start + length]
        is_text, is_answer = is_text[:, 1:], is_answer[:, 1:]
        weights = (1.0 - self.share) * is_text / is_text.sum() + self.share * is_answer / max(is_answer.sum(), 1.0)
        rows = torch.from_numpy(rows)
        return rows[:, :-1], rows[:, 1:], torch.from_numpy(weights)

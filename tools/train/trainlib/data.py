"""Token files and the order in which windows of them are read.

A token file is a flat array of little-endian uint16: BOS, the document, EOS, and so on without padding.
"""

import json
from pathlib import Path

import numpy as np
import torch

from . import corpus
from .tokenizer import BOS, EOS


def encode(processor, texts: list[str]) -> np.ndarray:
    pieces = []
    for ids in processor.encode(texts):
        pieces += [BOS, *ids, EOS]
    return np.array(pieces, dtype="<u2")


def prepare(
    processor, train_files: list[Path], valid_file: Path, drop_titles: float, seed: int, folder: Path,
    also_valid: dict[str, Path] | None = None,
) -> dict:
    """Writes train.bin, valid.bin and meta.json; returns what meta.json says.

    `also_valid` names further held-out texts, which go to valid-NAME.bin and are measured beside the first.
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

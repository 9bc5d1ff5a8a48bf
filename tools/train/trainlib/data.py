"""Token files and the order in which windows of them are read.

A token file is a flat array of little-endian uint16: BOS, the document, EOS, and so on without padding.

There are two orders. `Windows` tile the text wherever its documents begin. `Questions` are for a text of conversations, each
a system text and many questions about it with their answers: there a question sees the system text and itself, never the
others, as if each had been asked alone, and what the system text costs is paid once for all of them.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from . import chat, corpus
from .tokenizer import BOS, EOS


def encode(processor, texts: list[str]) -> np.ndarray:
    pieces = []
    for text in texts:
        segments = chat.read(text)
        pieces += [BOS, *(chat.encode(processor, segments) if segments else processor.encode(text)), EOS]
    return np.array(pieces, dtype="<u2")


def prepare(
    processor, train_files: list[Path], valid_file: Path, drop_titles: float, seed: int, folder: Path,
    also_valid: dict[str, Path] | None = None, conversations: bool = False,
) -> dict:
    """Writes train.bin, valid.bin and meta.json; returns what meta.json says.

    `also_valid` names further held-out texts, which go to valid-NAME.bin and are measured beside the first.
    With `conversations`, meta.json says behind which tokens an answer stands.
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
        "answer_start": chat.answer_start(processor) if conversations else [],
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


@dataclass(frozen=True)
class Batch:
    """System texts, and questions with their answers. Rows of unequal length are filled up at their ends."""

    system: torch.Tensor
    """Tokens (B, S)."""
    system_length: torch.Tensor
    """Of each row (B)."""
    questions: torch.Tensor
    """Tokens of E questions to each system text, with their answers (B, E, T)."""
    answers: torch.Tensor
    """The places in a question whose next tokens are its answer and what ends it (B, E, 2)."""
    targets: torch.Tensor
    """Those tokens (B, E, 2)."""

    def share(self, cut) -> "Batch":
        return Batch(*(cut(rows) for rows in (self.system, self.system_length, self.questions, self.answers, self.targets)))


class Questions:
    """Conversations, each one once in an epoch. The order comes from (seed, epoch); neighbours in it have similar lengths, so
    that little is filled up."""

    SORTED = 8
    """Batches whose conversations are sorted by length."""

    def __init__(self, tokens: np.ndarray, batch: int, seed: int, start: list[int]):
        self.batch, self.seed, self.epoch, self.order = batch, seed, None, None
        self.conversations = []
        places = np.append(np.flatnonzero(tokens == BOS), len(tokens))
        for first, behind in zip(places, places[1:]):
            # The end of text is nobody's segment.
            self.conversations.append(self._cut(tokens[first : behind - 1].tolist(), start))
        if len({len(questions) for _, questions in self.conversations}) > 1:
            raise ValueError("the conversations of a text must have as many questions each")
        if len(self.conversations) < batch:
            raise ValueError(f"{len(self.conversations)} conversations are too few for a batch of {batch}")
        self.per_epoch = len(self.conversations) // batch
        self.epoch_tokens = sum(len(system) + sum(map(len, questions)) for system, questions in self.conversations)

    @staticmethod
    def _cut(tokens: list[int], start: list[int]) -> tuple[list[int], list[tuple[list[int], int]]]:
        """The tokens of the system text, and of each question and its answer, with the answer's place in them."""
        turns = [place for place, token in enumerate(tokens) if token == start[0]]
        parts = [tokens[a:b] for a, b in zip(turns, [*turns[1:], len(tokens)])]
        system = [*tokens[: turns[0]], *parts[0]] if turns else []
        questions = []
        for question, answer in zip(parts[1::2], parts[2::2]):
            # An answer is one token here, and one ends it.
            if answer[: len(start)] != start or len(answer) < len(start) + 2:
                break
            questions.append((question + answer[: len(start) + 1], answer[len(start) + 1]))
        if not questions or 1 + 2 * len(questions) != len(parts):
            raise ValueError("a document is no system text with questions and answers of a token each")
        return system, questions

    def at(self, step: int) -> Batch:
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            chance = np.random.default_rng([self.seed, epoch])
            mixed = chance.permutation(len(self.conversations))[: self.per_epoch * self.batch]
            lengths = np.array([len(self.conversations[number][0]) for number in mixed])
            group = self.SORTED * self.batch
            batches = [
                batch for first in range(0, len(mixed), group)
                for batch in mixed[first + np.argsort(lengths[first : first + group], kind="stable")].reshape(-1, self.batch)
            ]
            self.epoch, self.order = epoch, [batches[number] for number in chance.permutation(len(batches))]
        return self.of([self.conversations[number] for number in self.order[place]])

    @staticmethod
    def of(conversations) -> Batch:
        questions = [question for _, each in conversations for question in each]
        each, length = len(conversations[0][1]), max(len(tokens) for tokens, _ in questions)
        system = np.full((len(conversations), max(len(tokens) for tokens, _ in conversations)), EOS)
        for row, (tokens, _) in zip(system, conversations):
            row[: len(tokens)] = tokens
        rows = np.full((len(questions), length), EOS)
        answers, targets = (np.zeros((len(questions), 2), dtype=np.int64) for _ in range(2))
        for number, (tokens, end) in enumerate(questions):
            rows[number, : len(tokens)] = tokens
            answers[number] = len(tokens) - 2, len(tokens) - 1
            targets[number] = tokens[-1], end
        shape = len(conversations), each, -1
        lengths = torch.tensor([len(tokens) for tokens, _ in conversations])
        return Batch(torch.from_numpy(system), lengths, *(torch.from_numpy(rows).reshape(shape) for rows in (rows, answers, targets)))

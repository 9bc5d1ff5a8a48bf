"""The n-gram baseline: interpolated modified Kneser-Ney (Chen and Goodman 1998) over the tokens of the model.

With c the counts of the longest n-grams, and for shorter ones the number of different tokens that precede them,

    p(w | h) = (c(hw) - D(c(hw))) / sum_v c(hv)  +  gamma(h) p(w | h')

where h' is h without its first token, D is one of three discounts (for counts of 1, 2, and 3 or more), and gamma(h) gives
back what was discounted after h. Below the unigrams stands 1 / V. Documents are one stream with their BOS and EOS.

An n-gram is one int64, first token in the highest bits; tables are sorted, so that all look-ups are binary searches over
whole arrays.
"""

import math
from dataclasses import dataclass

import numpy as np


def pack(tokens: np.ndarray, length: int, bits: int) -> np.ndarray:
    """The n-grams of `length` of a stream, one for each position where one ends."""
    packed = np.zeros(len(tokens) - length + 1, dtype=np.int64)
    for first in range(length):
        packed = packed << bits | tokens[first : len(tokens) - length + 1 + first]
    return packed


LEAST_DISCOUNT = 0.05
"""On odd texts the estimate can fall to zero, and what was never seen after a context would have no probability at all."""


def discounts(counts: np.ndarray) -> np.ndarray:
    """D(0..3) from how many n-grams have counts 1 to 4; D(0) is 0."""
    n = [0, *(int((counts == k).sum()) for k in range(1, 5))]
    if n[1] == 0 or n[2] == 0:  # too little text for the estimate
        return np.array([0.0, 0.5, 0.5, 0.5])
    y = n[1] / (n[1] + 2 * n[2])
    estimate = [0.0] + [k - (k + 1) * y * n[k + 1] / n[k] if n[k] else k * y for k in (1, 2, 3)]
    return np.clip(estimate, [0.0, *[LEAST_DISCOUNT] * 3], [0.0, 1.0, 2.0, 3.0])


@dataclass
class Table:
    """One order: its n-grams with their counts, and for each context the sum and the weight of the shorter orders."""

    keys: np.ndarray
    counts: np.ndarray
    discount: np.ndarray
    contexts: np.ndarray
    sums: np.ndarray
    gammas: np.ndarray

    @classmethod
    def of(cls, keys: np.ndarray, counts: np.ndarray, bits: int) -> "Table":
        discount = discounts(counts)
        contexts, starts = np.unique(keys >> bits, return_index=True)
        sums = np.add.reduceat(counts, starts)
        taken = np.add.reduceat(discount[np.minimum(counts, 3)], starts)
        return cls(keys, counts, discount, contexts, sums, taken / sums)

    def probability(self, grams: np.ndarray, bits: int, shorter: np.ndarray) -> np.ndarray:
        """p of the last token of each n-gram after the others, given that of the shorter order."""
        context = grams >> bits
        at = np.minimum(np.searchsorted(self.contexts, context), len(self.contexts) - 1)
        known = self.contexts[at] == context
        found = np.minimum(np.searchsorted(self.keys, grams), len(self.keys) - 1)
        count = np.where(self.keys[found] == grams, self.counts[found], 0)
        own = (count - self.discount[np.minimum(count, 3)]) / self.sums[at]
        return np.where(known, own + self.gammas[at] * shorter, shorter)


class KneserNey:
    def __init__(self, tokens: np.ndarray, vocab: int, order: int = 5):
        self.vocab, self.order, self.bits = vocab, order, max(1, (vocab - 1).bit_length())
        if self.bits * order > 63:
            raise ValueError(f"order {order} over a vocabulary of {vocab} needs {self.bits * order} bits, at most 63 fit")
        keys, counts = np.unique(pack(tokens.astype(np.int64), order, self.bits), return_counts=True)
        tables = [Table.of(keys, counts, self.bits)]
        for length in range(order - 1, 0, -1):
            # Each different longer n-gram is one different token in front of its tail.
            keys, counts = np.unique(keys & ((1 << self.bits * length) - 1), return_counts=True)
            tables.append(Table.of(keys, counts, self.bits))
        self.tables = tables[::-1]

    def probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """p of each token but the first, after up to order - 1 tokens before it."""
        tokens = tokens.astype(np.int64)
        p = np.full(len(tokens), 1.0 / self.vocab)
        for length, table in enumerate(self.tables[: len(tokens)], 1):
            p[length - 1 :] = table.probability(pack(tokens, length, self.bits), self.bits, p[length - 1 :])
        return p[1:]

    def bits_per_byte(self, tokens: np.ndarray, file_bytes: int) -> float:
        return float(-np.log(self.probabilities(tokens)).sum() / math.log(2) / file_bytes)

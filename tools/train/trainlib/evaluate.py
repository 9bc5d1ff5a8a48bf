"""Bits per byte of held-out text: negative log-likelihood of all tokens / ln 2 / bytes of the file. Of conversations, how many
answers are right."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from .data import Questions

BATCH = 8


@torch.no_grad()
def nll(model, tokens: np.ndarray, context: int, stride: int, bf16: bool, max_windows: int | None = None,
        share=lambda starts: starts):
    """Sum of negative log-likelihoods in nats, and how many tokens it is over.

    Windows of `context` start every `stride` tokens; each scores only the tokens that no earlier window
    scored, so a token has at least context - stride tokens before it, save those of the first window. The first token of the file
    is given. stride = context is the quick measure, stride = context / 2 the one that is reported. `share` picks the windows
    that are measured.
    """
    training = model.training
    model.eval()
    rows = torch.from_numpy(tokens.astype(np.int64))
    starts = list(range(0, max(1, len(rows) - 1 - (context - stride)), stride))[:max_windows]
    starts = share(starts)
    total, count = 0.0, 0
    for first in range(0, len(starts), BATCH):
        chunk = starts[first : first + BATCH]
        batch = torch.zeros(len(chunk), context + 1, dtype=torch.int64)
        keep = torch.zeros(len(chunk), context, dtype=torch.bool)
        for row, start in enumerate(chunk):
            window = rows[start : start + context + 1]
            batch[row, : len(window)] = window
            keep[row, (context - stride if start else 0) : len(window) - 1] = True
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(batch[:, :-1])
        losses = F.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten(), reduction="none")
        total += losses[keep.flatten()].double().sum().item()
        count += int(keep.sum())
    model.train(training)
    return total, count


@torch.no_grad()
def right_answers(model, conversations) -> tuple[int, int]:
    """How many answers are the likeliest of all tokens there, and how many answers there are."""
    training = model.training
    model.eval()
    right, count = 0, 0
    for first in range(0, len(conversations), BATCH):
        batch = Questions.of(conversations[first : first + BATCH])
        found = model.answer_logits(batch)[:, :, 0].argmax(-1)
        right += int((found == batch.targets[:, :, 0]).sum())
        count += found.numel()
    model.train(training)
    return right, count


def bits_per_byte(nats: float, file_bytes: float) -> float:
    return nats / math.log(2) / file_bytes

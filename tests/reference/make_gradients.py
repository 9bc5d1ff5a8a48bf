#!/usr/bin/env python3
"""Records the gradients that PyTorch's autograd computes for an adapter, as reference for the engine's training.

    venv/bin/pip install torch numpy
    venv/bin/python tests/reference/make_gradients.py

The model is a llama of the shape of models/default.gguf. Its weights and the adapter's come from a generator of a line,
which llm-core's test (`autograd_tests.rs`) has, too, so that neither side needs a file of the other; everything is
computed in float64. Written is, beside this script:

  gradients.txt  the example's tokens, its loss, and for A and B of every matrix the norm of the gradient, its largest
                 magnitude, and some of its elements as INDEX:VALUE
"""

import math
import pathlib

import numpy
import torch

HERE = pathlib.Path(__file__).resolve().parent

WIDTH, BLOCKS, HEADS, KV_HEADS, INNER, VOCABULARY = 256, 6, 4, 2, 768, 4096
HEAD = WIDTH // HEADS
RANK, ALPHA = 4, 8.0
EPSILON, BASE = 1e-5, 10_000.0
SAMPLES = 16

# ▁the▁king▁w3805 … with an answer of four words: what the engine's tokenizer makes of the test's example, BOS and EOS
# included. The first that is taught is number FIRST.
LETTERS = "▁abcdefghijklmnopqrstuvwxyz.,!?"
FIRST_LETTER = 3 + 256
FIRST_WORD = FIRST_LETTER + len(LETTERS)
PROMPT = ["▁", *"the", "▁", *"king", "▁", 3805, "▁", 12, "▁", *"saw", "▁", 999, "▁", *"fly", ",", "▁", 2718, "."]
ANSWER = ["▁", 314, "▁", 1500, "▁", *"fox", "!", "▁", 2999]
BOS, EOS = 1, 2


def token(piece):
    return FIRST_WORD + piece if isinstance(piece, int) else FIRST_LETTER + LETTERS.index(piece)


class Generator:
    """The linear congruential generator of Numerical Recipes; its upper 24 bits are a number from -1 to 1."""

    def __init__(self, seed):
        self.state = numpy.uint32(seed)

    def floats(self, count, scale):
        with numpy.errstate(over="ignore"):
            powers = numpy.cumprod(numpy.full(count, 1_664_525, numpy.uint32), dtype=numpy.uint32)
            sums = numpy.cumsum(numpy.concatenate([[1], powers[:-1]]).astype(numpy.uint32), dtype=numpy.uint32)
            states = powers * self.state + numpy.uint32(1_013_904_223) * sums
        self.state = states[-1]
        units = (states >> 8).astype(numpy.float32) / numpy.float32(1 << 23) - numpy.float32(1)
        return units * numpy.float32(scale)


def tensor(values, *shape):
    return torch.tensor(values.astype(numpy.float64)).reshape(shape)


# Name in the fixture, columns and rows, in the order in which the engine has them.
MATRICES = {
    "q": (WIDTH, WIDTH),
    "k": (WIDTH, KV_HEADS * HEAD),
    "v": (WIDTH, KV_HEADS * HEAD),
    "output": (WIDTH, WIDTH),
    "gate": (WIDTH, INNER),
    "up": (WIDTH, INNER),
    "down": (INNER, WIDTH),
}


def model():
    generator = Generator(1)
    matrix = 1.5 / math.sqrt(WIDTH)

    def norm():
        return tensor(numpy.float32(1) + generator.floats(WIDTH, 0.2), WIDTH)

    weights = {"embedding": tensor(generator.floats(WIDTH * VOCABULARY, 0.125), VOCABULARY, WIDTH), "blocks": []}
    for _ in range(BLOCKS):
        block = {"attention_norm": norm(), "inner_norm": norm()}
        for name, (columns, rows) in MATRICES.items():
            block[name] = tensor(generator.floats(columns * rows, matrix), rows, columns)
        weights["blocks"].append(block)
    weights["norm"] = norm()
    return weights


def adapter():
    generator = Generator(2)
    blocks = []
    for _ in range(BLOCKS):
        block = {}
        for name, (columns, rows) in MATRICES.items():
            a = tensor(generator.floats(RANK * columns, 0.125), RANK, columns).requires_grad_()
            # As the engine has it: transposed.
            b = tensor(generator.floats(RANK * rows, 0.125), RANK, rows).requires_grad_()
            block[name] = (a, b)
        blocks.append(block)
    return blocks


def rms_norm(x, weight):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPSILON) * weight


def rotate(x):
    """Pairs of neighbours, as llama's files have them. x is [positions, heads, HEAD]."""
    position = torch.arange(x.shape[0], dtype=torch.float64)
    frequency = BASE ** (-torch.arange(0, HEAD, 2, dtype=torch.float64) / HEAD)
    angle = (position[:, None] * frequency)[:, None, :]
    cos, sin = angle.cos(), angle.sin()
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


def loss(weights, blocks, tokens, first):
    def product(block, low, name, x):
        a, b = low[name]
        return x @ block[name].T + (ALPHA / RANK) * (x @ a.T) @ b

    x = weights["embedding"][tokens[:-1]]
    count = len(tokens) - 1
    hidden = torch.full((count, count), -math.inf, dtype=torch.float64).triu(1)
    for block, low in zip(weights["blocks"], blocks):
        h = rms_norm(x, block["attention_norm"])
        q = rotate(product(block, low, "q", h).reshape(count, HEADS, HEAD))
        k = rotate(product(block, low, "k", h).reshape(count, KV_HEADS, HEAD))
        v = product(block, low, "v", h).reshape(count, KV_HEADS, HEAD)
        k, v = (t.repeat_interleave(HEADS // KV_HEADS, 1) for t in (k, v))
        scores = torch.einsum("thd,shd->hts", q, k) / math.sqrt(HEAD) + hidden
        attended = torch.einsum("hts,shd->thd", scores.softmax(-1), v).reshape(count, WIDTH)
        x = x + product(block, low, "output", attended)
        h = rms_norm(x, block["inner_norm"])
        inner = torch.nn.functional.silu(product(block, low, "gate", h)) * product(block, low, "up", h)
        x = x + product(block, low, "down", inner)
    logits = rms_norm(x, weights["norm"]) @ weights["embedding"].T
    return torch.nn.functional.cross_entropy(logits[first - 1 :], tokens[first:])


def main():
    prompt = [BOS, *map(token, PROMPT)]
    tokens = torch.tensor([*prompt, *map(token, ANSWER), EOS])
    first = len(prompt)
    blocks = adapter()
    result = loss(model(), blocks, tokens, first)
    result.backward()
    lines = [
        f"made with PyTorch {torch.__version__}, float64",
        f"tokens {' '.join(str(int(t)) for t in tokens)}",
        f"first {first}",
        f"loss {result.item():.12g}",
    ]
    for index, block in enumerate(blocks):
        for name, halves in block.items():
            for half, parameter in zip("ab", halves):
                gradient = parameter.grad.flatten()
                # An element of each part, not always at the same column, and the largest.
                length = len(gradient)
                chosen = [n * length // SAMPLES + 7 * n % (length // SAMPLES) for n in range(SAMPLES)]
                chosen.append(int(gradient.abs().argmax()))
                elements = " ".join(f"{i}:{gradient[i].item():.8g}" for i in chosen)
                largest = gradient.abs().max().item()
                lines.append(f"{index} {name} {half} {gradient.norm().item():.8g} {largest:.8g} {elements}")
    path = HERE / "gradients.txt"
    path.write_text("\n".join(lines) + "\n")
    print(f"{path}: loss {result.item():.6f}, {len(lines) - 4} tensors, {len(tokens)} tokens, {len(tokens) - first} taught")


if __name__ == "__main__":
    main()

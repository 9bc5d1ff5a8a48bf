#!/usr/bin/env python3
"""Records what llama.cpp computes for a model, as reference for the engine's tests.

    python3 -m venv venv && venv/bin/pip install -r tests/reference/requirements.txt
    venv/bin/python tests/reference/make_reference.py models/tiny-f32.gguf
    venv/bin/python tests/reference/make_reference.py models/default.gguf

A model whose weights are quantised is first turned into F32 by `llmtool quantize --type f32`, which
is exact; llama.cpp and the test compute with that file, so that they have the same weights.

llama.cpp runs on the CPU with one thread, a batch of one token, an F32 KV cache and flash attention
off. Written are, beside this script:

  MODEL.json  the prompts' token ids, and for 20 prompts 64 greedy tokens with, for each step, the
              ids and logits of the two best
  MODEL.f32   the logits (f32, little endian) of a prompt of 32 tokens, at the positions that the
              JSON lists
"""

import argparse
import hashlib
import json
import pathlib
import subprocess
import tempfile

import llama_cpp
import numpy

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

PROMPT_TOKENS = 32
POSITIONS = [0, 3, 7, 11, 15, 19, 23, 27, 31]
STEPS = 64

PROMPT = (
    "There was once a king who had three daughters, and the youngest of them was so beautiful "
    "that the sun himself, who has seen so many things, wondered whenever he shone upon her face."
)

PROMPTS = [
    "Once upon a time",
    "There was once a poor woodcutter",
    "The king said to his youngest son:",
    "\"Where are you going?\" asked the old woman.",
    "In the middle of the dark forest",
    "The fox and the wolf",
    "One day the princess",
    "He opened the door and saw",
    "The ship sailed for seven days and seven nights",
    "And they lived",
    "Long ago, when animals could speak,",
    "The giant laughed so loudly that",
    "\"I will give you three wishes,\" said the fish.",
    "She",
    "The End",
    "12345 67890",
    "Ärger über die süße Maß",
    "日本の昔話 🦊",
    "    four spaces, a tab\tand\n\ntwo lines",
    "x",
]


class Model:
    """llama.cpp with the settings of a reference: one thread, one token at a time, F32 cache."""

    def __init__(self, path):
        self.llama = llama_cpp.Llama(
            model_path=str(path),
            n_ctx=512,
            n_batch=1,
            n_ubatch=1,
            n_threads=1,
            n_threads_batch=1,
            flash_attn=False,
            type_k=llama_cpp.GGML_TYPE_F32,
            type_v=llama_cpp.GGML_TYPE_F32,
            n_gpu_layers=0,
            verbose=False,
        )

    def tokens(self, text):
        return self.llama.tokenize(text.encode(), add_bos=True, special=False)

    def reset(self):
        self.llama.reset()

    def logits(self, token):
        """Feeds one token and returns the logits that follow it."""
        self.llama.eval([token])
        pointer = llama_cpp.llama_get_logits_ith(self.llama.ctx, -1)
        return numpy.ctypeslib.as_array(pointer, shape=(self.llama.n_vocab(),)).copy()


def is_f32(path):
    """Whether the file says that its weights are F32 (general.file_type 0)."""
    import gguf

    field = gguf.GGUFReader(path).get_field("general.file_type")
    return field is not None and field.contents() == 0


def greedy(model, prompt):
    model.reset()
    tokens = model.tokens(prompt)
    for token in tokens:
        logits = model.logits(token)
    steps = []
    for _ in range(STEPS):
        # Best first; of equals the lower id, as the engine decides.
        best, second = numpy.argsort(-logits, kind="stable")[:2]
        steps.append([int(best), float(logits[best]), int(second), float(logits[second])])
        logits = model.logits(int(best))
    return {"text": prompt, "tokens": tokens, "steps": steps}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, help="default: this folder and the model's name")
    parser.add_argument(
        "--llmtool",
        nargs="+",
        default=["cargo", "run", "--quiet", "--release", "--package", "llmtool", "--"],
        help="command that runs llmtool (default: cargo run)",
    )
    arguments = parser.parse_args()
    out = arguments.out or HERE / arguments.model.stem

    with tempfile.TemporaryDirectory() as folder:
        weights = arguments.model.resolve()
        if not is_f32(weights):
            weights = pathlib.Path(folder) / "f32.gguf"
            command = ["quantize", str(arguments.model.resolve()), str(weights), "--type", "f32"]
            subprocess.run([*arguments.llmtool, *command], check=True, cwd=ROOT)
        model = Model(weights)

        tokens = model.tokens(PROMPT)[:PROMPT_TOKENS]
        assert len(tokens) == PROMPT_TOKENS, f"only {len(tokens)} tokens"
        model.reset()
        logits = [model.logits(token) for token in tokens]
        rows = numpy.stack([logits[position] for position in POSITIONS]).astype("<f4")
        out.with_suffix(".f32").write_bytes(rows.tobytes())

        reference = {
            "model": arguments.model.name,
            "sha256": hashlib.sha256(arguments.model.read_bytes()).hexdigest(),
            "made_with": f"llama-cpp-python {llama_cpp.__version__}",
            "settings": "CPU, 1 thread, batch 1, F32 KV cache, flash attention off",
            "prompt": {"text": PROMPT, "tokens": tokens, "positions": POSITIONS},
            "greedy": [greedy(model, prompt) for prompt in PROMPTS],
        }
    # One key or prompt a line: small, and a change can be read.
    prompts = ",\n  ".join(json.dumps(prompt) for prompt in reference.pop("greedy"))
    head = ",\n ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in reference.items())
    out.with_suffix(".json").write_text(f'{{\n {head},\n "greedy": [\n  {prompts}\n ]\n}}\n')
    print(f"{out}.json, {out}.f32: range of logits {rows.min():.3f} to {rows.max():.3f}")


if __name__ == "__main__":
    main()

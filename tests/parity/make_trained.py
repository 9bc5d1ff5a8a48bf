#!/usr/bin/env python3
"""Trains adapters with `llmtool finetune` for models of make_parity.py and records what llama.cpp computes with them.

    venv/bin/python tests/parity/make_trained.py --llmtool target/release/llmtool     (otherwise as make_lora.py)

Written are, beside this script, lora/BASE-trained.gguf, .json and .f32, which are as those of make_lora.py. The JSON has
the arguments of the training, besides; its examples are in trained.jsonl.
"""

import argparse
import hashlib
import json
import subprocess

import llama_cpp
import numpy

from make_lora import BASES, rows
from make_parity import HERE, POSITIONS, short

RANK, ALPHA = 4, 8
# Enough for a change that shows: these models have random weights.
TRAINING = f"--rank {RANK} --alpha {ALPHA} --targets all --epochs 20 --rate 0.01 --seed 5".split()
TOLERANCE = 3e-4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llmtool", nargs="+", default=["cargo", "run", "-qrp", "llmtool", "--"])
    arguments = parser.parse_args()
    for base in BASES:
        model = HERE / "models" / f"{base}.gguf"
        path = HERE / "lora" / f"{base}-trained.gguf"
        data = HERE / "trained.jsonl"
        path.unlink(missing_ok=True)
        subprocess.run([*arguments.llmtool, "finetune", model, data, "-o", path, *TRAINING], check=True)
        tokens = json.loads((HERE / f"{base}.json").read_text())["prompt"]["tokens"]
        plain, logits = rows(model, tokens), rows(model, tokens, path)
        assert numpy.isfinite(logits).all()
        span = float(logits.max() - logits.min())
        change = float(abs(logits - plain).max()) / span
        assert change > 0.05, f"{path.name} changes next to nothing"
        path.with_suffix(".f32").write_bytes(logits.tobytes())
        reference = {
            "base": f"{base}.gguf",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "made_with": f"llama.cpp of llama-cpp-python {llama_cpp.__version__}",
            "training": TRAINING,
            "rank": RANK,
            "alpha": float(ALPHA),
            "tolerance": TOLERANCE,
            "tokens": tokens,
            "positions": POSITIONS,
        }
        lines = ",\n ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in reference.items())
        path.with_suffix(".json").write_text(f"{{\n {lines}\n}}\n")
        print(
            f"{path.name}: {path.stat().st_size} bytes, changes logits by up to "
            f"{100 * change:.0f} % of their range of {short(span)}"
        )


if __name__ == "__main__":
    main()

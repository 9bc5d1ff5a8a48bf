#!/usr/bin/env python3
"""Makes adapters (LoRA) for models of make_parity.py and records what llama.cpp computes with them.

    venv/bin/python tests/parity/make_lora.py            (as make_parity.py, whose models must be there)

The values are random, with fixed seeds; shapes and names are PEFT's: A is [rank, columns], B [rows, rank], and a product
is multiplied by alpha / rank. Files are what llama.cpp's convert_lora_to_gguf.py writes, by the `gguf` package. Written
are, beside this script:

  lora/ADAPTER.gguf  the adapter
  lora/ADAPTER.json  its base, the token ids of the base's prompt, and the positions that were recorded; lora_noise.py adds
                     llama.cpp's own noise, which the test compares with, so run it afterwards
  lora/ADAPTER.f32   the logits (f32, little endian) at these positions, [positions x vocabulary]
"""

import hashlib
import json

import gguf
import llama_cpp
import numpy

from make_parity import HERE, POSITIONS, Model, short

F32 = numpy.float32
F16 = numpy.float16

KINDS = {
    "attention": dict(attention=True, rank=4, alpha=4.0, type=F32),
    "all": dict(attention=False, rank=2, alpha=2.0, type=F32),
    "alpha": dict(attention=False, rank=3, alpha=8.0, type=F16),
}
BASES = ["llama-f32-gqa", "qwen2-f32", "gpt2-f32"]


def write_adapter(path, base, kind, seed):
    reader = gguf.GGUFReader(base)
    architecture = bytes(reader.get_field("general.architecture").parts[-1]).decode()
    random = numpy.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", kind["alpha"])
    rank = kind["rank"]
    for tensor in reader.tensors:
        name = tensor.name
        block = name.startswith("blk.") and name.endswith(".weight") and "norm" not in name
        if kind["attention"]:
            adapted = block and "attn" in name
        else:
            adapted = block or name == "output.weight"
        if not adapted:
            continue
        columns, rows = (int(size) for size in tensor.shape)
        a = random.standard_normal((rank, columns)) / columns**0.5
        b = 0.5 * random.standard_normal((rows, rank))
        writer.add_tensor(f"{name}.lora_a", a.astype(kind["type"]))
        writer.add_tensor(f"{name}.lora_b", b.astype(kind["type"]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def rows(base, tokens, lora=None):
    model = Model(base, lora)
    model.reset()
    logits = [model.logits(token) for token in tokens]
    return numpy.stack([logits[position] for position in POSITIONS]).astype("<f4")


def main():
    (HERE / "lora").mkdir(exist_ok=True)
    for seed, base in enumerate(BASES):
        model = HERE / "models" / f"{base}.gguf"
        tokens = json.loads((HERE / f"{base}.json").read_text())["prompt"]["tokens"]
        plain = rows(model, tokens)
        for number, (name, kind) in enumerate(KINDS.items()):
            path = HERE / "lora" / f"{base}-{name}.gguf"
            write_adapter(path, model, kind, 100 + 10 * seed + number)
            logits = rows(model, tokens, path)
            assert numpy.isfinite(logits).all()
            span = float(logits.max() - logits.min())
            change = float(abs(logits - plain).max()) / span
            assert change > 0.05, f"{path.name} changes next to nothing"
            path.with_suffix(".f32").write_bytes(logits.tobytes())
            reference = {
                "base": f"{base}.gguf",
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "made_with": f"llama.cpp of llama-cpp-python {llama_cpp.__version__}",
                "rank": kind["rank"],
                "alpha": kind["alpha"],
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

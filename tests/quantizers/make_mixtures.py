#!/usr/bin/env python3
"""Records which type llama.cpp gives each matrix of a file, as reference for `llmtool quantize`.

    python3 -m venv venv && venv/bin/pip install -r tests/reference/requirements.txt
    venv/bin/python tests/quantizers/make_mixtures.py

Models of a few shapes, all zeros, go through llama_model_quantize without being written. Written is mixtures.json
beside this script: for each shape and type of file, without and with an importance matrix, the types of each kind of matrix
in the order of the blocks, repeats counted: `Q6_K*3 Q4_K*2`. LLAMA_CPP_LIB_PATH can name a folder with a build of
llama.cpp in place of llama-cpp-python's.
"""

import ctypes
import itertools
import json
import pathlib
import re
import tempfile

import gguf
import llama_cpp
import numpy

HERE = pathlib.Path(__file__).resolve().parent

FILE_TYPES = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12,
    "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30, "BF16": 32,
    "TQ1_0": 36, "TQ2_0": 37,
}

SHAPES = {
    "narrow": {"architecture": "llama", "layers": 30, "width": 96, "heads": 6, "kv_heads": 2, "feed_forward": 256, "tied": True},
    "grouped": {"architecture": "llama", "layers": 20, "width": 256, "heads": 8, "kv_heads": 2, "feed_forward": 512, "tied": False},
    "fused": {"architecture": "gpt2", "layers": 12, "width": 256, "heads": 4, "kv_heads": 4, "feed_forward": 512, "tied": True},
}

LINES = []


@llama_cpp.llama_log_callback
def log(_level, text, _data):
    LINES.append(text.decode())


def write(path, shape):
    """A file with the matrices of a model."""
    writer = gguf.GGUFWriter(path, shape["architecture"])
    width, heads = shape["width"], shape["heads"]
    keys = width // heads * shape["kv_heads"]
    writer.add_block_count(shape["layers"])
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(shape["feed_forward"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(64)

    def matrix(name, rows, columns):
        writer.add_tensor(f"{name}.weight", numpy.zeros((rows, columns), numpy.float32))

    matrix("token_embd", 64, width)
    if shape["architecture"] == "gpt2":
        matrix("position_embd", 64, width)
    if not shape["tied"]:
        matrix("output", 64, width)
    for layer in range(shape["layers"]):
        block = f"blk.{layer}."
        if shape["architecture"] == "gpt2":
            matrix(block + "attn_qkv", 3 * width, width)
        else:
            matrix(block + "attn_q", width, width)
            matrix(block + "attn_k", keys, width)
            matrix(block + "attn_v", keys, width)
            matrix(block + "ffn_gate", shape["feed_forward"], width)
        matrix(block + "attn_output", width, width)
        matrix(block + "ffn_up", shape["feed_forward"], width)
        matrix(block + "ffn_down", width, shape["feed_forward"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def types(path, number, imatrix, pure):
    """The type of each kind of matrix, by block."""
    one = (ctypes.c_float * 1)(1.0)
    entry = llama_cpp.llama_model_imatrix_data
    entries = (entry * 2)(entry(b"blk.0.none", one, 1), entry(None, None, 0))
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread, params.dry_run, params.pure = number, 1, True, pure
    if imatrix:
        params.imatrix = ctypes.cast(entries, ctypes.POINTER(entry))
    LINES.clear()
    if llama_cpp.llama_model_quantize(str(path).encode(), b"/dev/null", ctypes.byref(params)):
        raise SystemExit("".join(LINES[-20:]))
    pattern = r"\[ *\d+/ *\d+\] +(\S+)\.weight +- \[.*?\], type = +(\S+), size = +[\d.]+ MiB(?: -> +[\d.]+ MiB \((\S+)\))?"
    found = {}
    for name, before, after in re.findall(pattern, "".join(LINES)):
        block, _, kind = name.rpartition(".")
        at = int(block.removeprefix("blk.") or 0)
        found.setdefault(kind, {})[at] = (after or before).upper()
    return {kind: runs(of[at] for at in sorted(of)) for kind, of in sorted(found.items())}


def runs(names):
    """`A A B` as `A*2 B*1`."""
    return " ".join(f"{name}*{len(list(group))}" for name, group in itertools.groupby(names))


def main():
    llama_cpp.llama_log_set(log, None)
    made = {"made_with": f"llama-cpp-python {llama_cpp.__version__}", "shapes": SHAPES, "types": {}}
    with tempfile.TemporaryDirectory() as folder:
        for shape_name, shape in SHAPES.items():
            path = pathlib.Path(folder) / f"{shape_name}.gguf"
            write(path, shape)
            for name, number in FILE_TYPES.items():
                for option, imatrix, pure in (("", False, False), (" imatrix", True, False), (" pure", False, True)):
                    made["types"].setdefault(shape_name, {})[name + option] = types(path, number, imatrix, pure)
    (HERE / "mixtures.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()

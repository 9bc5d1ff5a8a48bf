#!/usr/bin/env python3
"""Measures llama.cpp's own noise with the adapters of make_lora.py, and writes it into their JSON files.

    venv/bin/python tests/parity/lora_noise.py SOURCE BUILD

SOURCE is llama.cpp's source, of the version that made the adapters' logits (vendor/llama.cpp of llama-cpp-python's
source package); BUILD is a folder where CMake has built it for the CPU with static libraries (BUILD_SHARED_LIBS=OFF).

The adapters' logits are of one token at a time, on one thread. What else llama.cpp computes for the same prompt differs
from them. "noise" has the greatest difference as a share of the range of the recorded logits, for each of these:

  batch    all tokens in one batch
  threads  two threads
  merged   no adapter, but W + alpha / rank * B A as the F32 weights. An adapter in F16 has its activations rounded to
           F16 by llama.cpp, so for those this is much more than the rest
  gelu     GELU computed in F32, where llama.cpp has a table in F16; in models without GELU this shows what another
           level of optimisation does to llama.cpp's operations

The engine has neither of these two roundings. What it differs by is at most twice the largest of the noise
(tools/llmtool/tests/lora.rs). The figures were measured on a CPU with AVX-512.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy

HERE = pathlib.Path(__file__).resolve().parent


def build(source, libraries, folder):
    """The program as llama.cpp is, and with GELU in F32."""
    cpu = source / "ggml/src/ggml-cpu"
    (folder / "ops.cpp").write_text((cpu / "ops.cpp").read_text())
    table = "#define GGML_GELU_FP16\n"
    text = (cpu / "vec.h").read_text()
    assert table in text, "llama.cpp has no table for GELU any more"
    (folder / "vec.h").write_text(text.replace(table, ""))
    include = [f"-I{source}/include", f"-I{source}/ggml/include"]
    internal = [f"-I{folder}", f"-I{cpu}", f"-I{source}/ggml/src"]
    defines = ["-DGGML_SCHED_MAX_COPIES=4", "-DGGML_USE_CPU_REPACK", "-DGGML_USE_LLAMAFILE"]
    defines += ["-DGGML_USE_OPENMP", "-D_GNU_SOURCE", "-D_XOPEN_SOURCE=600"]
    flags = ["-O1", "-DNDEBUG", "-march=native", "-fopenmp", "-std=gnu++17", "-w"]
    ops = folder / "ops.o"
    compiler = ["c++", *flags, *defines, *internal, *include]
    subprocess.run([*compiler, "-c", folder / "ops.cpp", "-o", ops], check=True)
    archives = ["src/libllama.a"] + [f"ggml/src/lib{name}.a" for name in ["ggml", "ggml-cpu", "ggml-base"]]
    archives = [libraries / archive for archive in archives]
    programs = []
    for name, more in [("plain", []), ("exact", [ops])]:
        program = folder / name
        link = ["c++", *include, HERE / "lora_noise.cpp", *more, *archives]
        subprocess.run([*link, "-fopenmp", "-lpthread", "-ldl", "-o", program], check=True)
        programs.append(program)
    return programs


def run(program, model, lora, tokens, threads=1, batch=1):
    out = program.with_suffix(".f32")
    arguments = [program, model, lora or "-", str(threads), str(batch), out, *map(str, tokens)]
    subprocess.run(arguments, check=True)
    return numpy.fromfile(out, "<f4").reshape(len(tokens), -1)


def merge(base, lora, scale, path):
    """The base, which is in F32, with the adapter in its weights."""
    halves = {tensor.name: tensor.data.astype("f8") for tensor in gguf.GGUFReader(lora).tensors}
    data = bytearray(base.read_bytes())
    for tensor in gguf.GGUFReader(base).tensors:
        if f"{tensor.name}.lora_a" in halves:
            assert tensor.data.dtype == numpy.float32
            a, b = halves.pop(f"{tensor.name}.lora_a"), halves.pop(f"{tensor.name}.lora_b")
            weights = (tensor.data.astype("f8") + scale * b @ a).astype("<f4").tobytes()
            start = tensor.data_offset
            data[start : start + len(weights)] = weights
    assert not halves
    path.write_bytes(data)
    return path


def main():
    source, libraries = map(pathlib.Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        plain, exact = build(source, libraries, folder)
        for path in sorted((HERE / "lora").glob("*.json")):
            reference = json.loads(path.read_text())
            tokens, positions = reference["tokens"], reference["positions"]
            base, lora = HERE / "models" / reference["base"], path.with_suffix(".gguf")
            recorded = numpy.fromfile(path.with_suffix(".f32"), "<f4").reshape(len(positions), -1)
            assert (run(plain, base, lora, tokens)[positions] == recorded).all(), path.name
            scale = reference["alpha"] / reference["rank"]
            merged = merge(base, lora, scale, folder / "merged.gguf")
            others = {
                "batch": run(plain, base, lora, tokens, batch=len(tokens)),
                "threads": run(plain, base, lora, tokens, threads=2),
                "merged": run(plain, merged, None, tokens),
                "gelu": run(exact, base, lora, tokens),
            }
            span = recorded.max() - recorded.min()
            noise = {
                name: float(f"{abs(logits[positions] - recorded).max() / span:.1e}")
                for name, logits in others.items()
            }
            reference.pop("tolerance", None)
            reference["noise"] = noise
            lines = ",\n ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in reference.items())
            path.write_text(f"{{\n {lines}\n}}\n")
            print(path.stem, noise)


if __name__ == "__main__":
    main()

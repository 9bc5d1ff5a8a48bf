#!/usr/bin/env python3
"""Records what ggml's quantisers make of some weights, as reference for the engine's.

    python3 -m venv venv && venv/bin/pip install -r tests/reference/requirements.txt
    venv/bin/python tests/quantizers/make_quantizers.py

The weights come from a linear congruential generator, so that the test makes the same ones. Written is
quantizers.json beside this script: for each type and distribution the root mean square error of
ggml_quantize_chunk (what `llama-quantize --pure` calls) and the SHA-256 of the bytes it made, without and with an
importance matrix; there errors count by the importance of their columns.

    venv/bin/python tests/quantizers/make_quantizers.py LIBGGML-BASE.so

takes ggml from a build of llama.cpp in place of llama-cpp-python's.
"""

import ctypes
import hashlib
import json
import pathlib
import sys

import gguf
import numpy

HERE = pathlib.Path(__file__).resolve().parent
ROWS, COLUMNS = 64, 1024
VERSION = "0.3.36"

TYPES = [
    "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
    "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0",
]


def uniform(seed):
    """Numbers from -1 to 1."""
    state, values = seed, numpy.empty(ROWS * COLUMNS, numpy.float32)
    for i in range(values.size):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        values[i] = numpy.float32(state >> 8) / numpy.float32(2**23) - numpy.float32(1)
    return values


def distributions():
    u = uniform(1)
    sum4 = u + uniform(2) + uniform(3) + uniform(4)
    return {
        "uniform": u,
        "bell": sum4,
        "heavy": u * u * u * sum4,
        "offset": u * numpy.float32(0.1) + numpy.float32(1.5),
        "small": sum4 * numpy.float32(1e-3),
    }


def importance():
    """Mean squares of a column: from 0.01, most of them small."""
    u = uniform(5)[:COLUMNS]
    return u * u + numpy.float32(0.01)


def library():
    """Where ggml is, and the version of llama-cpp-python that it is of."""
    if sys.argv[1:]:
        return sys.argv[1], VERSION
    import llama_cpp

    return next(pathlib.Path(llama_cpp.__file__).parent.glob("lib/libggml-base.so")), llama_cpp.__version__


def main():
    path, version = library()
    ggml = ctypes.CDLL(str(path))
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    ggml.ggml_quantize_chunk.argtypes = [
        ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p,
        ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p,
    ]

    def made_of(kind, values, weights):
        block, size = gguf.GGML_QUANT_SIZES[kind]
        data = numpy.zeros(values.size // block * size, numpy.uint8)
        ggml.ggml_quantize_chunk(
            int(kind), values.ctypes.data, data.ctypes.data, 0, ROWS, COLUMNS,
            None if weights is None else weights.ctypes.data,
        )
        back = gguf.quants.dequantize(data.reshape(ROWS, -1), kind).astype(float)
        squares = (back - values.reshape(ROWS, COLUMNS).astype(float)) ** 2
        if weights is not None:
            squares *= weights.astype(float)
        return {
            "rms": float(numpy.sqrt(numpy.mean(squares))),
            "sha256": hashlib.sha256(data.tobytes()).hexdigest(),
        }

    plain, weighted, weights = {}, {}, importance()
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        for distribution, values in distributions().items():
            plain.setdefault(name, {})[distribution] = made_of(kind, values, None)
            weighted.setdefault(name, {})[distribution] = made_of(kind, values, weights)
    made = {
        "made_with": f"llama-cpp-python {version}",
        "rows": ROWS,
        "columns": COLUMNS,
        "types": plain,
        "with_importance": weighted,
    }
    (HERE / "quantizers.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()

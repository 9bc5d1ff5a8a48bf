#!/usr/bin/env python3
"""Records what ggml's quantisers make of some weights, as reference for the engine's.

    python3 -m venv venv && venv/bin/pip install -r tests/reference/requirements.txt
    venv/bin/python tests/quantizers/make_quantizers.py

The weights come from a linear congruential generator, so that the test makes the same ones. Written is
quantizers.json beside this script: for each type and distribution the root mean square error of
ggml_quantize_chunk (what `llama-quantize --pure` calls) and the SHA-256 of the bytes it made.
"""

import ctypes
import hashlib
import json
import pathlib

import gguf
import llama_cpp
import numpy

HERE = pathlib.Path(__file__).resolve().parent
ROWS, COLUMNS = 64, 1024

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


def main():
    library = next(pathlib.Path(llama_cpp.__file__).parent.glob("lib/libggml-base.so"))
    ggml = ctypes.CDLL(str(library))
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    ggml.ggml_quantize_chunk.argtypes = [
        ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p,
        ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p,
    ]
    result = {}
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        for distribution, values in distributions().items():
            data = numpy.zeros(values.size // block * size, numpy.uint8)
            ggml.ggml_quantize_chunk(
                int(kind), values.ctypes.data, data.ctypes.data, 0, ROWS, COLUMNS, None
            )
            back = gguf.quants.dequantize(data.reshape(ROWS, -1), kind).reshape(-1)
            error = numpy.sqrt(numpy.mean((back.astype(float) - values.astype(float)) ** 2))
            result.setdefault(name, {})[distribution] = {
                "rms": float(error),
                "sha256": hashlib.sha256(data.tobytes()).hexdigest(),
            }
    made = {
        "made_with": f"llama-cpp-python {llama_cpp.__version__}",
        "rows": ROWS,
        "columns": COLUMNS,
        "types": result,
    }
    (HERE / "quantizers.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()

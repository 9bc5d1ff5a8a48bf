#!/usr/bin/env python3
"""Makes small synthetic models and records what llama.cpp computes with them.

    python3 -m venv venv && venv/bin/pip install -r tests/reference/requirements.txt
    venv/bin/python tests/parity/make_parity.py
    venv/bin/python tests/parity/make_parity.py llama-q4_0 gpt2-f32     (only these)
    cargo run -p sel4-llm-tests --bin test-models -- --seed build
    venv/bin/python tests/parity/make_parity.py build/gpt2-seed-f32.gguf
                                 (a gpt2 model in F32 that is too large to be here: the test makes it)

The weights are random, with fixed seeds. Files are written by the `gguf` package; quantised ones are
then made from an F32 file by llama.cpp's own quantiser, with one type for every matrix (`pure`).

llama.cpp runs on the CPU with one thread, a batch of one token, an F32 KV cache and flash attention
off, and computes with the file as it is: a quantised model is not turned into F32 first. Written
are, beside this script:

  models/MODEL.gguf  the model
  MODEL.json         token ids of a prompt; for 4 prompts 64 greedy tokens with, for each step, the
                     ids and logits of the two best; the tokens of some texts, with the beginning
                     token where the model's keys ask for one; and how near the engine has to be:
                     "tolerance", the greatest difference of a logit as share of the range of all
                     recorded logits, or for a quantised model "cosine", the least cosine of a row
  MODEL.f32          the logits (f32, little endian) of the prompt of 32 tokens, at the positions
                     that the JSON lists, [positions x vocabulary]
"""

import argparse
import hashlib
import json
import pathlib
import tempfile

import gguf
import llama_cpp
import numpy

from parity_models import BF16, F16, F32, FAMILIES, MODELS, QUANTISED

HERE = pathlib.Path(__file__).resolve().parent

CONTEXT = 128
POSITIONS = [0, 3, 7, 11, 15, 19, 23, 27, 31]
PROMPT_TOKENS = 32
GREEDY_PROMPTS = [1, 4, 9, 17]  # lengths, with the beginning token
STEPS = 64

TEXTS = [
    "once upon a time",
    'The king said: "go into the forest!"',
    "  two  spaces, a tab\tand\n\ntwo lines",
    "Ärger über 日本 🦊",
    "it's 12345 and IT'S 67",
]

FILE_TYPES = {
    F32: llama_cpp.LLAMA_FTYPE_ALL_F32,
    F16: llama_cpp.LLAMA_FTYPE_MOSTLY_F16,
    BF16: llama_cpp.LLAMA_FTYPE_MOSTLY_BF16,
}

SPM_PIECES = (
    "▁t he in er th ▁a an on re ▁the nd ▁s or en ▁w ing ▁o at ed ▁b is it ▁and ou ▁f ar es ▁th "
    "ing▁ ▁c st ▁to ▁once ▁h ll on▁ ce ▁on"
).split()

BPE_MERGES = [
    "Ġ t", "h e", "i n", "e r", "Ġ a", "o n", "r e", "Ġt he", "a n", "n d", "o u", "Ġ s", "i s",
    "i t", "Ġ w", "e n", "e d", "o r", "in g", "Ġ o", "Ġa nd", "a t", "Ġ b", "e s", "Ġ f", "l l",
    "Ġ c", "Ġt o", "Ġ h", "Ġ k", "Ġk ing", "a s", "Ġw as", "Ġf or", "' s", "' S", "1 2", "3 4",
    "12 34", "Ġ Ġ", "Ċ Ċ", "u e",
]  # fmt: skip


def spm_vocabulary(pieces):
    """Tokens, scores and types of a SentencePiece vocabulary with byte tokens."""
    tokens = ["<unk>", "<s>", "</s>"]
    types = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    tokens += [f"<0x{byte:02X}>" for byte in range(256)]
    types += [gguf.TokenType.BYTE] * 256
    scores = [0.0] * len(tokens)
    normal = [*pieces, "▁", *"abcdefghijklmnopqrstuvwxyz"]
    tokens += normal
    types += [gguf.TokenType.NORMAL] * len(normal)
    scores += [-float(index + 1) for index in range(len(normal))]
    return tokens, scores, types


def byte_characters():
    """The characters that stand for the bytes in a byte-level BPE vocabulary, in GPT-2's order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    printable += range(ord("®"), ord("ÿ") + 1)
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


def write_vocabulary(writer, shape):
    """Writes the vocabulary's keys; returns the number of tokens and the beginning token."""
    kind = shape.get("vocabulary", "spm")
    if kind.startswith("spm"):
        pieces = SPM_PIECES if kind == "spm" else SPM_PIECES[:4]
        tokens, scores, types = spm_vocabulary(pieces)
        bos, eos = 1, 2
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores(scores)
        writer.add_unk_token_id(0)
        writer.add_add_bos_token(True)
        writer.add_add_eos_token(False)
    else:
        tokens = byte_characters() + [merge.replace(" ", "") for merge in BPE_MERGES]
        tokens.append("<|endoftext|>")
        types = [gguf.TokenType.NORMAL] * (len(tokens) - 1) + [gguf.TokenType.CONTROL]
        bos = eos = len(tokens) - 1
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(kind)
        writer.add_token_merges(BPE_MERGES)
        if "add_bos" in shape:
            writer.add_add_bos_token(shape["add_bos"])
    assert len(set(tokens)) == len(tokens)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_bos_token_id(bos)
    writer.add_eos_token_id(eos)
    return len(tokens), bos


def write_model(path, shape):
    """Writes the model in F32, F16 or BF16; returns the size of the vocabulary and its bos."""
    random = numpy.random.default_rng(shape["seed"])
    arch, width, heads, kv = shape["arch"], shape["width"], shape["heads"], shape["kv"]
    head = shape.get("head", width // heads)
    kind = shape.get("type", F32)
    family = FAMILIES[arch]
    layer_norm = family.get("norm") == "layer"
    biases = shape.get("bias", [])

    writer = gguf.GGUFWriter(path, arch)
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(width)
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["ffn"])
    writer.add_head_count(heads)
    if arch != "gpt2":
        writer.add_head_count_kv(kv)
    if layer_norm:
        writer.add_layer_norm_eps(1e-5)
    else:
        writer.add_layer_norm_rms_eps(shape.get("epsilon", 1e-5))
    if arch != "gpt2":
        writer.add_rope_freq_base(shape.get("rope_base", 1e4))
        if arch == "llama":
            writer.add_rope_dimension_count(head)
        if "head" in shape:
            writer.add_key_length(head)
            writer.add_value_length(head)
        if "rope_linear" in shape:
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(shape["rope_linear"])
    for key, value in shape.get("keys", {}).items():
        getattr(writer, f"add_{key}")(value)
    vocabulary, bos = write_vocabulary(writer, shape)
    if arch == "llama":
        writer.add_vocab_size(vocabulary)

    def normal(*size):
        return random.standard_normal(size).astype(numpy.float32)

    def matrix(name, rows, columns, deviation=None):
        if deviation is None:
            deviation = 1.2 / columns**0.5
        values = normal(rows, columns) * numpy.float32(deviation)
        if kind == F32:
            writer.add_tensor(f"{name}.weight", values)
        elif kind == F16:
            writer.add_tensor(f"{name}.weight", values.astype(numpy.float16))
        else:
            writer.add_tensor(f"{name}.weight", gguf.quants.quantize(values, kind), raw_dtype=kind)
        all_biased = family.get("bias") == "all" and name.startswith("blk.")
        if all_biased or name.split(".")[-1] in biases:
            writer.add_tensor(f"{name}.bias", normal(rows) * numpy.float32(0.1))

    def norm(name, scale=None):
        values = 1 + numpy.float32(0.1) * normal(width)
        if scale is not None:
            values *= scale
        writer.add_tensor(f"{name}.weight", values)
        if layer_norm:
            writer.add_tensor(f"{name}.bias", numpy.float32(0.1) * normal(width))

    def head_norm(name, count):
        kind = shape.get("heads_norm", family.get("heads"))
        if kind is not None:
            size = {"head": [head], "each": [count, head], "whole": [count * head]}[kind]
            writer.add_tensor(f"{name}.weight", 1 + numpy.float32(0.3) * normal(*size))

    matrix("token_embd", vocabulary, width, 1)
    for name in shape.get("factors", []):
        name = "rope_freqs" if name == "freqs" else f"rope_factors_{name}"
        values = 1 + 3 * random.random(head // 2, dtype=numpy.float32)
        writer.add_tensor(f"{name}.weight", values)
    if arch == "gpt2":
        values = normal(CONTEXT, width) * numpy.float32(0.5)
        writer.add_tensor("position_embd.weight", values)
    for layer in range(shape["layers"]):
        block = f"blk.{layer}"
        if family.get("before", True):
            norm(f"{block}.attn_norm")
        if family.get("fused"):
            matrix(f"{block}.attn_qkv", (heads + 2 * kv) * head, width)
        else:
            matrix(f"{block}.attn_q", heads * head, width)
            matrix(f"{block}.attn_k", kv * head, width)
            matrix(f"{block}.attn_v", kv * head, width)
        head_norm(f"{block}.attn_q_norm", heads)
        head_norm(f"{block}.attn_k_norm", kv)
        matrix(f"{block}.attn_output", width, heads * head)
        if family.get("after"):
            norm(f"{block}.post_attention_norm")
        if family.get("before", True) and not shape.get("shared"):
            norm(f"{block}.ffn_norm")
        gate = family.get("gate", "own")
        if gate == "own":
            matrix(f"{block}.ffn_gate", shape["ffn"], width)
        matrix(f"{block}.ffn_up", shape["ffn"] * (2 if gate == "in up" else 1), width)
        matrix(f"{block}.ffn_down", width, shape["ffn"])
        if family.get("after"):
            norm(f"{block}.post_ffw_norm")
    if shape.get("output"):
        norm("output_norm")
        matrix("output", vocabulary, width, 3 / width**0.5)
    else:
        # The embedding is the output matrix too. Random signs keep a token from foretelling
        # itself; the scale keeps logits as large as with an output matrix.
        signs = random.choice(numpy.array([-1, 1], numpy.float32), width)
        norm("output_norm", signs * numpy.float32(3 / width**0.5))

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return vocabulary, bos


def quantise(source, target, name):
    params = llama_cpp.llama_model_quantize_default_params()
    params.nthread = 1
    params.ftype = QUANTISED[name]
    params.pure = True
    failed = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), params)
    assert not failed, f"quantising to {name} failed"


def types_of(path):
    """The commonest type of the matrices, and the matrices of another."""
    tensors = [tensor for tensor in gguf.GGUFReader(path).tensors if len(tensor.shape) > 1]
    counts = {}
    for tensor in tensors:
        counts[tensor.tensor_type.name] = counts.get(tensor.tensor_type.name, 0) + 1
    common = max(counts, key=counts.get)
    others = {t.name: t.tensor_type.name for t in tensors if t.tensor_type.name != common}
    return common, others


class Model:
    """llama.cpp with the settings of a reference: one thread, one token at a time, F32 cache."""

    def __init__(self, path, lora=None):
        self.llama = llama_cpp.Llama(
            model_path=str(path),
            lora_path=lora and str(lora),
            n_ctx=CONTEXT,
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


def short(value):
    """The number with no more digits than its f32 needs."""
    return float(str(numpy.float32(value)))


def greedy(model, tokens):
    model.reset()
    for token in tokens:
        logits = model.logits(token)
    steps = []
    for _ in range(STEPS):
        assert numpy.isfinite(logits).all()
        # Best first; of equals the lower id, as the engine decides.
        best, second = numpy.argsort(-logits, kind="stable")[:2]
        steps.append([int(best), short(logits[best]), int(second), short(logits[second])])
        logits = model.logits(int(best))
    return {"tokens": tokens, "steps": steps}


def make(name, shape, path=None):
    given = path is not None
    path = path or HERE / "models" / f"{name}.gguf"
    if given:
        tokens = gguf.GGUFReader(path).get_field("tokenizer.ggml.tokens")
        vocabulary, bos = len(tokens.data), len(tokens.data) - 1
    elif "quantise" in shape:
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "f32.gguf"
            vocabulary, bos = write_model(source, shape)
            quantise(source, path, shape["quantise"])
    else:
        vocabulary, bos = write_model(path, shape)
    common, others = types_of(path)
    assert common.lower() == shape.get("quantise", shape.get("type", F32).name.lower()), common

    random = numpy.random.default_rng(1000 + shape["seed"])

    def prompt(length):
        return [bos, *(int(token) for token in random.integers(0, vocabulary, length - 1))]

    model = Model(path)
    assert model.llama.n_vocab() == vocabulary
    tokens = prompt(PROMPT_TOKENS)
    model.reset()
    logits = [model.logits(token) for token in tokens]
    rows = numpy.stack([logits[position] for position in POSITIONS]).astype("<f4")
    assert numpy.isfinite(rows).all()
    (HERE / f"{name}.f32").write_bytes(rows.tobytes())

    if "quantise" in shape:
        kind = {"kind": "quantised", "cosine": 0.999}
    else:
        kind = {"kind": "float", "tolerance": shape["tolerance"]}
    reference = {
        "model": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "made_with": f"llama-cpp-python {llama_cpp.__version__}",
        "settings": "CPU, 1 thread, batch 1, F32 KV cache, flash attention off",
        **kind,
        "type": common,
        "other_types": others,
        "vocabulary": vocabulary,
        "prompt": {"tokens": tokens, "positions": POSITIONS},
        "texts": [{"text": text, "tokens": model.tokens(text)} for text in TEXTS],
    }
    prompts = [greedy(model, prompt(length)) for length in GREEDY_PROMPTS]

    # One key or prompt a line: small, and a change can be read.
    lines = ",\n  ".join(json.dumps(prompt) for prompt in prompts)
    head = ",\n ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in reference.items())
    (HERE / f"{name}.json").write_text(f'{{\n {head},\n "greedy": [\n  {lines}\n ]\n}}\n')

    steps = [step for prompt in prompts for step in prompt["steps"]]
    gaps = [step[1] - step[3] for step in steps]
    share = 1e-2 * float(rows.max() - rows.min())
    print(
        f"{name}: {path.stat().st_size} bytes, {common} {others or ''}, vocabulary {vocabulary}, "
        f"logits {rows.min():.2f} to {rows.max():.2f}, "
        f"greedy: {len({step[0] for step in steps})} different tokens, gap of the two best "
        f"{numpy.median(gaps):.3f} (median), {min(gaps):.5f} (least), "
        f"{sum(gap < share for gap in gaps)} of {len(gaps)} under 1 % of the range"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all models")
    arguments = parser.parse_args()
    files = [name for name in arguments.names if name.endswith(".gguf")]
    unknown = [name for name in arguments.names if name not in MODELS and name not in files]
    if unknown:
        parser.error(f"no such model: {', '.join(unknown)}")
    (HERE / "models").mkdir(exist_ok=True)
    for name in arguments.names or MODELS:
        if name in files:
            path = pathlib.Path(name)
            make(path.stem, {"seed": 99, "tolerance": 3e-4}, path)
        else:
            make(name, MODELS[name])


if __name__ == "__main__":
    main()

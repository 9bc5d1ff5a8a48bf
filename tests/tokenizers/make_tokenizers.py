#!/usr/bin/env python3
"""Records how llama.cpp tokenizes 2,000 strings over all of Unicode, as reference for the engine's tests.

    python3 -m venv venv && venv/bin/pip install -r tests/reference/requirements.txt
    venv/bin/python tests/tokenizers/make_tokenizers.py [VOCABULARY.gguf ...]

Beside this script it writes strings.json, small vocabularies (one for each pre-tokenizer, whose merges
were learnt across the ends of words, so that a wrong cut shows in the ids, and a SentencePiece one),
and for each of these and for the files that are given NAME.json: for every string the beginning of the
SHA-256 of its ids (u32, little endian) without and with special tokens parsed, and whether
llama.cpp's detokenization of the former gives the string back.
"""

import collections
import hashlib
import json
import pathlib
import random
import re
import sys

import gguf
import llama_cpp
import numpy

HERE = pathlib.Path(__file__).resolve().parent
STRINGS = 2000
MERGES = 400
PRE = ["gpt-2", "llama-bpe", "qwen2", "smollm", "default"]

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
SPACES = [" ", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\u0085", "\u2009"]
CONTRACTIONS = ["'s", "'LL", "'Re", "'ve", "'d", "'t", "'M"]
SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
RARE = [
    "\U0001f98a", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u2764\ufe0f", "e\u0301", "\u0660",
    "\u2167", "\u00bd", "<|endoftext|>", "</s>", "<s>", "<tool>",
]
SCRIPTS = [
    (0xA1, 0x24F), (0x370, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
]


def piece(source):
    kind = source.random()
    if kind < 0.25:
        return source.choice(LETTERS)
    if kind < 0.35:
        return source.choice("0123456789")
    if kind < 0.45:
        return source.choice(SPACES)
    if kind < 0.52:
        return source.choice(CONTRACTIONS)
    if kind < 0.60:
        return source.choice(SIGNS)
    if kind < 0.65:
        return source.choice(RARE)
    if kind < 0.80:
        return chr(source.randint(*source.choice(SCRIPTS)))
    while True:
        code = source.randint(1, 0x10FFFF)
        if not 0xD800 <= code < 0xE000:
            return chr(code)


def strings():
    source = random.Random(1234)
    return [
        "".join(piece(source) for _ in range(source.randint(1, 50))) for _ in range(STRINGS)
    ]


def byte_characters():
    """GPT-2's spelling of bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {byte: chr(byte) for byte in printable}
    table.update({byte: chr(0x100 + n) for n, byte in enumerate(others)})
    return table


def learn(texts):
    """Merges, most frequent pair first."""
    table = byte_characters()
    words = [[table[byte] for byte in text.encode()] for text in texts]
    merges = []
    while len(merges) < MERGES:
        pairs = collections.Counter(pair for word in words for pair in zip(word, word[1:]))
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for index, word in enumerate(words):
            joined, at = [], 0
            while at < len(word):
                if tuple(word[at : at + 2]) == best:
                    joined.append(word[at] + word[at + 1])
                    at += 2
                else:
                    joined.append(word[at])
                    at += 1
            words[index] = joined
    return merges


def writer(path, architecture, model):
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(64)
    writer.add_embedding_length(16)
    writer.add_block_count(1)
    writer.add_feed_forward_length(16)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    writer.add_tokenizer_model(model)
    return writer


def write_byte_level(pre, merges):
    path = HERE / f"vocab-{pre}.gguf"
    out = writer(path, "llama", "gpt2")
    tokens = list(byte_characters().values()) + ["".join(pair) for pair in merges]
    tokens = list(dict.fromkeys(tokens)) + ["<|endoftext|>", "<tool>"]
    out.add_tokenizer_pre(pre)
    out.add_token_list(tokens)
    out.add_token_types([1] * (len(tokens) - 2) + [3, 4])
    out.add_token_merges([" ".join(pair) for pair in merges])
    out.add_bos_token_id(len(tokens) - 2)
    out.add_eos_token_id(len(tokens) - 2)
    finish(out)
    return path


def write_sentence_piece(texts):
    path = HERE / "vocab-spm.gguf"
    out = writer(path, "llama", "llama")
    counts = collections.Counter()
    for text in texts:
        text = "\u2581" + text.replace(" ", "\u2581")
        for length in (1, 2, 3):
            counts.update(text[at : at + length] for at in range(len(text) - length + 1))
    pieces = [piece for piece, count in counts.most_common(500) if count > 4]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    types = [2, 3, 3] + [6] * 256
    scores = [0.0] * len(tokens)
    for n, text in enumerate(pieces):
        tokens.append(text)
        types.append(1)
        # Longer pieces first, so that merges happen.
        scores.append(-float(n) - 1000 * (3 - len(text)))
    tokens.append("<tool>")
    types.append(4)
    scores.append(0.0)
    out.add_token_list(tokens)
    out.add_token_scores(scores)
    out.add_token_types(types)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_unk_token_id(0)
    out.add_add_bos_token(True)
    finish(out)
    return path


def finish(out):
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def digest(ids):
    return hashlib.sha256(numpy.array(ids, "<u4").tobytes()).hexdigest()[:12]


def record(path, texts):
    llama = llama_cpp.Llama(model_path=str(path), vocab_only=True, verbose=False)
    spaced = llama.metadata["tokenizer.ggml.model"] == "llama"
    plain, special, back = [], [], []
    for text in texts:
        ids = llama.tokenize(text.encode(), add_bos=True, special=False)
        plain.append(digest(ids))
        special.append(digest(llama.tokenize(text.encode(), add_bos=True, special=True)))
        bare = llama.tokenize(text.encode(), add_bos=False, special=False)
        decoded = llama.detokenize(bare, special=False)
        # SentencePiece puts a space in front of every text.
        back.append((decoded[1:] if spaced else decoded) == text.encode())
    name = path.stem
    result = {
        "vocabulary": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "made_with": f"llama-cpp-python {llama_cpp.__version__}",
        "plain": " ".join(plain),
        "special": " ".join(special),
        "back": "".join("1" if same else "0" for same in back),
    }
    (HERE / f"{name}.json").write_text(json.dumps(result, indent=0) + "\n")
    print(f"{name}: {sum(back)} of {len(back)} decode to the input")


def main():
    texts = strings()
    # Special tokens must not be learnt as text, too.
    plain = [re.sub(r"<\|endoftext\|>|</?s>|<tool>", "", text) for text in texts]
    (HERE / "strings.json").write_text(json.dumps(texts, indent=0) + "\n")
    merges = learn(plain)
    paths = [write_byte_level(pre, merges) for pre in PRE] + [write_sentence_piece(plain)]
    for path in [*paths, *map(pathlib.Path, sys.argv[1:])]:
        record(path, texts)


if __name__ == "__main__":
    main()

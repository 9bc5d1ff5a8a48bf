#!/usr/bin/env python3
"""Records how llama.cpp tokenizes 2,000 strings over all of Unicode, as reference for the engine's tests.

    python3 -m venv venv && venv/bin/pip install -r tests/reference/requirements.txt
    venv/bin/python tests/tokenizers/make_tokenizers.py [VOCABULARY.gguf ...]

Beside this script it writes strings.json, small vocabularies (one for each pre-tokenizer, whose merges
were learnt across the ends of words, so that a wrong cut shows in the ids, and a SentencePiece one),
and for each of these NAME.json: for every string the beginning of the SHA-256 of its ids (u32, little
endian) without and with special tokens parsed, and whether llama.cpp's detokenization of the former gives
the string back.

names.json has the same for every name of a pre-tokenizer, over strings.json and the strings of more.json,
which have more of what the patterns tell apart, with a vocabulary that was learnt from these. It has a digest for 20 strings, and names with equal results
share an entry.

vocabularies.json has it for the vocabularies that are given, which are not in the repository, with the tokens
at which llama.cpp ends a generation. It is written only if some are given:

    venv/bin/python tests/tokenizers/make_tokenizers.py LLAMA_CPP/models/ggml-vocab-*.gguf gemma-3-270m.gguf
"""

import collections
import hashlib
import json
import pathlib
import random
import re
import sys
import tempfile

import gguf
import llama_cpp
import numpy

HERE = pathlib.Path(__file__).resolve().parent
STRINGS = 2000
MERGES = 400
# Of the vocabulary for names.json, which are learnt from more.json.
MORE_MERGES = 1200
PRE = ["gpt-2", "llama-bpe", "qwen2", "smollm", "default"]

# What llama.cpp calls the pre-tokenizers that the engine has.
NAMES = """
default gpt-2 phi-2 mpt olmo jais roberta-bpe exaone4 jina-es jina-de jina-v1-en gigachat a.x-4.0 mellum
modern-bert trillion granite-docling llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2
jina-v5-nano dbrx smaug-bpe chatglm-bpe glm4 glm5 qwen2 deepseek-r1-qwen megrez stablelm2 kormo f2llmv2 hunyuan
solar-open grok-2 bailingmoe bailingmoe2 llada-moe smollm starcoder refact command-r codeshell exaone minerva-7b
mellum2 deepseek-llm deepseek-coder deepseek-v3 hunyuan-dense joyai-llm hy_v4 falcon gpt-4o llama4 kanana2 talkie
minimax-m2 tekken granite-embed-multi-97m qwen35 seed-coder ufakzeka minicpm5 laguna poro-chat bloom
gpt3-finnish viking
""".split()
GROUP = 20

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


MORE_PIECES = [
    "HTTP", "Server", "iPhone", "ABC", "d\u00c9f", "\u00c0\u00c9", "\u01c5", "123", "45678", "1", "\u0663\u0664", "a/b",
    "//", "/\n", "\n/", "\r\n", "\n\n", "\n \n", "  ", "   x", "\t", "\u3000", "\u00a0", "!?", "...", "\u2026", "+=", "<|",
    "`", "~", "$", "^^", "'s", "'S", "'ll", "'RE", "'", "\u2018", "\u201f", "\u3001\u3002", "\uff01", "\uff21\uff41", "\uff5e",
    "\u304b\u306a", "\u30ab\u30ca", "\u6f22\u5b57", "\u3400", "\ud55c\uad6d\uc5b4", "\u0e44\u0e17\u0e22", "\u0939\u093f\u0928\u094d\u0926\u0940", "e\u0301", "\u0301", "\u0964", "\u06d4",
    "\u060c", "\u05d0\u05d1", "\u0627\u0644", "\u0416\u0438", "\u03a3\u03c3", "\U00010400", "\U0001e900", "\x01", "\x7f", "\u200b", "\ufeff",
    "\u20ac", "\u00b1", "\u00d7", "\u00df", "\u00b5", "\u2160", "\u00bd", "_", "__init__", "(x)", "[1]", "{}", "#", "@a", "-", "\u2014",
]


def more_strings():
    source = random.Random(5678)
    one = lambda: source.choice(MORE_PIECES) if source.random() < 0.8 else source.choice(LETTERS + "     ")
    return ["".join(one() for _ in range(source.randint(2, 24))) for _ in range(STRINGS // 4)]


def byte_characters():
    """GPT-2's spelling of bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {byte: chr(byte) for byte in printable}
    table.update({byte: chr(0x100 + n) for n, byte in enumerate(others)})
    return table


def learn(texts, count=MERGES):
    """Merges, most frequent pair first."""
    table = byte_characters()
    words = [[table[byte] for byte in text.encode()] for text in texts]
    merges = []
    while len(merges) < count:
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


def write_byte_level(pre, merges, name=None):
    path = HERE / f"vocab-{name or pre}.gguf"
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


def grouped(llama, texts, special):
    """A digest for the ids of each GROUP strings."""
    result = []
    for at in range(0, len(texts), GROUP):
        ids = [
            [*llama.tokenize(text.encode(), add_bos=True, special=special), 0xFFFFFFFF]
            for text in texts[at : at + GROUP]
        ]
        result.append(digest([token for text in ids for token in text]))
    return " ".join(result)


def load(path):
    return llama_cpp.Llama(model_path=str(path), vocab_only=True, verbose=False)


def record_names(texts):
    """Of one vocabulary, with every name in the place of gpt-2."""
    file = (HERE / "vocab-names.gguf").read_bytes()
    string = lambda text: len(text).to_bytes(8, "little") + text.encode()
    key = string("tokenizer.ggml.pre") + (8).to_bytes(4, "little")
    entries = {}
    for name in NAMES:
        assert file.count(key + string("gpt-2")) == 1
        with tempfile.NamedTemporaryFile(suffix=".gguf") as renamed:
            renamed.write(file.replace(key + string("gpt-2"), key + string(name)))
            renamed.flush()
            llama = load(renamed.name)
            result = (grouped(llama, texts, False), grouped(llama, texts, True))
        entries.setdefault(result, []).append(name)
    groups = [
        {"names": names, "plain": plain, "special": special}
        for (plain, special), names in entries.items()
    ]
    result = {"made_with": f"llama-cpp-python {llama_cpp.__version__}", "groups": groups}
    (HERE / "names.json").write_text(json.dumps(result, indent=0) + "\n")
    print(f"{len(NAMES)} names, {len(groups)} different results")


def expressible(llama, texts):
    """The texts without the characters of which a byte is no token: llama.cpp drops it, the engine refuses."""
    if llama.metadata["tokenizer.ggml.model"] != "gpt2":
        return texts
    vocab = llama_cpp.llama_model_get_vocab(llama.model)
    tokens = {llama_cpp.llama_vocab_get_text(vocab, n) for n in range(llama.n_vocab())}
    known = {byte for byte, spelling in byte_characters().items() if spelling.encode() in tokens}
    return ["".join(c for c in text if known.issuperset(c.encode())) for text in texts]


def record_vocabularies(paths, texts):
    result = []
    for path in paths:
        try:
            llama = load(path)
        except ValueError as error:
            print(f"{path.stem}: {error}")
            continue
        vocab = llama_cpp.llama_model_get_vocab(llama.model)
        ends = [n for n in range(llama.n_vocab()) if llama_cpp.llama_vocab_is_eog(vocab, n)]
        known = expressible(llama, texts)
        result.append({
            "vocabulary": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "ends": ends,
            "plain": grouped(llama, known, False),
            "special": grouped(llama, known, True),
        })
        print(f"{path.stem}: ends with {ends}")
    result = {"made_with": f"llama-cpp-python {llama_cpp.__version__}", "vocabularies": result}
    (HERE / "vocabularies.json").write_text(json.dumps(result, indent=0) + "\n")


def main():
    texts = strings()
    more = more_strings()
    # Special tokens must not be learnt as text, too.
    plain = [re.sub(r"<\|endoftext\|>|</?s>|<tool>", "", text) for text in texts]
    (HERE / "strings.json").write_text(json.dumps(texts, indent=0) + "\n")
    (HERE / "more.json").write_text(json.dumps(more, indent=0) + "\n")
    merges = learn(plain)
    paths = [write_byte_level(pre, merges) for pre in PRE] + [write_sentence_piece(plain)]
    for path in paths:
        record(path, texts)
    write_byte_level("gpt-2", learn(more, MORE_MERGES), "names")
    record_names(texts + more)
    if sys.argv[1:]:
        record_vocabularies(map(pathlib.Path, sys.argv[1:]), texts)


if __name__ == "__main__":
    main()

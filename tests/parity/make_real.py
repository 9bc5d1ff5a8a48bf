#!/usr/bin/env python3
"""Records what llama.cpp computes for published models, which are not in the repository.

    venv/bin/python tests/parity/make_real.py FOLDER/*.gguf
    SEL4_LLM_REAL=FOLDER cargo test -p llmtool --test real -- --nocapture

Beside each model goes MODEL.real.json: for ten prompts 64 greedy tokens with, for each, the ids and logits of the
two best, from a batch of one token; and "noise": the greatest difference of a logit, over all these positions, between
that and a batch of 24 tokens. llama.cpp runs as in `make_parity.py`.
"""

import argparse
import json
import pathlib

import llama_cpp
import numpy

CONTEXT = 256
STEPS = 64
PROMPTS = [
    "The capital of France is",
    "Once upon a time there was a king who",
    "def fibonacci(n):",
    "Water boils at",
    "The three laws of thermodynamics say that",
    "In 1969, the first humans",
    "Dear Sir or Madam,",
    "A microkernel is an operating system kernel that",
    "List five fruits: apple,",
    "She opened the door and saw",
]


def load(path, batch):
    return llama_cpp.Llama(
        model_path=str(path),
        n_ctx=CONTEXT,
        n_batch=batch,
        n_ubatch=batch,
        n_threads=1,
        n_threads_batch=1,
        logits_all=batch > 1,
        flash_attn=False,
        type_k=llama_cpp.GGML_TYPE_F32,
        type_v=llama_cpp.GGML_TYPE_F32,
        n_gpu_layers=0,
        verbose=False,
    )


def feed(llama, token):
    llama.eval([token])
    pointer = llama_cpp.llama_get_logits_ith(llama.ctx, -1)
    return numpy.ctypeslib.as_array(pointer, shape=(llama.n_vocab(),)).copy()


def record(path):
    one = load(path, 1)
    prompts, rows = [], []
    for text in PROMPTS:
        tokens = one.tokenize(text.encode(), add_bos=True, special=False)
        one.reset()
        logits = [feed(one, token) for token in tokens][-1:]
        steps = []
        for _ in range(STEPS):
            best, second = numpy.argsort(-logits[-1], kind="stable")[:2]
            last = logits[-1]
            steps.append([int(best), float(last[best]), int(second), float(last[second])])
            logits.append(feed(one, int(best)))
        prompts.append({"text": text, "tokens": tokens, "steps": steps})
        rows.append(numpy.stack(logits[:STEPS]))
    del one
    many, noise = load(path, 24), 0.0
    for prompt, row in zip(prompts, rows):
        many.reset()
        many.eval([*prompt["tokens"], *(step[0] for step in prompt["steps"][:-1])])
        first = len(prompt["tokens"]) - 1
        other = many.scores[first : first + STEPS]
        prompt["noise"] = float(numpy.abs(other - row).max())
        noise = max(noise, prompt["noise"])
    lines = ",\n ".join(json.dumps(prompt) for prompt in prompts)
    text = f'{{"noise": {noise},\n"prompts": [\n {lines}\n]}}\n'
    path.with_suffix(".real.json").write_text(text)
    gaps = [step[1] - step[3] for prompt in prompts for step in prompt["steps"]]
    print(f"{path.name}: noise {noise:.4f}, {sum(gap > noise for gap in gaps)} of {len(gaps)} steps clear")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    for path in parser.parse_args().models:
        record(path)


if __name__ == "__main__":
    main()

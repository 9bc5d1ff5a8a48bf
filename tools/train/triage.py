#!/usr/bin/env python3
"""How often an answer on a held-out event is right: of a GGUF model, by `llmtool generate`, and of baselines beside it.

    python triage.py                                                  # the baselines
    python triage.py --llmtool ../../target/release/llmtool --model triage.gguf

The baselines learn from events of the training split: the most frequent class; and multinomial logistic regression on bags
of words, and on bags of words and of pairs of neighbours.
The model is asked as the example asks it: the standing text is the system's, the line is a user's, the answer is greedy and one
of the choices. An answer that is none counts as wrong, and is counted.
"""

import argparse
import re
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
from tqdm import tqdm

from events import generate, wordings
from events.rules import CLASSES, THINGS

WORD = re.compile(r"[a-z0-9]+")
ANSWER_TOKENS = 4
"""As many as the example asks for. A class is one token of the model's vocabulary."""
ROUNDS, RATE, DECAY = 600, 2.0, 1e-5
"""Gradient descent of the logistic regression, all events at a time; its loss no longer moves in the fourth digit."""


def majority(known, asked) -> list[str]:
    most = Counter(event.right for event in known).most_common(1)[0][0]
    return [most] * len(asked)


def bag(line: str, with_pairs: bool) -> set[str]:
    words = WORD.findall(line.lower())
    return {*words, *(map(" ".join, zip(words, words[1:])) if with_pairs else ())}


def bag_of_words(known, asked, with_pairs: bool) -> list[str]:
    """Multinomial logistic regression on which words there are."""
    bags = [bag(event.line, with_pairs) for event in known]
    column = {word: number for number, word in enumerate(sorted(set().union(*bags)))}

    def table(bags):
        rows = np.zeros((len(bags), len(column) + 1), dtype=np.float32)
        rows[:, -1] = 1.0
        for row, words in zip(rows, bags):
            row[[column[word] for word in words if word in column]] = 1.0
        return rows

    x = table(bags)
    right = np.eye(len(CLASSES), dtype=np.float32)[[CLASSES.index(event.right) for event in known]]
    weights = np.zeros((x.shape[1], len(CLASSES)), dtype=np.float32)
    speed = np.zeros_like(weights)
    for _ in range(ROUNDS):
        scores = x @ weights
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        speed = 0.9 * speed - RATE / 10 * (x.T @ (chances - right) / len(x) + DECAY * weights)
        weights += speed
    best = (table([bag(event.line, with_pairs) for event in asked]) @ weights).argmax(axis=1)
    return [CLASSES[number] for number in best]


def ask(llmtool: Path, model: Path, event) -> str:
    command = [llmtool, "generate", "-m", model, "--system", wordings.STANDING, "-p", event.line, "--choices", ",".join(CLASSES),
               "-n", str(ANSWER_TOKENS), "--temperature", "0"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"`{' '.join(map(str, command))}` failed:\n{done.stderr.decode(errors='replace')}")
    return done.stdout.decode(errors="replace").removesuffix("\n")


def report(name: str, events, answers: list[str]) -> str:
    """A row: all events, each kind, whether somebody looks, and how many answers were no class."""
    def share(hits) -> str:
        hits = list(hits)
        return f"{100.0 * sum(hits) / max(1, len(hits)):.1f} %"

    calm = CLASSES[:2]
    cells = [share(a == e.right for a, e in zip(answers, events))]
    cells += [share(a == e.right for a, e in zip(answers, events) if e.kind == kind) for kind in THINGS]
    cells.append(share((a in calm) == (e.right in calm) for a, e in zip(answers, events)))
    cells.append(str(sum(a not in CLASSES for a in answers)))
    return f"| {name} | " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llmtool", type=Path)
    parser.add_argument("--model", type=Path, action="append", default=[], metavar="GGUF", help="may be repeated")
    parser.add_argument("-n", type=int, default=1000, metavar="COUNT", help="held-out events (default %(default)s)")
    parser.add_argument("--seed", type=int, default=2, help="which (default %(default)s; 1 is what a run measures itself on)")
    parser.add_argument("--known", type=int, default=20000, metavar="COUNT", help="training events of the baselines (default %(default)s)")
    parser.add_argument("--wrong", action="store_true", help="also print what a model gets wrong")
    args = parser.parse_args()
    if args.model and not args.llmtool:
        parser.error("--model needs --llmtool")
    asked = generate.make("valid", args.seed, 0, args.n)
    known = generate.make("train", args.seed, 0, args.known)
    print(f"| {args.n} held-out events | right | {' | '.join(THINGS)} | calm or not | no class |\n|---|{'---:|' * (len(THINGS) + 3)}")
    print(report("most frequent class", asked, majority(known, asked)))
    print(report("bag of words", asked, bag_of_words(known, asked, with_pairs=False)))
    print(report("bag of words and pairs", asked, bag_of_words(known, asked, with_pairs=True)), flush=True)
    for model in args.model:
        answers = [ask(args.llmtool, model, event) for event in tqdm(asked, unit="event", desc=model.name)]
        print(report(model.name, asked, answers), flush=True)
        for event, answer in zip(asked, answers):
            if args.wrong and answer != event.right:
                print(f"{event.line} = {answer}, not {event.right}")


if __name__ == "__main__":
    main()

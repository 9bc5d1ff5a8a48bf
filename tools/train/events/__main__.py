"""`python -m events`: writes documents of events with their classes; or the files of the example.

    python -m events --documents 1600 -o events.txt
    python -m events --documents 20 --split valid -o events-valid.txt
    python -m events --watch ../../examples/triage --seed 4
"""

import argparse
import os
import sys
from pathlib import Path

from . import generate, wordings

WATCHED = 500
"""Held-out events of the example, with what is right of each."""
UNPAID = ("Closed: The kitchen sensor saw motion.", "Open: The cellar door was opened with a badge.")
"""Lines behind them, for which the example's policy leaves no budget."""


def write_example(folder: Path, seed: int):
    events = generate.make("valid", seed, 0, WATCHED)
    for name, lines in (
        ("standing.txt", [wordings.STANDING]),
        ("events.txt", [*(event.line for event in events), "", *UNPAID]),
        ("right.txt", [event.right for event in events]),
    ):
        (folder / name).write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(prog="python -m events", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1600, help=f"how many, of {generate.EVENTS} events each (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which (default %(default)s)")
    parser.add_argument("--split", choices=generate.SPLITS, default="train",
                        help="valid: combinations and wordings that the training split never has (default %(default)s)")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    parser.add_argument("--watch", type=Path, metavar="FOLDER",
                        help=f"write standing.txt, events.txt and right.txt there instead: the standing text, {WATCHED} held-out events, "
                        "and their classes")
    args = parser.parse_args()
    if args.watch:
        write_example(args.watch, args.seed)
    elif args.output:
        unfinished = f"{args.output}.new"  # A kill leaves no short text in its place. (This package stands alone.)
        with open(unfinished, "w", encoding="utf-8", newline="\n") as file:
            size = generate.write(file, args.documents, args.split, args.seed)
        os.replace(unfinished, args.output)
        print(f"{args.documents} documents, {size:,} bytes in {args.output}", file=sys.stderr)
    else:
        generate.write(sys.stdout, args.documents, args.split, args.seed)


if __name__ == "__main__":
    main()

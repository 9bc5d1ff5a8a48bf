"""`python -m events`: writes documents, each the notes of a site and events with their classes.

    python -m events --documents 20000 -o events.txt
    python -m events --documents 200 --split valid -o events-valid.txt
"""

import argparse
import os
import sys

from . import generate


def main():
    parser = argparse.ArgumentParser(prog="python -m events", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20000, help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which (default %(default)s)")
    parser.add_argument("--split", choices=generate.SPLITS, default="train",
                        help="valid: combinations and wordings that the training split never has (default %(default)s)")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    args = parser.parse_args()
    if args.output:
        unfinished = f"{args.output}.new"  # A kill leaves no short text in its place. (This package stands alone.)
        with open(unfinished, "w", encoding="utf-8", newline="\n") as file:
            size = generate.write(file, args.documents, args.split, args.seed)
        os.replace(unfinished, args.output)
        print(f"{args.documents} documents, {size:,} bytes in {args.output}", file=sys.stderr)
    else:
        generate.write(sys.stdout, args.documents, args.split, args.seed)


if __name__ == "__main__":
    main()

"""`python -m stories`: writes stories until a size is reached.

    python -m stories --megabytes 20 -o stories.txt
    python -m stories --megabytes 0.2 --split valid -o stories-valid.txt
"""

import argparse
import os
import sys

from . import generate


def main():
    parser = argparse.ArgumentParser(prog="python -m stories", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=1.0, help="size of the text; the last story is whole (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which stories (default %(default)s)")
    parser.add_argument("--split", choices=generate.SPLITS, default="train",
                        help="valid: stories that no seed of the training split gives (default %(default)s)")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    args = parser.parse_args()
    if args.output:
        unfinished = f"{args.output}.new"  # A kill leaves no short text in its place. (This package stands alone.)
        with open(unfinished, "w", encoding="utf-8", newline="\n") as file:
            count = generate.write(file, round(args.megabytes * 1e6), args.split, args.seed)
        os.replace(unfinished, args.output)
        print(f"{count} stories in {args.output}", file=sys.stderr)
    else:
        generate.write(sys.stdout, round(args.megabytes * 1e6), args.split, args.seed)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What a model must beat on held-out text, in bits per byte.

    python baselines.py ngram --work work       # Kneser-Ney of order 5, over the token files that `prepare` wrote
    python baselines.py xz                      # xz -9e that has seen the training text
    python baselines.py xz --text mix.txt --valid stories-valid.txt
"""

import argparse
import json
import lzma
from pathlib import Path

from trainlib import corpus

HERE = Path(__file__).resolve().parent


def xz_size(text: bytes) -> int:
    """Bytes of `xz -9e`."""
    return len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))


def xz_bits_per_byte(train: bytes, valid: bytes) -> tuple[float, float]:
    """Given the training text first: the size of both less the size of the first. And alone."""
    return (xz_size(train + valid) - xz_size(train)) * 8 / len(valid), xz_size(valid) * 8 / len(valid)


def command_xz(args):
    train = b"".join(path.read_bytes() for path in args.text or corpus.train_files())
    valid = (args.valid or corpus.valid_file()).read_bytes()
    given, alone = xz_bits_per_byte(train, valid)
    print(f"xz -9e: {given:.4f} bits per byte given {len(train):,} bytes of training text, {alone:.4f} alone")


def command_ngram(args):
    from trainlib import data
    from trainlib.ngram import KneserNey

    folder = args.work / "data"
    meta = json.loads((folder / "meta.json").read_text())
    model = KneserNey(data.read(folder / "train.bin"), meta["vocab"], args.order)
    texts = {"": meta["valid_bytes"]} | meta.get("also_valid", {})
    for name, size in texts.items():
        place = folder / (f"valid-{name}.bin" if name else "valid.bin")
        print(f"{place.name}: {model.bits_per_byte(data.read(place), size):.4f} bits per byte, Kneser-Ney of order {args.order} "
              f"over {meta['vocab']} pieces, {meta['train_tokens']:,} training tokens")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    sub = commands.add_parser("xz", help="a compressor that has seen the training text")
    sub.set_defaults(function=command_xz)
    sub.add_argument("--text", type=Path, action="append", metavar="FILE", help="training text, may be repeated (default: the corpus)")
    sub.add_argument("--valid", type=Path, metavar="FILE", help="held-out text (default: the corpus's)")
    sub = commands.add_parser("ngram", help="n-grams over the tokens of the model")
    sub.set_defaults(function=command_ngram)
    sub.add_argument("--work", type=Path, default=HERE / "work", help="folder with data/ as `train.py prepare` writes it")
    sub.add_argument("--order", type=int, default=5, help="tokens of the longest n-grams (default %(default)s)")
    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    main()

"""The shape study: short runs of several shapes on the same text, and a chart of held-out bits per byte against arena bytes.

One TOML file says the text, how each run is trained, and the shapes. The study's folder holds `mix.txt`, and for each
vocabulary its pieces and token files, and for each shape a run as `train` makes it; so the study goes on where it was
stopped. Every run reads the same number of *bytes*, whatever its vocabulary.
"""

import csv
import itertools
import json
import re
import subprocess
import sys
import threading
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from stories import generate

from . import corpus, mix
from .config import ConfigError, ModelConfig

TRAIN = Path(__file__).resolve().parents[1] / "train.py"
MODEL_KEYS = ("vocab", "context", "dim", "layers", "heads", "kv_heads", "head_dim", "ffn")
STUDY_KEYS = ("megabytes_seen", "evaluations", "rounds")
"""Keys of [train] that are the study's own; the others are those of a config."""
TINY_ARENA = "1KiB"
"""No model fits, so that `llmtool inspect` plans the least that it needs, without room for large batches."""
FIELDS = ("name", "vocab", "layers", "dim", "heads", "kv_heads", "ffn", "parameters", "type", "least_arena_bytes", "steps",
          "steps_planned", "tokens_seen", "bytes_seen", "minutes", "tales_bits_per_byte", "stories_bits_per_byte", "finished",
          "compared_bytes", "compared_tales_bits_per_byte", "compared_stories_bits_per_byte")
"""`compared_…` is measured on the first `eval_windows` windows of the held-out texts, after the same bytes of training text
for all shapes: the latest point at which half of them have been measured."""


@dataclass(frozen=True)
class Shape:
    model: ModelConfig
    quantise: str


@dataclass(frozen=True)
class Study:
    text: dict
    train: dict
    shapes: list[Shape]


def load(path: Path) -> Study:
    with open(path, "rb") as file:
        data = tomllib.load(file)
    shapes = []
    try:
        for entry in data["shape"]:
            entry = data["common"] | entry
            shapes.append(Shape(ModelConfig(entry["name"], **{key: entry[key] for key in MODEL_KEYS}), entry["quantise"]))
        study = Study(data["text"], data["train"], shapes)
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if len({shape.model.name for shape in shapes}) < len(shapes):
        raise ConfigError(f"{path}: two shapes have one name")
    return study


def vocabulary_folder(folder: Path, vocab: int) -> Path:
    return folder / f"v{vocab}"


def prepare(study: Study, folder: Path):
    """Text, vocabularies and token files; what is there already is kept."""
    from . import data, tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    text, stories = folder / "mix.txt", folder / "stories-valid.txt"
    if not text.with_suffix(".json").exists():
        mix.write(text, study.text["stories"], round(study.text["megabytes"] * 1e6), study.text["seed"])
    if not stories.exists():
        with open(stories, "w") as file:
            generate.write(file, round(study.text["stories_valid_kilobytes"] * 1e3), "valid", study.text["seed"])
    for vocab in sorted({shape.model.vocab for shape in study.shapes}):
        place = vocabulary_folder(folder, vocab)
        if (place / "data" / "meta.json").exists():
            continue
        place.mkdir(exist_ok=True)
        (place / "tokenizer.model").write_bytes(tokenizer.train([text], vocab))
        processor = tokenizer.load(place / "tokenizer.model")
        data.prepare(processor, [text], corpus.valid_file(), 0.5, study.text["seed"], place / "data", {"stories": stories})


def steps_of(study: Study, shape: Shape, meta: dict) -> int:
    """Steps in which a run reads `megabytes_seen`, by the mean bytes of a token of its vocabulary."""
    tokens = study.train["megabytes_seen"] * 1e6 * meta["train_tokens"] / meta["train_bytes"]
    return round(tokens / (study.train["batch"] * shape.model.context))


def write_config(study: Study, shape: Shape, folder: Path) -> Path:
    """The config file of one run, from which `train` can repeat it alone."""
    meta = json.loads((vocabulary_folder(folder, shape.model.vocab) / "data" / "meta.json").read_text())
    steps = steps_of(study, shape, meta)
    train = {key: value for key, value in study.train.items() if key not in STUDY_KEYS}
    lines = ["[model]", f'name = "{shape.model.name}"'] + [f"{key} = {getattr(shape.model, key)}" for key in MODEL_KEYS]
    lines += ["", "[train]", f"steps = {steps}", f"eval_every = {steps // study.train['evaluations']}"] + [f"{key} = {value}" for key, value in train.items()]
    place = folder / "configs" / f"{shape.model.name}.toml"
    place.parent.mkdir(exist_ok=True)
    place.write_text("\n".join(lines) + "\n")
    return place


def run(study: Study, folder: Path, jobs: int, threads: int, after_each):
    """Runs all shapes in the order of the file, `jobs` at a time, each as a process of its own.

    In rounds: all shapes are trained up to the first share of their steps before any goes on. So a study that is cut short
    still has curves over the same text.
    """

    def one(shape: Shape, share: float):
        place, config = vocabulary_folder(folder, shape.model.vocab), write_config(study, shape, folder)
        meta = json.loads((place / "data" / "meta.json").read_text())
        stop = round(share * steps_of(study, shape, meta))
        with open(folder / f"{shape.model.name}.log", "a") as log:
            subprocess.run(
                [sys.executable, TRAIN, "--work", place, "train", config, "--threads", str(threads), "--checkpoint-minutes", "3",
                 "--stop-at", str(stop)],
                stdout=log, stderr=subprocess.STDOUT, check=True,
            )
        with reporting:
            after_each(shape)

    reporting = threading.Lock()
    with ThreadPoolExecutor(jobs) as pool:
        for share in study.train["rounds"]:
            for done in [pool.submit(one, shape, share) for shape in study.shapes]:
                done.result()


# Report


def arena_bytes(llmtool: Path, shape: Shape, processor, folder: Path) -> int:
    """The least arena in which the shape runs with its context, quantised: `llmtool inspect` on a file of its shape.

    It depends on the shape and the types alone, so the weights are those that a network starts with.
    """
    import torch

    from . import export
    from .model import Llama

    known = folder / "arena.json"
    figures = json.loads(known.read_text()) if known.exists() else {}
    key = f"{shape.model} {shape.quantise}"
    if key in figures:
        return figures[key]
    torch.manual_seed(0)
    plain, small = folder / "shape-f32.gguf", folder / f"shape-{shape.quantise}.gguf"
    export.write(Llama(shape.model), processor, plain, "untrained")
    subprocess.run([llmtool, "quantize", plain, small, shape.quantise, "--pure"], check=True, capture_output=True)
    command = [llmtool, "inspect", small, "-c", str(shape.model.context), "--arena", TINY_ARENA]
    figures[key] = parse_total(subprocess.run(command, check=False, capture_output=True, text=True).stdout)
    known.write_text(json.dumps(figures, indent=1) + "\n")
    return figures[key]


def parse_total(inspected: str) -> int:
    """The total of the memory table that `llmtool inspect` prints, in bytes."""
    found = re.search(r"^\s+total\s+([\d.]+) (KiB|MiB)$", inspected, re.MULTILINE)
    if not found:
        raise SystemExit(f"no total in what `llmtool inspect` printed:\n{inspected}")
    return round(float(found.group(1)) * {"KiB": 1 << 10, "MiB": 1 << 20}[found.group(2)])


def read_log(folder: Path, shape: Shape) -> list[dict]:
    log = vocabulary_folder(folder, shape.model.vocab) / "runs" / shape.model.name / "log.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def curve(study: Study, shape: Shape, folder: Path) -> dict[float, dict]:
    """The measurements of a run by the share of its steps that they come after."""
    meta = json.loads((vocabulary_folder(folder, shape.model.vocab) / "data" / "meta.json").read_text())
    # In units of whole evaluations first: their number of steps is rounded, differently for each vocabulary.
    every = steps_of(study, shape, meta) // study.train["evaluations"]
    measured = [r for r in read_log(folder, shape) if r["kind"] == "valid" and not r.get("whole")]
    return {round(r["step"] / every / study.train["evaluations"], 4): r for r in measured}


def compare(study: Study, folder: Path, rows: list[dict]):
    """Adds to the rows what the runs had reached after the same bytes: the most after which half of them have been measured."""
    curves = [curve(study, shape, folder) for shape in study.shapes]
    shares = Counter(share for measured in curves for share in measured)
    common = max(shares, key=lambda share: (min(shares[share], max(2, len(curves) // 2)), share), default=None)
    for entry, measured in zip(rows, curves):
        at = measured.get(common)
        entry["compared_bytes"] = round(study.train["megabytes_seen"] * 1e6 * common) if at else ""
        entry["compared_tales_bits_per_byte"] = round(at["bits_per_byte"], 4) if at else ""
        entry["compared_stories_bits_per_byte"] = round(at["also"]["stories"], 4) if at else ""


def row(study: Study, shape: Shape, folder: Path, arena: int) -> dict:
    """What is known of a run, from its log; bits per byte are those of the whole held-out texts once it has ended."""
    from .model import Llama

    place = vocabulary_folder(folder, shape.model.vocab)
    meta = json.loads((place / "data" / "meta.json").read_text())
    records = read_log(folder, shape)
    steps = max((r["step"] for r in records), default=0)
    last = [r for r in records if r["kind"] == "valid"][-1:]
    tokens = steps * study.train["batch"] * shape.model.context
    return {
        "name": shape.model.name,
        **{key: getattr(shape.model, key) for key in ("vocab", "layers", "dim", "heads", "kv_heads", "ffn")},
        "parameters": Llama(shape.model).parameter_count(),
        "type": shape.quantise,
        "least_arena_bytes": arena,
        "steps": steps,
        "steps_planned": steps_of(study, shape, meta),
        "tokens_seen": tokens,
        "bytes_seen": round(tokens * meta["train_bytes"] / meta["train_tokens"]),
        "minutes": round(max((r.get("seconds", 0) for r in records), default=0) / 60, 1),
        "tales_bits_per_byte": round(last[0]["bits_per_byte"], 4) if last else "",
        "stories_bits_per_byte": round(last[0]["also"]["stories"], 4) if last else "",
        "finished": bool(last and last[0].get("whole")),
    }


def report(study: Study, folder: Path, llmtool: Path, table: Path, chart: Path) -> list[dict]:
    """Writes the CSV and the chart of all that has been run so far."""
    from . import tokenizer

    rows = []
    for shape in study.shapes:
        processor = tokenizer.load(vocabulary_folder(folder, shape.model.vocab) / "tokenizer.model")
        rows.append(row(study, shape, folder, arena_bytes(llmtool, shape, processor, folder)))
    compare(study, folder, rows)
    with open(table, "w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, chart)
    return rows


def draw(rows: list[dict], place: Path):
    """Held-out bits per byte of the tales against the least arena, the goal as a line; a point for each run that has
    been measured. If all have ended, the figures are those of the whole text, else those after the same bytes."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "sel4-llm"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5))
    ended = all(r["finished"] for r in rows)
    key = "tales_bits_per_byte" if ended else "compared_tales_bits_per_byte"
    seen = max((r["bytes_seen"] if ended else r["compared_bytes"] or 0 for r in rows), default=0)
    for vocab, marker in zip(sorted({r["vocab"] for r in rows}), "os^D"):
        points = sorted((r for r in rows if r["vocab"] == vocab and r[key] != ""), key=lambda r: r["least_arena_bytes"])
        xs, ys = [r["least_arena_bytes"] / 2**20 for r in points], [r[key] for r in points]
        axes.plot(xs, ys, marker, label=f"vocabulary {vocab}", markersize=6)
        # Above and below in turn, so that neighbours' names do not meet.
        for (r, x, y), lift in zip(zip(points, xs, ys), itertools.cycle((4, -16))):
            axes.annotate(f"{r['layers']} x {r['dim']}\n{r['parameters'] / 1e6:.1f} M", (x, y), textcoords="offset points",
                          xytext=(6, lift), fontsize=7)
    axes.axvline(6, linestyle="--", linewidth=1, color="gray")
    axes.margins(y=0.12)
    axes.set(xlabel="least arena, 4-bit weights, context 512 (MiB)", xlim=(0, 9),
             ylabel=f"held-out bits per byte (tales), after {seen / 1e6:.2g} MB")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(place, metadata={"Date": None})
    plt.close(figure)

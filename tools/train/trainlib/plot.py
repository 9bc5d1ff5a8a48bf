"""The loss curves of a run, as SVG."""

import json
import math
from pathlib import Path


def read_log(path: Path) -> tuple[dict, dict]:
    """Training loss by step, and for each held-out text ("" is the headline one) bits per byte by step, or of conversations the
    share of wrong answers. Steps that a resumed run repeated count once, as last logged."""
    train, valid = {}, {"": {}}
    for line in path.read_text().splitlines():
        record = json.loads(line)
        if record["kind"] == "train":
            train[record["step"]] = record["loss"]
        elif record["kind"] == "valid" and not record.get("whole"):  # the final figure is measured in another way
            headline = 1.0 - record["right"] if "right" in record else record["bits_per_byte"]
            for name, bpb in ({"": headline} | record.get("also", {})).items():
                valid.setdefault(name, {})[record["step"]] = bpb
    return train, valid


def smooth(values: list[float], share: float = 0.05) -> list[float]:
    """Exponential mean, so that the curve shows the trend and not the batches."""
    mean, out = values[0], []
    for value in values:
        mean += share * (value - mean)
        out.append(mean)
    return out


def draw(log: Path, meta: dict, place: Path):
    """The curves in bits per byte, the training one by the average bytes per training token; of conversations, the loss in nats
    per token of the answers, and the share of wrong ones."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "sel4-llm"
    import matplotlib.pyplot as plt

    train, valid = read_log(log)
    answers = bool(meta.get("answer_start"))
    to_bits = 1.0 if answers else meta["train_tokens"] / meta["train_bytes"] / math.log(2)
    figure, axes = plt.subplots(figsize=(7, 4))
    steps = sorted(train)
    axes.plot(steps, smooth([train[s] * to_bits for s in steps]), label="training text (smoothed)", linewidth=1)
    for name, found in valid.items():
        label = f"held-out text ({name})" if name else "wrong held-out answers" if answers else "held-out text"
        axes.plot(sorted(found), [found[s] for s in sorted(found)], "o-", label=label, markersize=3, linewidth=1)
    lowest = min((bpb for found in valid.values() for bpb in found.values()), default=1.0)
    if answers:
        axes.set(xlabel="step", ylabel="nats per token of an answer, and share", ylim=(0.0, 1.0))
    else:
        axes.set(xlabel="step", ylabel="bits per byte", ylim=(min(1.0, lowest - 0.1), 3.0))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(place, metadata={"Date": None})

"""From the corpus to a signed GGUF file, by the commands of `train.py` and `llmtool` in their order.

A step whose result is there is not taken again, and training goes on from its checkpoint: the same command goes on
after whatever stopped it. Every step is printed, so that it can be repeated by hand.
"""

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .config import Config

TRAIN = Path(__file__).resolve().parents[1] / "train.py"


@dataclass(frozen=True)
class Pipeline:
    """Where everything comes from and goes to."""

    config: Config
    config_file: Path
    work: Path
    llmtool: Path
    key: Path
    """Secret key to sign with; made if it is not there."""
    output: Path
    train_options: tuple[str, ...] = ()

    @property
    def run(self) -> Path:
        return self.work / "runs" / self.config_file.stem

    def steps(self) -> list[tuple[Path, list]]:
        """(what it makes, the command), in order."""
        text, model = self.config.text, self.config.model
        train = [sys.executable, TRAIN, "--work", self.work]
        words, steps = [], []
        if text.stories:
            mix, held_out = self.work / "mix.txt", self.work / "stories-valid.txt"
            steps += [
                (mix, [*train, "mix", "--stories", text.stories, "--seed", text.seed, "-o", mix]),
                (held_out, [sys.executable, "-m", "stories", "--megabytes", "0.2", "--split", "valid", "-o", held_out]),
            ]
            words, also = ["--text", mix], ["--also-valid", f"stories={held_out}"]
        else:
            also = []
        plain = self.work / f"{self.config_file.stem}-f32.gguf"
        averaged = ["--averaged"] if self.config.ship.averaged else []
        steps += [
            (self.work / "tokenizer.model", [*train, "tokenizer", *words, "--vocab", model.vocab]),
            (self.work / "data" / "meta.json", [*train, "prepare", *words, *also, "--drop-titles", text.drop_titles, "--seed", text.seed]),
            (self.run / "loss.svg", [*train, "train", self.config_file, *self.train_options]),
        ]
        if averaged:
            steps.append((self.run / "averaged.pt", [*train, "average", self.config_file]))
        steps += [
            (plain, [*train, "export", self.config_file, *averaged, "-o", plain]),
            (self.output, [self.llmtool, "quantize", plain, self.output, "--recipe", self.config.ship.recipe]),
            (self.key, [self.llmtool, "keygen", str(self.key).removesuffix(".key.pem")]),
            (self.output.with_name(self.output.name + ".sig"), [self.llmtool, "sign", "--key", self.key, self.output]),
        ]
        return steps

    def make(self):
        """Takes the steps that are left; stops at one that fails."""
        if not self.key.name.endswith(".key.pem"):
            raise SystemExit(f"the key {self.key} must be named NAME.key.pem, as `llmtool keygen` names it")
        for place in (self.work, self.output.parent, self.key.parent):
            place.mkdir(parents=True, exist_ok=True)
        anew = False
        for result, command in self.steps():
            # What follows a step that was taken is out of date; a key never is.
            if result.exists() and (not anew or result == self.key):
                print(f"{result} is there")
                continue
            # A run on another text must not go on from the checkpoint of the old one.
            fresh = ["--fresh"] if anew and result == self.run / "loss.svg" else []
            words = [str(word) for word in [*command, *fresh]]
            print(f"$ {shlex.join(words)}", flush=True)
            code = subprocess.run(words, cwd=TRAIN.parent, check=False).returncode
            if code:
                raise SystemExit(f"the step failed with status {code}; the same command goes on from here")
            if not result.exists():
                raise SystemExit(f"training has not ended, so {result} is not there yet; the same command goes on from here")
            anew = anew or result != self.key

"""From the corpus, or a generator, to a signed GGUF file, by the commands of `train.py` and `llmtool` in their order.

A step whose result is there is not taken again (but signing, for the key may be another), and training goes on from its
checkpoint: the same command goes on after whatever stopped it. Before a step is taken, what an earlier call made of its result is removed, so that nothing
out of date is taken for a result. Every step is printed, so that it can be repeated by hand.
"""

import dataclasses
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .config import Config, load

HELD_OUT_EVENTS = 20
"""Conversations that a run measures itself on. `triage.py` measures the shipped file, on others."""
TRAIN = Path(__file__).resolve().parents[1] / "train.py"


@dataclass(frozen=True)
class Step:
    """One command."""

    result: Path
    """What it makes; a stop leaves it whole or not there."""
    command: list
    state: tuple[Path, ...] = ()
    """What it goes on with when it was stopped."""
    always: bool = False
    """Whether it is taken even if its result is there."""


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
    processes: int = 2
    max_minutes: float | None = None
    """Limit on each run, in place of the schedule beside its config."""

    @property
    def run(self) -> Path:
        return self.work / "runs" / self.config_file.stem

    @property
    def base(self) -> "Pipeline | None":
        """That of the config whose run this one begins with; only its text and its run are used."""
        if not self.config.train.init:
            return None
        file = self.config_file.with_name(f"{self.config.train.init}.toml")
        return dataclasses.replace(self, config=load(file), config_file=file, work=self.work.with_name(file.stem))

    def training_steps(self) -> list[Step]:
        """Up to the end of the run."""
        text, model, base = self.config.text, self.config.model, self.base
        train = [sys.executable, TRAIN, "--work", self.work]
        steps, words, also, kind, init = base.training_steps() if base else [], [], [], [], []
        if text.events:
            events, held_out = self.work / "events.txt", self.work / "events-valid.txt"
            write = [sys.executable, "-m", "events", "--seed", text.seed, "--documents"]
            steps += [
                Step(events, [*write, text.events, "-o", events]),
                Step(held_out, [*write, HELD_OUT_EVENTS, "--split", "valid", "-o", held_out]),
            ]
            words, also, kind = ["--text", events], ["--valid", held_out], ["--conversations"]
        elif text.stories:
            mix, held_out = self.work / "mix.txt", self.work / "stories-valid.txt"
            size = ["--megabytes", text.megabytes] if text.megabytes else []
            steps += [
                Step(mix, [*train, "mix", "--stories", text.stories, *size, "--seed", text.seed, "-o", mix]),
                Step(held_out, [sys.executable, "-m", "stories", "--megabytes", "0.2", "--split", "valid", "-o", held_out]),
            ]
            words, also = ["--text", mix], ["--also-valid", f"stories={held_out}"]
        vocabulary = self.work / "tokenizer.model"
        if base:
            steps.append(Step(vocabulary, ["cp", base.work / "tokenizer.model", vocabulary]))
            init = ["--init", base.run / "checkpoint.pt"]
        else:
            steps.append(Step(vocabulary, [*train, "tokenizer", *words, *kind, "--vocab", model.vocab]))
        knots = self.config_file.with_suffix(".knots.json")
        schedule = ["--max-minutes", self.max_minutes] if self.max_minutes else ["--knots", knots] if knots.exists() else []
        run = [*train, "train", self.config_file, *init, "--processes", self.processes, *schedule]
        return [
            *steps,
            Step(self.work / "data" / "meta.json", [*train, "prepare", *words, *also, *kind, "--drop-titles", text.drop_titles, "--seed", text.seed]),
            Step(self.run / "finished", run, (self.run / "checkpoint.pt", self.run / "log.jsonl")),
        ]

    def steps(self) -> list[Step]:
        """The whole way."""
        train = [sys.executable, TRAIN, "--work", self.work]
        plain = self.work / f"{self.config_file.stem}-f32.gguf"
        averaged = ["--averaged"] if self.config.ship.averaged else []
        blend = ["--blend", self.config.ship.blend, "--blend-with", self.base.run / "checkpoint.pt"] if self.config.ship.blend else []
        steps = self.training_steps()
        if averaged:
            steps.append(Step(self.run / "averaged.pt", [*train, "average", self.config_file]))
        return [
            *steps,
            Step(plain, [*train, "export", self.config_file, *averaged, *blend, "-o", plain]),
            Step(self.output, [self.llmtool, "quantize", plain, self.output, "--recipe", self.config.ship.recipe]),
            Step(self.key, [self.llmtool, "keygen", str(self.key).removesuffix(".key.pem")]),
            Step(self.output.with_name(self.output.name + ".sig"), [self.llmtool, "sign", "--key", self.key, self.output], always=True),
        ]

    def make(self):
        """Takes the steps that are left; stops at one that fails."""
        if not self.key.name.endswith(".key.pem"):
            raise SystemExit(f"the key {self.key} must be named NAME.key.pem, as `llmtool keygen` names it")
        works = [self.work] if self.base is None else [self.base.work, self.work]
        for place in (*works, self.output.parent, self.key.parent):
            place.mkdir(parents=True, exist_ok=True)
        steps = self.steps()
        for place, step in enumerate(steps):
            if step.result.exists() and not step.always:
                print(f"{step.result} is there")
                continue
            # What was made of an earlier result is out of date; a key never is.
            for later in steps[place + 1 :]:
                for old in (later.result, *later.state):
                    if old != self.key:
                        old.unlink(missing_ok=True)
            words = [str(word) for word in step.command]
            print(f"$ {shlex.join(words)}", flush=True)
            code = subprocess.run(words, cwd=TRAIN.parent, check=False).returncode
            if code:
                raise SystemExit(f"the step failed with status {code}; the same command goes on from here")
            if not step.result.exists():
                raise SystemExit(f"training has not ended, so {step.result} is not there yet; the same command goes on from here")

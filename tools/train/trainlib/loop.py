"""The training loop: optimiser, schedule, checkpoints, log.

A run lives in one folder: `checkpoint.pt` (all that is needed to go on), `log.jsonl` (one line per step or
measurement), at its end `loss.svg` and `finished` (what it came to), and with `average_every` the latest
`snapshot-STEP.pt` and their mean, `averaged.pt`. State after n steps is a function of (config, data, knots) alone on one machine and number of threads and processes; `--max-minutes` may
move knots that lie ahead, and logs that it did.
"""

import json
import os
import time
from pathlib import Path

import torch
from tqdm import tqdm

from . import data, evaluate
from .config import Config, parse
from .model import Llama
from .muon import Muon
from .parallel import Peers
from .schedule import Schedule

ADAM_BETAS = (0.9, 0.95)
REFIT_EVERY = 50
"""Steps between looks at the clock when there is a time limit: often enough to end on time, too rarely to chase noise."""
PACE_SHARE = 0.25
"""Weight of the latest look in the mean pace: other work on the machine comes and goes."""


def optimizers(model: Llama, config: Config):
    """Muon (Jordan et al. 2024) for the matrices in the blocks, AdamW for embeddings and norm gains. PyTorch's Muon computes in
    bf16, which a CPU without instructions for it does slowly: a run without bf16 has one in F32."""
    t, matrices = config.train, model.matrices()
    gains = [p for p in model.parameters() if p.ndim == 1]
    embedding = [model.token_embd.weight]
    kind = torch.optim.Muon if t.bf16 else Muon
    muon = kind(matrices, lr=t.muon_lr, weight_decay=t.weight_decay, momentum=0.95)
    adam = torch.optim.AdamW(
        [{"params": embedding, "weight_decay": t.weight_decay}, {"params": gains, "weight_decay": 0.0}],
        lr=t.adam_lr,
        betas=ADAM_BETAS,
    )
    return [(muon, t.muon_lr), (adam, t.adam_lr)]


class Trainer:
    def __init__(self, config: Config, data_folder: Path, run_folder: Path, peers: Peers | None = None):
        self.config, self.run_folder, self.peers = config, run_folder, peers or Peers()
        self.meta = json.loads((data_folder / "meta.json").read_text())
        if self.meta["vocab"] != config.model.vocab:
            raise SystemExit(
                f"the token files have a vocabulary of {self.meta['vocab']}, the config one of {config.model.vocab}: "
                "run `tokenizer` and `prepare` for this config"
            )
        t = config.train
        if t.batch % self.peers.count:
            raise SystemExit(f"a batch of {t.batch} windows cannot be shared evenly by {self.peers.count} processes")
        tokens = data.read(data_folder / "train.bin")
        if t.answers:
            start = self.meta.get("answer_start")
            if not start:
                raise SystemExit("answers in [train] needs token files of conversations: `prepare --conversations`")
            self.windows = data.Questions(tokens, t.batch, t.seed, start)
        else:
            self.windows = data.Windows(tokens, config.model.context, t.batch, t.seed)
        # Held-out texts by name, each with its bytes; "" is the one that the headline figure is measured on. Of conversations
        # there is that one.
        self.valid = {"": (data.read(data_folder / "valid.bin"), self.meta["valid_bytes"])}
        for name, size in self.meta.get("also_valid", {}).items():
            self.valid[name] = (data.read(data_folder / f"valid-{name}.bin"), size)
        torch.manual_seed(t.seed)
        self.model = Llama(config.model, t.dropout)
        self.optimizers = optimizers(self.model, config)
        if self.peers.rank:  # The same weights as the others', and dropout of its own.
            torch.manual_seed(t.seed + 1_000_003 * self.peers.rank)
        self.schedule = Schedule.planned(t.steps, t.warmup, t.decay)
        self.step = 0
        self.seconds = 0.0
        run_folder.mkdir(parents=True, exist_ok=True)

    # State

    def save(self):
        """Writes the checkpoint beside its place and renames it, so that a kill leaves the old or the new one."""
        states, generators = self.optimizer_states(), self.peers.gather(torch.get_rng_state())
        if not self.peers.leads:
            return
        state = {
            "config": self.config.as_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "knots": self.schedule.knots,
            "model": self.model.state_dict(),
            "optimizers": states,
            "rng": generators,
        }
        place = self.run_folder / "checkpoint.pt"
        torch.save(state, place.with_suffix(".new"))
        os.replace(place.with_suffix(".new"), place)

    def optimizer_states(self) -> list[dict]:
        """As of one process: Muon's state of a matrix is where the matrix is updated."""
        muon, adam = (optimizer.state_dict() for optimizer, _ in self.optimizers)
        own = self.peers.share(range(len(self.model.matrices())))
        for state in self.peers.gather({index: muon["state"][index] for index in own if index in muon["state"]}):
            muon["state"] |= state
        return [muon, adam]

    def snapshot(self):
        """Keeps the weights of now, and of all snapshots the latest `average_last`."""
        t = self.config.train
        if self.peers.leads and t.average_every and self.step % t.average_every == 0:
            torch.save(self.model.state_dict(), self.run_folder / f"snapshot-{self.step}.pt")
            for old in snapshots(self.run_folder)[: -t.average_last]:
                old.unlink()

    def begin_with(self, checkpoint: Path):
        """Takes the weights, and nothing else, from the end of another run."""
        state = torch.load(checkpoint, weights_only=True)
        if state["config"]["model"] | {"name": ""} != self.config.as_dict()["model"] | {"name": ""}:
            raise SystemExit(f"{checkpoint} was made with another [model] section: its weights do not fit")
        self.model.load_state_dict(state["model"])

    def forget(self, after: int):
        """Drops the snapshots of steps that are about to be taken again."""
        for place in snapshots(self.run_folder):
            if self.peers.leads and snapshot_step(place) > after:
                place.unlink()

    def resume(self):
        state = torch.load(self.run_folder / "checkpoint.pt", weights_only=True)
        if state["config"]["model"] != self.config.as_dict()["model"]:
            raise SystemExit("the checkpoint was made with another [model] section: choose another --run, or --fresh")
        for key in ("seed", "batch"):
            old, new = state["config"]["train"][key], getattr(self.config.train, key)
            if old != new:
                raise SystemExit(f"the checkpoint was made with {key} = {old}, the config says {new}: choose another --run, or --fresh")
        self.model.load_state_dict(state["model"])
        for (optimizer, _), saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        if len(state["rng"]) != self.peers.count:
            raise SystemExit(f"the checkpoint was made by {len(state['rng'])} processes: go on with as many, or --fresh")
        torch.set_rng_state(state["rng"][self.peers.rank])
        self.step, self.seconds = state["step"], state["seconds"]
        self.schedule = Schedule([tuple(knot) for knot in state["knots"]])
        self.forget(self.step)

    def log(self, **record):
        if not self.peers.leads:
            return
        with open(self.run_folder / "log.jsonl", "a") as file:
            file.write(json.dumps(record) + "\n")

    # Work

    def train_step(self) -> float:
        """One optimiser step; returns the loss before it, in nats per token."""
        t = self.config.train
        batch = self.windows.at(self.step)
        with torch.autocast("cpu", torch.bfloat16, enabled=t.bf16):
            if t.answers:
                loss = self.model.answer_loss(batch.share(self.peers.share))
            else:
                loss = self.model.loss(*map(self.peers.share, batch))
        loss.backward()
        self.peers.average_gradients(list(self.model.parameters()))
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), t.grad_clip)
        matrices = self.model.matrices()
        own = set(self.peers.share(matrices))
        for matrix in matrices:
            if matrix not in own:
                matrix.grad = None  # An optimiser leaves a parameter without a gradient alone.
        multiplier = self.schedule.multiplier(self.step)
        for optimizer, rate in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * multiplier
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.peers.exchange(matrices)
        self.step += 1
        return self.peers.sum(loss.item())[0] / self.peers.count

    def measure(self, max_windows: int | None, stride: int, text: str = "") -> float:
        """Held-out bits per byte; over part of a text, its bytes are counted in proportion to its tokens. Of conversations, the
        share of the answers that are right."""
        tokens, size = self.valid[text]
        if self.config.train.answers:
            held_out = data.Questions(tokens, 1, 0, self.meta["answer_start"]).conversations[:max_windows]
            right, count = self.peers.sum(*evaluate.right_answers(self.model, self.peers.share(held_out)))
            return right / count
        nats, count = self.peers.sum(*evaluate.nll(
            self.model, tokens, self.config.model.context, stride, self.config.train.bf16, max_windows, self.peers.share
        ))
        return evaluate.bits_per_byte(nats, size * count / (len(tokens) - 1))

    def measure_all(self, max_windows: int | None, stride: int, **more) -> float:
        """Measures and logs every held-out text; returns the headline figure."""
        if self.config.train.answers:
            right = self.measure(max_windows, stride)
            self.log(kind="valid", step=self.step, right=right, **more)
            return right
        found = {name: self.measure(max_windows, stride, name) for name in self.valid}
        also = {name: bpb for name, bpb in found.items() if name}
        self.log(kind="valid", step=self.step, bits_per_byte=found[""], **({"also": also} if also else {}), **more)
        return found[""]

    def say(self, found: float) -> str:
        """What `measure_all` has returned, for people."""
        return f"{found:.2%} of the held-out answers are right" if self.config.train.answers else f"held-out {found:.4f} bits per byte"

    @property
    def parts(self) -> str:
        """What a held-out text is measured by."""
        return "conversations" if self.config.train.answers else "windows"

    def run(self, max_minutes: float | None, checkpoint_minutes: float, stop_at: int | None, on_checkpoint=None):
        """Trains to the end of the schedule (or `stop_at`), under a limit on the whole run's training time."""
        t, tokens_per_step = self.config.train, self.config.train.batch * self.config.model.context
        already, begun = self.seconds, time.monotonic()
        saved, looked, pace = already, (self.step, already), None
        self.log(kind="start", step=self.step, knots=self.schedule.knots, threads=torch.get_num_threads(),
                 processes=self.peers.count)
        bar = tqdm(total=self.schedule.steps, initial=self.step, unit="step", mininterval=5.0, dynamic_ncols=True,
                   disable=not self.peers.leads)
        while self.step < self.schedule.steps and (stop_at is None or self.step < stop_at):
            loss = self.train_step()
            self.seconds = self.peers.agree(already + time.monotonic() - begun)
            self.snapshot()
            self.log(kind="train", step=self.step, loss=loss, rate=self.schedule.multiplier(self.step - 1),
                     seconds=round(self.seconds, 1))
            bar.update()
            bar.set_postfix_str(f"loss {loss:.3f}, {self.step * tokens_per_step / self.seconds:.0f} tokens/s", refresh=False)
            last = self.step == self.schedule.steps
            if self.step % t.eval_every == 0 and not last:
                found = self.measure_all(t.eval_windows, self.config.model.context)
                if self.peers.leads:
                    bar.write(f"step {self.step}: {self.say(found)} (first {t.eval_windows} {self.parts})")
            if max_minutes is not None and self.step % REFIT_EVERY == 0 and not last:
                latest = (self.seconds - looked[1]) / (self.step - looked[0])
                pace = latest if pace is None else pace + PACE_SHARE * (latest - pace)
                looked = (self.step, self.seconds)
                before = self.schedule.steps
                self.schedule.refit(self.step, max_minutes * 60 - self.seconds, pace, t.steps)
                if self.schedule.steps != before:
                    self.log(kind="refit", step=self.step, knots=self.schedule.knots)
                    bar.total = self.schedule.steps
            if self.seconds - saved > checkpoint_minutes * 60:
                self.save()
                if on_checkpoint and self.peers.leads:
                    on_checkpoint(self)
                saved = self.seconds
        bar.close()
        self.save()
        self.log(kind="stop", step=self.step, knots=self.schedule.knots, seconds=round(self.seconds, 1))


def snapshot_step(place: Path) -> int:
    return int(place.stem.removeprefix("snapshot-"))


def snapshots(folder: Path) -> list[Path]:
    """The snapshots of a run, oldest first."""
    return sorted(folder.glob("snapshot-*.pt"), key=snapshot_step)


def average(folder: Path) -> int:
    """Writes the mean of a run's snapshots (Izmailov et al. 2018) as `averaged.pt`, which loads like a checkpoint; returns
    how many there were."""
    places = snapshots(folder)
    if not places:
        raise SystemExit(f"no snapshots in {folder}: set average_every in the config's [train] section, and train")
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    weights = [torch.load(place, weights_only=True) for place in places]
    mean = {key: sum(w[key].double() for w in weights).div(len(weights)).to(weights[0][key].dtype) for key in weights[0]}
    torch.save({"config": state["config"], "step": state["step"], "model": mean}, folder / "averaged.new")
    os.replace(folder / "averaged.new", folder / "averaged.pt")
    return len(places)


def blend(model: Llama, checkpoint: Path, share: float):
    """Moves the weights by `share` of the way towards those of another run's checkpoint (Wortsman et al. 2022)."""
    other, own = load_checkpoint(checkpoint)[0].state_dict(), model.state_dict()
    if {key: value.shape for key, value in own.items()} != {key: value.shape for key, value in other.items()}:
        raise SystemExit(f"{checkpoint} was made with another [model] section: its weights do not fit")
    model.load_state_dict({key: (1 - share) * own[key] + share * other[key] for key in own})


def load_checkpoint(path: Path) -> tuple[Llama, Config, int]:
    """The model of a checkpoint, its config and its step."""
    state = torch.load(path, weights_only=True)
    config = parse(state["config"])
    model = Llama(config.model)
    model.load_state_dict(state["model"])
    return model.eval(), config, state["step"]

"""What a config file may say, and its checks. One TOML file describes one model and its training."""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path


class ConfigError(ValueError):
    """A config file that cannot be used; the text names the key and the value."""


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the network, in GGUF's vocabulary."""

    name: str
    vocab: int
    context: int
    dim: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    norm_eps: float = 1e-5
    rope_base: float = 10000.0

    def __post_init__(self):
        if self.heads % self.kv_heads:
            raise ConfigError(f"heads = {self.heads} is not a multiple of kv_heads = {self.kv_heads}")
        if self.head_dim % 2:
            raise ConfigError(f"head_dim = {self.head_dim} is odd; rope rotates pairs")
        for key in ("dim", "ffn"):
            if getattr(self, key) % 32:
                raise ConfigError(f"{key} = {getattr(self, key)} is not a multiple of 32, the block of Q8_0 and Q4_0")


@dataclass(frozen=True)
class TrainConfig:
    """How the network is trained. `steps` fixes the schedule; nothing here depends on the machine."""

    seed: int
    steps: int
    """Optimiser steps; the learning rate reaches zero at the last."""
    batch: int
    """Windows of `context` tokens per step."""
    warmup: int
    """Steps over which the learning rate rises from zero."""
    decay: float
    """Share of `steps`, at the end, over which the learning rate falls to zero."""
    muon_lr: float
    """Muon's learning rate, for the matrices inside the blocks."""
    adam_lr: float
    """AdamW's learning rate, for embeddings and norm gains."""
    init: str = ""
    """Name of the config, beside this one, whose run this one begins with; empty: random weights."""
    answers: bool = False
    """Whether only the answers of conversations are learnt (`prepare --conversations`), each as if it had been asked for alone;
    else windows tile the text, and every token counts the same."""
    weight_decay: float = 0.1
    dropout: float = 0.0
    """Share of the activations that training sets to zero (`model.py` says which)."""
    grad_clip: float = 1.0
    average_every: int = 0
    """Steps between the snapshots of the weights that `average` takes the mean of; 0: none are kept."""
    average_last: int = 8
    """How many snapshots are kept, the latest ones."""
    eval_every: int = 100
    """Steps between measurements on a fixed part of the held-out text."""
    eval_windows: int = 64
    """Windows of that part."""
    bf16: bool = True
    """Matrix products in bf16 (autocast); weights and optimiser state stay F32."""

    def __post_init__(self):
        if not 0 <= self.warmup < self.steps:
            raise ConfigError(f"warmup = {self.warmup} must lie below steps = {self.steps}")
        if not 0.0 < self.decay <= 1.0:
            raise ConfigError(f"decay = {self.decay} must be above 0 and at most 1")
        if self.average_every < 0 or self.average_last < 1:
            raise ConfigError(f"average_every = {self.average_every} must not be negative, average_last = {self.average_last} "
                              "must be at least 1")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"dropout = {self.dropout} must be at least 0 and below 1")


@dataclass(frozen=True)
class TextConfig:
    """What the model is trained on, for `train.py model`."""

    stories: float = 0.0
    """Share of the bytes that the generator writes; 0: the tales alone."""
    megabytes: float = 0.0
    """Size of the text; 0: all tales, and stories to match."""
    events: int = 0
    """Documents of the generator of events, in place of all other text; 0: none."""
    drop_titles: float = 0.5
    """Share of the documents that lose their title."""
    seed: int = 1

    def __post_init__(self):
        if not 0.0 <= self.stories < 1.0:
            raise ConfigError(f"stories = {self.stories} must be at least 0 and below 1")
        if self.events < 0 or (self.events and self.stories):
            raise ConfigError(f"events = {self.events} must not be negative, and leaves no room for stories = {self.stories}")
        if not 0.0 <= self.drop_titles <= 1.0:
            raise ConfigError(f"drop_titles = {self.drop_titles} must lie between 0 and 1")


@dataclass(frozen=True)
class ShipConfig:
    """What becomes of the trained model, for `train.py model`."""

    recipe: str = "*=f32"
    """`llmtool quantize --recipe`."""
    averaged: bool = False
    """Whether the mean of the last snapshots is shipped; needs `average_every`."""
    blend: float = 0.0
    """How far the shipped weights lie on the way back to those of [train] `init`."""


@dataclass(frozen=True)
class Config:
    model: ModelConfig
    train: TrainConfig
    text: TextConfig = TextConfig()
    ship: ShipConfig = ShipConfig()

    def __post_init__(self):
        if self.ship.averaged and not self.train.average_every:
            raise ConfigError("averaged = true in [ship] needs average_every in [train]")
        if self.ship.blend and not (0.0 < self.ship.blend < 1.0 and self.train.init):
            raise ConfigError(f"blend = {self.ship.blend} in [ship] must be at least 0 and below 1, and needs init in [train]")

        if self.train.answers and not self.text.events:
            raise ConfigError("answers = true in [train] needs events in [text]: other texts have no answers")
        if self.train.answers and self.train.bf16:
            raise ConfigError("answers = true in [train] needs bf16 = false")

    def as_dict(self) -> dict:
        return dataclasses.asdict(self)


SECTIONS = {"model": ModelConfig, "train": TrainConfig, "text": TextConfig, "ship": ShipConfig}


def parse(data: dict) -> Config:
    try:
        return Config(**{name: SECTIONS[name](**section) for name, section in data.items()})
    except (KeyError, TypeError) as error:
        raise ConfigError(f"config: {error}") from error


def load(path: Path) -> Config:
    with open(path, "rb") as file:
        return parse(tomllib.load(file))

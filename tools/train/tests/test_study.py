"""Claims about the shape study, averaging and dropout, on networks that take a second."""

import csv
import dataclasses
import stat

import pytest

from small import SMALL
from test_model import folder  # noqa: F401  (the fixture)
from trainlib import config, study

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install -r tools/train/requirements.txt")

from trainlib import loop, model  # noqa: E402

STUDY = """
[text]
megabytes = 0.06
stories = 0.5
seed = 1
stories_valid_kilobytes = 2
[train]
megabytes_seen = 0.004
seed = 1
batch = 2
warmup = 1
decay = 0.5
muon_lr = 0.02
adam_lr = 0.004
evaluations = 2
rounds = [0.5, 1.0]
eval_windows = 4
[common]
context = 32
layers = 1
heads = 2
kv_heads = 1
head_dim = 16
quantise = "q8_0"
[[shape]]
name = "a"
vocab = 340
dim = 32
ffn = 64
[[shape]]
name = "b"
vocab = 420
dim = 64
ffn = 64
"""
INSPECTED = """
  memory        for a context of 32 tokens, keys and values 8-bit
                weights         64.0 KiB
                total           1.50 MiB
  too large     for an arena of 1.00 KiB
"""


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    return study.load(tmp_path / "study.toml")


@pytest.fixture
def corpus_there(tmp_path, monkeypatch):
    (tmp_path / "corpus").mkdir()
    text = "".join(f"The fox {n} went over the hill and came home at {n} o'clock, for it was {n * 7} days.\n<|endoftext|>\n" for n in range(400))
    for name in ("train.txt", "train-extra.txt", "valid.txt"):
        (tmp_path / "corpus" / name).write_text(text)
    monkeypatch.setenv("SEL4_LLM_SHARED", str(tmp_path))


# Study


def test_every_shape_is_trained_on_the_same_bytes_and_ends_in_table_and_chart(plan, tmp_path, corpus_there):
    tool = tmp_path / "llmtool"
    tool.write_text(f"#!/bin/sh\n[ $1 = quantize ] && cp $2 $3 && exit\n[ $1 = inspect ] || exit 1\ncat <<'E'{INSPECTED}E\nexit 1\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    place, done = tmp_path / "study", []
    study.prepare(plan, place)
    study.run(plan, place, jobs=1, threads=1, after_each=lambda shape: done.append(shape.model.name))
    assert done == ["a", "b", "a", "b"]  # in rounds
    rows = study.report(plan, place, tool, tmp_path / "out.csv", tmp_path / "out.svg")
    assert [row["finished"] for row in rows] == [True, True]
    assert [row["steps"] for row in rows] == [row["steps_planned"] for row in rows]
    for row in rows:
        assert row["bytes_seen"] == pytest.approx(4000, rel=0.05)  # a step is about 100 bytes
        assert row["least_arena_bytes"] == 3 << 19
        assert row["compared_bytes"] in (2000, 4000) and row["finished"]
        assert 0 < row["tales_bits_per_byte"] < 9 and 0 < row["stories_bits_per_byte"] < 9
    assert rows[0]["steps"] > rows[1]["steps"]  # larger pieces, fewer steps
    with open(tmp_path / "out.csv") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["a", "b"]
    assert "<svg" in (tmp_path / "out.svg").read_text()


def test_two_shapes_of_one_name_are_refused(tmp_path):
    (tmp_path / "bad.toml").write_text(STUDY.replace('name = "b"', 'name = "a"'))
    with pytest.raises(config.ConfigError, match="one name"):
        study.load(tmp_path / "bad.toml")
    (tmp_path / "bad.toml").write_text(STUDY.replace("context = 32", ""))
    with pytest.raises(config.ConfigError, match="context"):
        study.load(tmp_path / "bad.toml")


def test_the_total_of_inspect_is_read_in_its_unit():
    assert study.parse_total(INSPECTED) == 3 << 19
    assert study.parse_total("   total    512.0 KiB\n") == 512 << 10
    with pytest.raises(SystemExit, match="no total"):
        study.parse_total("weights 1 MiB")


# Averaging


def test_the_average_is_the_mean_of_the_last_snapshots_also_after_a_resume(folder, tmp_path):  # noqa: F811
    wanted = dataclasses.replace(SMALL, train=dataclasses.replace(SMALL.train, average_every=2, average_last=3))
    loop.Trainer(wanted, folder / "data", tmp_path).run(None, 5, stop_at=7)
    assert [place.name for place in loop.snapshots(tmp_path)] == ["snapshot-2.pt", "snapshot-4.pt", "snapshot-6.pt"]
    torch.save({}, tmp_path / "snapshot-8.pt")  # left by a run that was killed before its checkpoint
    trainer = loop.Trainer(wanted, folder / "data", tmp_path)
    trainer.resume()
    trainer.run(None, 5, None)
    assert [loop.snapshot_step(place) for place in loop.snapshots(tmp_path)] == [8, 10, 12]
    assert loop.average(tmp_path) == 3
    mean, _, step = loop.load_checkpoint(tmp_path / "averaged.pt")
    weights = [torch.load(place, weights_only=True)["token_embd.weight"] for place in loop.snapshots(tmp_path)]
    assert step == 12
    assert torch.allclose(mean.token_embd.weight, torch.stack(weights).mean(0), atol=1e-7)
    assert not torch.equal(mean.token_embd.weight, trainer.model.token_embd.weight)


def test_a_run_without_snapshots_has_no_average(folder, tmp_path):  # noqa: F811
    loop.Trainer(SMALL, folder / "data", tmp_path).run(None, 5, stop_at=2)
    assert not loop.snapshots(tmp_path)
    with pytest.raises(SystemExit, match="average_every"):
        loop.average(tmp_path)


# Dropout and attention


def test_dropout_acts_while_training_and_never_when_measuring():
    torch.manual_seed(1)
    network = model.Llama(SMALL.model, dropout=0.5)
    tokens = torch.randint(SMALL.model.vocab, (1, 8))
    network.train()
    assert not torch.equal(network(tokens), network(tokens))
    network.eval()
    plain = model.Llama(SMALL.model)
    plain.load_state_dict(network.state_dict())
    assert torch.equal(network(tokens), plain(tokens))


def test_impossible_dropout_is_refused():
    with pytest.raises(config.ConfigError, match="dropout"):
        dataclasses.replace(SMALL.train, dropout=1.0)


def test_attention_is_that_of_pytorch():
    torch.manual_seed(1)
    q, k, v = (torch.randn(2, 4, 32, 16) for _ in range(3))
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    assert torch.allclose(model.attend(q, k, v, torch.full((32, 32), -torch.inf).triu(1)), expected, atol=1e-6)


# Held-out texts


def test_a_second_held_out_text_is_measured_beside_the_first(folder, tmp_path):  # noqa: F811
    import json

    from trainlib import data, tokenizer

    processor = tokenizer.load(folder / "tokenizer.model")
    (tmp_path / "stories.txt").write_text("Anna found a ring.\n<|endoftext|>\n" * 30)
    data.prepare(processor, [folder / "train.txt"], folder / "valid.txt", 0.5, 1, tmp_path / "data", {"stories": tmp_path / "stories.txt"})
    trainer = loop.Trainer(SMALL, tmp_path / "data", tmp_path / "run")
    headline = trainer.measure_all(None, 16)
    record = json.loads((tmp_path / "run" / "log.jsonl").read_text())
    assert record["bits_per_byte"] == headline
    assert record["also"]["stories"] == trainer.measure(None, 16, "stories") != headline


def test_the_plot_has_a_curve_for_every_held_out_text(tmp_path):
    import json

    from trainlib import plot

    log = [{"kind": "train", "step": 1, "loss": 5.0}, {"kind": "train", "step": 2, "loss": 4.0},
           {"kind": "valid", "step": 2, "bits_per_byte": 2.0, "also": {"stories": 0.5}},
           {"kind": "valid", "step": 2, "bits_per_byte": 1.9, "whole": True}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in log))
    assert plot.read_log(tmp_path / "log.jsonl") == ({1: 5.0, 2: 4.0}, {"": {2: 2.0}, "stories": {2: 0.5}})
    plot.draw(tmp_path / "log.jsonl", {"train_tokens": 10, "train_bytes": 30}, tmp_path / "loss.svg")
    assert "<svg" in (tmp_path / "loss.svg").read_text()

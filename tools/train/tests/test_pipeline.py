"""Claims about `train.py model`: the order of the steps, and what is taken again."""

import dataclasses
import stat
import sys

import pytest

from small import SMALL
from trainlib import config, pipeline

LLMTOOL = """#!{python}
import pathlib, sys
command, *rest = sys.argv[1:]
if command == "quantize":
    pathlib.Path(rest[1]).write_bytes(pathlib.Path(rest[0]).read_bytes() + rest[3].encode())
elif command == "keygen":
    pathlib.Path(rest[0] + ".key.pem").write_text("secret")
elif command == "sign":
    pathlib.Path(rest[2] + ".sig").write_text(pathlib.Path(rest[1]).read_text())
"""
TRAIN = """
import pathlib, sys
with open(pathlib.Path(__file__).with_name("calls"), "a") as calls:
    print(*sys.argv[3:], file=calls)
work, command, rest = pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4:]
places = {"tokenizer": work / "tokenizer.model", "prepare": work / "data" / "meta.json", "average": work / "runs" / "small" / "averaged.pt",
          "mix": work / "mix.txt"}
if command == "train":
    places["train"] = work / "runs" / pathlib.Path(rest[0]).stem / "finished"
place = pathlib.Path(rest[rest.index("-o") + 1]) if command == "export" else places[command]
if command == "train" and pathlib.Path(__file__).with_name("slow").exists():
    sys.exit()
place.parent.mkdir(parents=True, exist_ok=True)
place.write_text(command)
"""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """A pipeline whose `train.py` and `llmtool` only say that they were called."""
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "stories.py").write_text("import pathlib, sys; pathlib.Path(sys.argv[-1]).write_text('stories')")
    llmtool = tmp_path / "llmtool"
    llmtool.write_text(LLMTOOL.format(python=sys.executable))
    llmtool.chmod(llmtool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(pipeline, "TRAIN", tmp_path / "train.py")
    small = dataclasses.replace(SMALL, text=config.TextConfig(stories=0.25), ship=config.ShipConfig(recipe="*=q4_0"))
    return pipeline.Pipeline(small, tmp_path / "small.toml", tmp_path / "work", llmtool, tmp_path / "keys" / "k.key.pem", tmp_path / "out" / "small.gguf")


def calls(plan) -> list[str]:
    place = plan.llmtool.with_name("calls")
    called = [line.split()[0] for line in place.read_text().splitlines()] if place.exists() else []
    place.unlink(missing_ok=True)
    return called


def test_all_steps_lead_to_a_signed_file_and_none_is_taken_twice(plan):
    plan.make()
    assert calls(plan) == ["mix", "tokenizer", "prepare", "train", "export"]
    assert plan.output.read_bytes() == b"export*=q4_0"
    assert plan.output.with_name("small.gguf.sig").read_text() == "secret"
    plan.make()
    assert calls(plan) == []
    (plan.work / "data" / "meta.json").unlink()
    plan.key.write_text("kept")
    plan.make()
    assert calls(plan) == ["prepare", "train", "export"]
    assert plan.output.with_name("small.gguf.sig").read_text() == "kept"


def test_a_text_of_events_takes_the_place_of_the_corpus(plan):
    (plan.llmtool.with_name("events.py")).write_text("import pathlib, sys; pathlib.Path(sys.argv[-1]).write_text('events')")
    train = dataclasses.replace(SMALL.train, answers=0.5)
    config_of_events = dataclasses.replace(plan.config, text=config.TextConfig(events=30), train=train)
    dataclasses.replace(plan, config=config_of_events).make()
    called = [line.split() for line in plan.llmtool.with_name("calls").read_text().splitlines()]
    assert [words[0] for words in called] == ["tokenizer", "prepare", "train", "export"]
    events, held_out = str(plan.work / "events.txt"), str(plan.work / "events-valid.txt")
    assert called[0][called[0].index("--text") + 1] == events
    assert called[1][called[1].index("--text") + 1] == events and called[1][called[1].index("--valid") + 1] == held_out
    assert all("--conversations" in words for words in called[:2])


def test_another_key_signs_again(plan):
    plan.make()
    other = dataclasses.replace(plan, key=plan.key.with_name("other.key.pem"))
    other.key.write_text("another secret")
    other.make()
    assert plan.output.with_name("small.gguf.sig").read_text() == "another secret"
    made = dataclasses.replace(plan, key=plan.key.with_name("new.key.pem"))
    made.make()
    assert plan.output.with_name("small.gguf.sig").read_text() == "secret" and calls(plan)[-1] == "export"


def test_what_was_made_of_an_old_text_is_gone_before_a_stop(plan):
    plan.make()
    for state in ("checkpoint.pt", "log.jsonl"):
        (plan.run / state).write_text("of the old text")
    (plan.work / "mix.txt").unlink()
    slow = plan.llmtool.with_name("slow")
    slow.touch()
    with pytest.raises(SystemExit, match="not ended"):
        plan.make()
    assert not (plan.run / "checkpoint.pt").exists() and not (plan.run / "log.jsonl").exists() and not plan.output.exists()
    assert plan.key.exists()
    (plan.run / "checkpoint.pt").write_text("of the new text")
    slow.unlink()
    calls(plan)
    plan.make()
    assert (plan.run / "checkpoint.pt").read_text() == "of the new text"
    assert calls(plan) == ["train", "export"]


def test_training_that_has_not_ended_stops_it_and_it_goes_on(plan):
    slow = plan.llmtool.with_name("slow")
    slow.touch()
    with pytest.raises(SystemExit, match="not ended"):
        plan.make()
    assert not plan.output.exists()
    slow.unlink()
    calls(plan)
    plan.make()
    assert calls(plan) == ["train", "export"] and plan.output.exists()


def test_a_second_phase_begins_with_the_run_and_the_vocabulary_of_the_first(plan):
    lines = ["[model]", *(f"{key} = {value!r}" for key, value in SMALL.as_dict()["model"].items()),
             "[train]", "seed = 1", "steps = 5", "batch = 4", "warmup = 1", "decay = 0.5", "muon_lr = 0.1", "adam_lr = 0.1"]
    plan.config_file.with_name("first.toml").write_text("\n".join(lines).replace("'", '"'))
    second = dataclasses.replace(plan.config, train=dataclasses.replace(SMALL.train, init="first"), ship=config.ShipConfig(blend=0.25))
    second = dataclasses.replace(plan, config=second)
    second.make()
    called = [line.split() for line in plan.llmtool.with_name("calls").read_text().splitlines()]
    assert [words[0] for words in called] == ["tokenizer", "prepare", "train", "mix", "prepare", "train", "export"]
    assert called[-2][called[-2].index("--init") + 1] == str(second.base.run / "checkpoint.pt")
    assert called[-1][called[-1].index("--blend") + 1] == "0.25"
    assert (second.work / "tokenizer.model").read_text() == "tokenizer"
    assert second.base.work != second.work and plan.output.exists()


def test_averaging_is_a_step_of_its_own(plan):
    averaged = dataclasses.replace(plan.config, train=dataclasses.replace(SMALL.train, average_every=2), ship=config.ShipConfig(averaged=True))
    dataclasses.replace(plan, config=averaged).make()
    assert calls(plan) == ["mix", "tokenizer", "prepare", "train", "average", "export"]


def test_a_failing_step_and_a_key_of_another_name_are_reported(plan):
    with pytest.raises(SystemExit, match="NAME.key.pem"):
        dataclasses.replace(plan, key=plan.key.with_name("key")).make()
    plan.llmtool.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(SystemExit, match="status 3"):
        plan.make()


def test_sections_are_checked():
    data = SMALL.as_dict()
    assert config.parse(data) == SMALL
    with pytest.raises(config.ConfigError, match="stories = 2"):
        config.parse(data | {"text": {"stories": 2}})
    with pytest.raises(config.ConfigError, match="average_every"):
        config.parse(data | {"ship": {"averaged": True}})
    with pytest.raises(config.ConfigError, match="shape"):
        config.parse(data | {"shape": {}})

"""Claims about training on a text of questions and answers, and about the figures of `triage.py`."""

import dataclasses
import stat
import sys

import pytest

from events import generate, rules
from small import SMALL, VOCAB
from trainlib import config

np = pytest.importorskip("numpy", reason="NumPy is not installed: pip install -r tools/train/requirements.txt")
torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install -r tools/train/requirements.txt")
pytest.importorskip("sentencepiece", reason="pip install -r tools/train/requirements.txt")

import triage  # noqa: E402
from trainlib import data, loop, tokenizer  # noqa: E402
from trainlib.tokenizer import BOS, EOS  # noqa: E402

START = [9, 8]
"""What an answer stands behind, in the token files that are made by hand here."""
DOCUMENTS = [[BOS, 5, 9, 8, 6, 9, 5, 5, EOS], [BOS, 9, 8, 7, 7, EOS], [BOS, 5, 8, 9, 5, EOS], [BOS, 4, 9, 8, 4, EOS]]


def by_hand(context=16, batch=2, share=0.5):
    return data.Documents(np.array(sum(DOCUMENTS, []), dtype="<u2"), context, batch, 1, START, share)


def questions(**train):
    return dataclasses.replace(
        SMALL, model=dataclasses.replace(SMALL.model, context=256), text=config.TextConfig(events=20),
        train=dataclasses.replace(SMALL.train, answers=0.5, **train),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A work folder with the token files of twenty documents of events."""
    folder = tmp_path_factory.mktemp("answers")
    for name, split in (("events.txt", "train"), ("valid.txt", "valid")):
        with open(folder / name, "w") as file:
            generate.write(file, 20, split, 1)
    (folder / "tokenizer.model").write_bytes(tokenizer.train([folder / "events.txt"], VOCAB))
    processor = tokenizer.load(folder / "tokenizer.model")
    data.prepare(processor, [folder / "events.txt"], folder / "valid.txt", 0.0, 1, folder / "data", answers_after="=")
    return folder


# Which tokens are answers, and what they weigh


def test_an_answer_goes_to_the_end_of_its_line_or_of_its_document():
    tokens = np.array(DOCUMENTS[0] + DOCUMENTS[1], dtype="<u2")
    assert list(np.flatnonzero(data.answers(tokens, START))) == [4, 12, 13]


def test_a_step_reads_whole_documents_each_once_in_an_epoch():
    documents = by_hand()
    for epoch in range(2):
        seen = []
        for step in range(2):
            tokens, targets, weights = documents.at(2 * epoch + step)
            assert tokens.shape == targets.shape == weights.shape
            for row, last in zip(tokens, targets[:, -1]):
                text = [*row.tolist(), int(last)]
                seen.append(text[: text.index(EOS) + 1])
                assert set(text[text.index(EOS) :]) == {EOS}
        assert sorted(seen) == sorted(DOCUMENTS)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_answers_have_their_share_of_the_loss_and_padding_has_none(share):
    for step in range(2):
        tokens, targets, weights = by_hand(share=share).at(step)
        assert float(weights.sum()) == pytest.approx(1.0)
        padding = torch.cat([(tokens == EOS), torch.zeros(2, 1, dtype=torch.bool)], dim=1)[:, : targets.shape[1]]
        assert not weights[padding].any()
        if share == 1.0:
            assert not weights[(tokens == BOS) & (targets != 8)].any()


def test_what_has_no_room_in_the_context_is_left_out():
    assert by_hand(context=3).at(0)[0].shape[1] <= 3


def test_the_loss_with_weights_is_their_weighted_mean():
    model = loop.Llama(SMALL.model)
    tokens = torch.tensor([[1, 5, 6, 7]])
    each = [model.loss(tokens, torch.where(torch.arange(4) == place, 7, -100)[None]).item() for place in range(4)]
    weights = torch.tensor([[0.0, 1.0, 0.0, 3.0]])
    assert model.loss(tokens, torch.full((1, 4), 7), weights).item() == pytest.approx((each[1] + 3 * each[3]) / 4, rel=1e-5)


def test_a_text_without_answers_is_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="--answers-after"):
        data.Documents(np.array([BOS, 5, 5, EOS], dtype="<u2"), 16, 1, 1, START, 0.5)
    (tmp_path / "data").mkdir()
    for file in (folder / "data").iterdir():
        text = file.read_bytes()
        (tmp_path / "data" / file.name).write_bytes(text.replace(b"answers_after", b"of_another_day") if file.suffix == ".json" else text)
    with pytest.raises(SystemExit, match="--answers-after"):
        loop.Trainer(questions(), tmp_path / "data", tmp_path / "run")


def test_impossible_configs_are_refused():
    for section, key, value in (("train", "answers", 1.5), ("text", "events", -1), ("text", "stories", 0.5), ("text", "events", 0)):
        plain = questions().as_dict()
        plain[section][key] = value
        with pytest.raises(config.ConfigError, match=key if key != "stories" else "events"):
            config.parse(plain)


# A run


def test_every_class_is_an_answer_of_the_token_file(folder):
    processor = tokenizer.load(folder / "tokenizer.model")
    tokens = data.read(folder / "data" / "train.bin")
    found = data.answers(tokens, data.line_start(processor, "="))
    said = processor.decode(tokens[found].tolist()).split()
    assert len(said) == 20 * generate.EVENTS and set(said) == set(rules.CLASSES)


def test_a_run_learns_the_answers_and_goes_on_as_if_unbroken(folder, tmp_path):
    config = questions(steps=30)

    def run(name, stops):
        for stop in stops:
            trainer = loop.Trainer(config, folder / "data", tmp_path / name)
            if (tmp_path / name / "checkpoint.pt").exists():
                trainer.resume()
            trainer.run(None, 5, stop)
        return trainer

    whole, broken = run("whole", [None]), run("broken", [7, None])
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, broken.model.state_dict()[key]), key
    before = loop.Trainer(config, folder / "data", tmp_path / "before")
    batch = whole.windows.at(0)
    assert float(whole.model.loss(*batch)) < 0.8 * float(before.model.loss(*batch))


# Figures


@pytest.fixture(scope="module")
def asked():
    return list(generate.questions("valid", 1, 200))


def test_baselines_learn_and_do_not_solve_it(asked):
    known = list(generate.questions("train", 1, 600))
    right = [event.right for _, event in asked]

    def share(answers):
        return sum(map(str.__eq__, answers, right)) / len(right)

    assert 0.2 < share(triage.majority(known, asked)) < 0.5
    for with_notes in (False, True):
        assert 0.3 < share(triage.bag_of_words(known, asked, with_notes)) < 0.7
        known_again = known[:200]
        own = triage.bag_of_words(known_again, known_again, with_notes)
        assert sum(map(str.__eq__, own, [event.right for _, event in known_again])) > 130


@pytest.mark.parametrize(("answer", "word"), [(" warn\n>", "warn"), ("Alarm.", "alarm"), ("", ""), (" 12 log", ""), ("warning", "warning")])
def test_the_first_word_counts(answer, word):
    assert triage.first_word(answer) == word


def test_a_model_is_asked_for_each_event_and_its_figures_are_those_of_its_answers(asked, tmp_path):
    llmtool = tmp_path / "llmtool"
    llmtool.write_text(f"#!{sys.executable}\nimport sys\nprint(' warn\\n>' if 'door' in sys.argv[5].lower().splitlines()[-2] else ' maybe')\n")
    llmtool.chmod(llmtool.stat().st_mode | stat.S_IXUSR)
    few = asked[:20]
    answers = [triage.ask(llmtool, tmp_path / "m.gguf", *one) for one in few]
    assert answers == ["warn" if event.kind == "door" else "maybe" for _, event in few]
    row = triage.report("m", few, [event.right for _, event in few]).split(" | ")
    assert row[1] == "100.0 %" and row[-1] == "0 |"
    assert triage.report("m", few, answers).endswith(f"| {answers.count('maybe')} |")

"""Claims about the mixed text and the baselines that need no PyTorch."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from trainlib import corpus, mix

np = pytest.importorskip("numpy", reason="pip install -r tools/train/requirements.txt")
import baselines  # noqa: E402
from trainlib import ngram  # noqa: E402

TALES = [f"Tale {number}\n\n" + "The fox went home. " * 40 for number in range(300)]

# Mix


@pytest.mark.parametrize("share", [0.0, 0.25, 0.6])
def test_the_text_has_the_size_and_the_share_of_stories_that_were_asked_for(share):
    documents, made = mix.mix(TALES, share, 100_000, seed=1)
    size = sum(map(mix.size_of, documents))
    assert size == made.tales_bytes + made.stories_bytes
    assert 100_000 <= size < 106_000
    assert made.share == pytest.approx(share, abs=0.02)
    assert len(documents) == made.tales + made.stories == len(set(documents))


def test_without_a_size_all_tales_are_taken():
    documents, made = mix.mix(TALES, 0.5, None, seed=1)
    assert made.tales == len(TALES) and set(TALES) <= set(documents)
    assert made.share == pytest.approx(0.5, abs=0.01)


def test_both_registers_stand_in_every_stretch_and_the_seed_decides_the_order():
    documents, _ = mix.mix(TALES, 0.5, None, seed=1)
    tales = [document.startswith("Tale ") for document in documents]
    half = len(tales) // 2
    assert 0.35 < sum(tales[:half]) / sum(tales) < 0.65
    assert mix.mix(TALES, 0.5, None, seed=1)[0] == documents != mix.mix(TALES, 0.5, None, seed=2)[0]


@pytest.mark.parametrize("share", [1.0, -0.1])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(ValueError, match=str(share)):
        mix.mix(TALES, share, None, 1)


def test_the_written_text_reads_back_as_its_documents(tmp_path, monkeypatch):
    (tmp_path / "corpus").mkdir()
    for name, part in (("train.txt", TALES[:200]), ("train-extra.txt", TALES[200:])):
        (tmp_path / "corpus" / name).write_text("".join(f"{text}\n{corpus.SEPARATOR}\n" for text in part))
    monkeypatch.setenv("SEL4_LLM_SHARED", str(tmp_path))
    made = mix.write(tmp_path / "mix.txt", 0.25, 80_000, seed=1)
    documents = corpus.documents(tmp_path / "mix.txt")
    assert len(documents) == made.tales + made.stories
    assert (tmp_path / "mix.txt").stat().st_size == pytest.approx(made.tales_bytes + made.stories_bytes, rel=0.001)


# n-grams


def stream(length, vocab, seed=1):
    """Tokens that follow each other by a rule, with noise."""
    chance, tokens = random.Random(seed), [1, 2]
    while len(tokens) < length:
        tokens.append((tokens[-1] * 3 + tokens[-2]) % vocab if chance.random() < 0.7 else chance.randrange(vocab))
    return np.array(tokens, dtype="<u2")


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_after_any_context_sum_to_one(order):
    vocab = 23
    model = ngram.KneserNey(stream(3000, vocab), vocab, order)
    for context in ([], [5], [1, 2, 5], [22, 22, 22, 22, 22], list(stream(3000, vocab)[100:107])):
        total = sum(model.probabilities(np.array([0, *context, token]))[-1] for token in range(vocab))
        assert total == pytest.approx(1.0, abs=1e-9), context


def test_bigrams_have_the_probability_that_the_formula_gives():
    """b follows a twice and c once; by hand, with the fixed discounts of a tiny text."""
    a, b, c = 0, 1, 2
    model = ngram.KneserNey(np.array([a, b, a, b, a, c]), vocab=4, order=2)
    bigrams = {(a, b): 2, (b, a): 2, (a, c): 1}
    assert dict(zip(model.tables[1].keys, model.tables[1].counts)) == {x << 2 | y: n for (x, y), n in bigrams.items()}
    assert list(model.tables[0].counts) == [1, 1, 1]  # a, b and c each follow one kind of token
    d1, d = model.tables[0].discount, model.tables[1].discount
    unigram = (1 - d1[1]) / 3 + d1[1] * 3 / 3 / 4
    expected = (2 - d[2]) / 3 + (d[2] + d[1]) / 3 * unigram
    assert model.probabilities(np.array([a, b]))[0] == pytest.approx(expected)
    assert model.probabilities(np.array([3, b]))[0] == pytest.approx(unigram)


def test_longer_contexts_foresee_a_text_with_a_rule_better():
    vocab = 50
    train, held_out = stream(20_000, vocab), stream(2000, vocab, seed=2)
    bits = [ngram.KneserNey(train, vocab, order).bits_per_byte(held_out, len(held_out)) for order in (1, 2, 3)]
    assert bits[2] < bits[1] - 0.01 and bits[2] < bits[0] - 1
    assert bits[0] < np.log2(vocab) * 1.01


def test_a_vocabulary_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="65"):
        ngram.KneserNey(np.arange(10), 8192, 5)


# xz


def test_xz_is_the_command_and_gains_from_what_it_has_seen():
    text = b"".join(b"%d foxes went over hill %d. " % (n * n, n) for n in range(2000))
    given, alone = baselines.xz_bits_per_byte(text, text[:20_000])
    assert given < alone / 10
    assert baselines.xz_bits_per_byte(bytes(1000), text)[0] == pytest.approx(alone_of(text), rel=0.05)
    try:
        command = subprocess.run(["xz", "-9e", "-c"], input=text, capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("xz is not installed")
    assert abs(len(command.stdout) - baselines.xz_size(text)) <= 64


def alone_of(text):
    return baselines.xz_size(text) * 8 / len(text)


def test_the_script_measures_given_files(tmp_path):
    (tmp_path / "a").write_bytes(b"the fox went home. " * 50)
    done = subprocess.run(
        [sys.executable, Path(baselines.__file__), "xz", "--text", tmp_path / "a", "--valid", tmp_path / "a"],
        capture_output=True, text=True, check=True,
    )
    assert "given 950 bytes" in done.stdout

"""Claims about the generator of events; they need nothing but Python."""

import io
import itertools
import re
from pathlib import Path

import pytest

from events import generate, rules, wordings
from events.__main__ import write_example
from events.rules import CLASSES, PLAIN
from trainlib import chat

COUNT = 3000


def every(split, count=COUNT):
    return [event for number in range(count // 100) for event in generate.make(split, 1, number, 100)]


@pytest.fixture(scope="module")
def trained():
    return every("train")


@pytest.fixture(scope="module")
def held_out():
    return every("valid")


# Seeds and splits


def test_a_document_is_a_function_of_split_seed_and_number():
    assert generate.document("train", 1, 7) == generate.document("train", 1, 7)
    others = {generate.document("train", 1, 7), generate.document("train", 2, 7), generate.document("train", 1, 8), generate.document("valid", 1, 7)}
    assert len(others) == 4
    with pytest.raises(ValueError, match="must be one of train, valid"):
        generate.document("test", 1, 7)


def test_no_held_out_combination_happens_in_training(trained, held_out):
    assert not {event.combination for event in trained} & {event.combination for event in held_out}
    possible = {
        (kind, thing, state, fact)
        for kind, states in rules.RULES.items() for thing in rules.THINGS[kind] for state, facts in states.items() for fact in facts
    }
    share = sum(map(generate.is_held_out, possible)) / len(possible)
    assert 0.15 < share < 0.25


def test_no_held_out_line_is_a_training_line(trained, held_out):
    assert not {event.line for event in trained} & {event.line for event in held_out}


def all_sayings(split):
    """Every frame with a phrase that a split can have, without what applies."""
    for kind, facts in wordings.PHRASES.items():
        for fact, phrases in facts.items():
            for (f, frame), (p, phrase) in itertools.product(enumerate(wordings.FRAMES[kind]), enumerate(phrases)):
                if generate.is_held_out_wording(f, p) == (split == "valid"):
                    for thing in rules.THINGS[kind]:
                        yield kind, fact, frame.format(t=thing, p=phrase)


def test_no_saying_can_be_of_both_splits_and_none_has_two_meanings():
    train, valid = ({line: (kind, fact) for kind, fact, line in all_sayings(split)} for split in generate.SPLITS)
    assert not set(train) & set(valid)
    for split, lines in zip(generate.SPLITS, (train, valid)):
        assert all(lines[line] == (kind, fact) for kind, fact, line in all_sayings(split))


def test_every_word_of_a_held_out_line_is_known_from_training(trained, held_out):
    train, valid = ({word for event in events for word in re.findall(r"[A-Za-z]+", event.line)} for events in (trained, held_out))
    assert valid <= train


def test_every_thing_state_and_fact_happens_in_training_with_others(trained):
    assert {(event.kind, event.thing) for event in trained} == {(kind, thing) for kind, names in rules.THINGS.items() for thing in names}
    assert {(event.kind, event.state, event.fact, event.is_open) for event in trained} == {
        (kind, state, fact, is_open)
        for kind, states in rules.RULES.items() for state, facts in states.items() for fact in facts for is_open in (False, True)
    }


# What is right


def test_no_class_follows_from_what_happened_without_its_context():
    for kind, states in rules.RULES.items():
        for fact in states[next(iter(states))]:
            right = {rules.right_class(kind, state, fact, is_open) for state in states for is_open in (False, True)}
            assert len(right) > 1, (kind, fact)


def test_every_rule_gives_a_class_and_every_kind_has_all_facts_in_all_states():
    for kind, states in rules.RULES.items():
        assert all(set(facts) == set(wordings.PHRASES[kind]) for facts in states.values()), kind
        for facts in states.values():
            for rule in facts.values():
                assert set([rule] if isinstance(rule, str) else rule) <= set(CLASSES)


def test_nothing_is_better_for_a_site_that_is_closed():
    for kind, states in rules.RULES.items():
        for state, facts in states.items():
            for fact in facts:
                is_open, closed = (CLASSES.index(rules.right_class(kind, state, fact, hours)) for hours in (True, False))
                assert closed >= is_open, (kind, state, fact)


def by_the_line(event):
    """Hours and state, read off the line, as the model must."""
    before, said = event.line.split(": ", 1)
    parts = before.lower().split(", ")
    (is_open,) = [hours for hours, texts in wordings.HOURS.items() for text in texts if text in parts]
    known = [part for part in parts if part not in wordings.HOURS[is_open]]
    if event.kind == "temperature":
        limit, reading = (int(re.search(r"\d+", text)[0]) for text in (known[0], said))
        assert reading != limit
        return is_open, "above" if reading > limit else "below"
    if not known:
        return is_open, PLAIN
    (state,) = [state for state, texts in wordings.KNOWN[event.kind].items() if known == [text for text in texts if text in known]]
    return is_open, state


@pytest.mark.parametrize("split", generate.SPLITS)
def test_the_class_is_that_of_the_line_as_it_is_written(split):
    for event in generate.make(split, 3, 0, 1000):
        is_open, state = by_the_line(event)
        assert (is_open, state) == (event.is_open, event.state)
        assert event.right == rules.right_class(event.kind, state, event.fact, is_open)


def test_no_class_and_no_kind_is_rare(held_out):
    for values, named in (([event.right for event in held_out], CLASSES), ([event.kind for event in held_out], rules.THINGS)):
        assert all(values.count(one) > 0.08 * len(values) for one in named)
        assert all(values.count(one) < 0.45 * len(values) for one in named)


# Text


def test_a_document_has_the_standing_text_once_and_a_class_after_each_line():
    events = generate.make("valid", 1, 5, 4)
    segments = chat.read(generate.document("valid", 1, 5, 4))
    assert segments[0] == ("system", wordings.STANDING)
    assert segments[1:] == [turn for event in events for turn in (("user", event.line), ("assistant", event.right))]


def test_the_standing_text_says_what_each_class_means():
    for name in CLASSES:
        assert f"\n- {name}: " in wordings.STANDING


def test_a_line_fits_into_the_example(trained, held_out):
    assert max(len(event.line) for event in trained + held_out) <= 120
    assert all(event.line.isascii() and "\n" not in event.line for event in trained + held_out)


def test_a_text_has_as_many_documents_as_were_asked_for():
    file = io.StringIO()
    assert generate.write(file, 5, "train", 1) == len(file.getvalue())
    assert file.getvalue().split(f"\n{generate.SEPARATOR}\n") == [*(generate.document("train", 1, n) for n in range(5)), ""]


def test_the_examples_files_are_what_the_generator_writes(tmp_path):
    example = Path(__file__).resolve().parents[3] / "examples" / "triage"
    write_example(tmp_path, 4)
    for name in ("standing.txt", "events.txt", "right.txt"):
        assert (example / name).read_text() == (tmp_path / name).read_text(), name
    lines = (tmp_path / "events.txt").read_text().splitlines()
    events = generate.make("valid", 4, 0, 500)
    assert (tmp_path / "standing.txt").read_text() == wordings.STANDING + "\n"
    assert lines[:500] == [event.line for event in events] and len(lines) == 503 and not lines[500]
    assert (tmp_path / "events.txt").stat().st_size < 0x8000

"""Claims about the generator of events; they need nothing but Python."""

import io
import itertools
import random
import re
from pathlib import Path

import pytest

from events import generate, rules, wordings
from events.__main__ import write_example
from events.rules import CLASSES, PLAIN
from trainlib import chat

COUNT = 3000


def every(split, count=COUNT):
    return [event for number in range(count // 10) for event in generate.make(split, 1, number, 10)[1]]


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


def all_lines(split):
    """Every line that a split can have."""
    for kind, facts in wordings.PHRASES.items():
        for fact, phrases in facts.items():
            for (f, frame), (p, phrase) in itertools.product(enumerate(wordings.FRAMES[kind]), enumerate(phrases)):
                if generate.is_held_out_wording(f, p) == (split == "valid"):
                    for thing in rules.THINGS[kind]:
                        yield kind, fact, frame.format(t=thing, p=phrase)


def test_no_line_can_be_of_both_splits_and_none_has_two_meanings():
    train, valid = ({line: (kind, fact) for kind, fact, line in all_lines(split)} for split in generate.SPLITS)
    assert not set(train) & set(valid)
    for split, lines in zip(generate.SPLITS, (train, valid)):
        assert all(lines[line] == (kind, fact) for kind, fact, line in all_lines(split))


def test_every_word_of_a_held_out_line_is_known_from_training():
    train, valid = ({word for *_, line in all_lines(split) for word in re.findall(r"[A-Za-z]+", line)} for split in generate.SPLITS)
    assert valid <= train


def test_every_thing_state_and_fact_happens_in_training_with_others(trained):
    assert {(event.kind, event.thing) for event in trained} == {(kind, thing) for kind, names in rules.THINGS.items() for thing in names}
    assert {(event.kind, event.state, event.fact) for event in trained} == {
        (kind, state, fact) for kind, states in rules.RULES.items() for state, facts in states.items() for fact in facts
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


def state_by_the_notes(site, event):
    """Read off the text of the notes, as the model must."""
    if event.kind == "temperature":
        (limit,) = [
            int(re.search(r"\d+", note)[0]) for note in site.notes
            if note in {text.format(t=event.thing, n=n) for text in wordings.NOTES["temperature"]["limit"] for n in rules.LIMITS}
        ]
        reading = int(re.search(r"\d+", event.line)[0])
        assert reading != limit
        return "above" if reading > limit else "below"
    found = [
        state for state, texts in wordings.NOTES[event.kind].items() for text in texts if text.format(t=event.thing) in site.notes
    ]
    assert len(found) < 2
    return found[0] if found else PLAIN


@pytest.mark.parametrize("split", generate.SPLITS)
def test_the_class_is_that_of_the_notes_as_they_are_written(split):
    for site, event in generate.questions(split, 3, 1000):
        state, is_open = state_by_the_notes(site, event), wordings.HOURS[True] in site.text
        assert state == event.state
        assert event.right == rules.right_class(event.kind, state, event.fact, is_open)


def test_no_class_and_no_kind_is_rare(held_out):
    for values, named in (([event.right for event in held_out], CLASSES), ([event.kind for event in held_out], rules.THINGS)):
        assert all(values.count(one) > 0.08 * len(values) for one in named)
        assert all(values.count(one) < 0.45 * len(values) for one in named)


# Text


def test_a_document_has_the_notes_once_and_a_class_after_each_line():
    site, events = generate.make("valid", 1, 5, 4)
    segments = chat.read(generate.document("valid", 1, 5, 4))
    assert segments[0] == ("system", site.text)
    lines = site.text.splitlines()
    assert lines[0] == wordings.PREAMBLE and len(lines) == 2 + len(site.notes)
    assert all(line.startswith("- ") for line in lines[1:])
    assert segments[1:] == [turn for event in events for turn in (("user", event.line), ("assistant", event.right))]


def pairs(turns):
    return zip(turns[::2], turns[1::2])


def test_a_training_document_also_asks_for_states_and_a_held_out_one_never_does():
    asked = {"train": 0, "valid": 0}
    for split, number in itertools.product(generate.SPLITS, range(40)):
        for (_, line), (_, answer) in pairs(chat.read(generate.document(split, 1, number))[1:]):
            if answer not in CLASSES:
                asked[split] += 1
                assert "which note" in line and answer in wordings.STATE_WORDS.values()
    assert asked["valid"] == 0 and 0.35 < asked["train"] / (40 * generate.EVENTS) < 0.6


def test_the_state_that_is_asked_for_is_that_of_the_notes():
    chance = random.Random(1)
    for _ in range(300):
        site = generate.make_site(chance)
        event = generate.make_event(site, "train", chance, states=1.0)
        if event:
            assert event.right == wordings.STATE_WORDS[state_by_the_notes(site, event)]


def test_a_thing_has_one_note_at_most():
    for number in range(300):
        site = generate.make_site(random.Random(number))
        assert 2 <= len(site.notes) <= generate.MOST_NOTES
        assert len(site.notes) == len(site.states) + len(site.limits)


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
    for name in ("notes.txt", "events.txt", "right.txt"):
        assert (example / name).read_text() == (tmp_path / name).read_text(), name
    notes, lines = (tmp_path / "notes.txt").read_text(), (tmp_path / "events.txt").read_text().splitlines()
    site, events = generate.watch("valid", 4, 500)
    assert notes == site.text + "\n" and len(site.notes) == generate.MOST_NOTES
    assert lines[:500] == [event.line for event in events] and len(lines) == 503 and not lines[500]

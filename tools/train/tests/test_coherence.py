"""The coherence script accepts held-out stories of the generator, and each of its rules fails on stories that break it."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import coherence
from coherence import Story, judge, measure
from stories import characters, generate

COUNT = 600
NAMES = characters.BOYS + characters.GIRLS + characters.BOY_ANIMALS + characters.GIRL_ANIMALS
SWAP = {"he": "she", "she": "he", "him": "her", "his": "her", "her": "his", "himself": "herself", "herself": "himself"}

GOOD = """Once upon a time, there was a little boy named Tom. Tom had a red kite. He took it to the hill.

"Fly!" said Tom. He ran and ran. Tom hurt himself a little, but he did not mind.

At last the kite flew over the trees. Tom went home, and he was happy."""


@pytest.fixture(scope="module")
def texts():
    return [told.text for told in itertools.islice(generate.stories("valid", 1), COUNT)]


def shares(texts, ended=True):
    found = measure([Story(text, ended) for text in texts])
    return {rule: found[rule]["share"] for rule in ("name and pronoun", *coherence.RULES)}


def halves(text):
    middle = text.find(" ", len(text) // 2)
    return text[:middle], text[middle:]


# What is whole passes


def test_a_whole_story_keeps_every_rule():
    assert judge(Story(GOOD, True)) == dict.fromkeys(coherence.RULES, True)


def test_held_out_stories_of_the_generator_pass(texts):
    found = shares(texts)
    assert found["name and pronoun"] > 0.96 and found["name"] > 0.98 and found["pronoun"] > 0.96
    assert found["object"] > 0.85 and found["end"] == 1.0 and found["repetition"] > 0.98


# What is broken fails: the same stories, with one thing wrong


def test_a_hero_with_another_name_in_the_second_half_fails(texts):
    def renamed(text):
        first, second = halves(text)
        hero = coherence.main_character(text)
        other = next(name for name in NAMES if name not in text)
        return first + re.sub(rf"\b{hero}\b", other, second)

    assert shares(map(renamed, texts))["name"] < 0.05


def test_pronouns_that_change_their_gender_on_the_way_fail(texts):
    def swapped(text):
        first, second = halves(text)
        return first + re.sub(r"\b[A-Za-z]+\b", lambda w: match_case(w.group(), SWAP.get(w.group().lower(), w.group())), second)

    before, after = shares(texts)["pronoun"], shares(map(swapped, texts))["pronoun"]
    assert before > 0.96 and after < 0.5, (before, after)


def test_pronouns_that_do_not_fit_the_stated_kind_fail(texts):
    def swapped(text):
        return re.sub(r"\b[A-Za-z]+\b", lambda w: match_case(w.group(), SWAP.get(w.group().lower(), w.group())), text)

    stated = [t for t in texts if coherence.stated_gender(t, coherence.main_character(t))]
    assert len(stated) > COUNT / 4
    assert shares(map(swapped, stated))["pronoun"] < 0.1


def match_case(old, new):
    return new.capitalize() if old[0].isupper() else new


def test_halves_of_different_stories_lose_hero_and_objects(texts):
    mixed = [halves(a)[0] + halves(b)[1] for a, b in zip(texts, texts[1:])]
    found = shares(mixed)
    assert found["name"] < 0.15 and found["object"] < 0.5


def test_a_story_that_was_cut_off_has_no_end(texts):
    assert shares(texts, ended=False)["end"] == 0.0
    assert shares([halves(text)[0].rstrip(".!?\" ") for text in texts])["end"] == 0.0


def test_a_passage_three_times_is_a_repetition(texts):
    def stuck(text):
        last = " ".join(text.split()[-12:])
        return f"{text} {last} {last}"

    assert shares(map(stuck, texts))["repetition"] == 0.0
    line = "the cat sat on the mat and then it slept. "
    assert coherence.most_repeated(line * 2) == 2 and coherence.most_repeated(line * 3) == 3
    assert coherence.most_repeated("too short") == 0


# Its parts


def test_the_main_character_is_named_most_in_the_first_third():
    assert coherence.main_character(GOOD) == "Tom"
    assert coherence.main_character('"Oh," said Mom. The sun shone.') is None
    assert judge(Story("The sun shone.", True))["name"] is False


def test_titles_days_and_sentence_starts_are_no_names():
    text = "Then on Sunday Mrs. Lake saw Papa Fox. But a boy named Ben and Tom ran. Run, said Ben."
    assert coherence.names_of(text) == ["Ben", "Tom", "Ben"]


def test_objects_are_what_comes_in_with_an_article_or_an_owner():
    assert set(coherence.introduced("He saw a small red kite that flew. An old man had his hat on one day.")) == {"kite", "hat"}


def test_a_text_is_read_by_its_marks():
    stories = coherence.read("One.\n<|endoftext|>\nTwo\n<|cut|>\n\n<|endoftext|>\nThree.")
    assert stories == [Story("One.", True), Story("Two", False), Story("Three.", False)]


def test_the_script_prints_and_writes_the_figures(tmp_path, texts):
    (tmp_path / "samples.txt").write_text(f"{GOOD}\n{coherence.END}\n{GOOD}\n{coherence.CUT}\n")
    (tmp_path / "held-out.txt").write_text("".join(f"{text}\n{coherence.END}\n" for text in texts[:20]))
    script = Path(coherence.__file__)
    done = subprocess.run(
        [sys.executable, script, tmp_path / "samples.txt", "--beside", tmp_path / "held-out.txt", "--json", tmp_path / "out.json"],
        capture_output=True, text=True, check=True,
    )
    assert "| end | 50.0% of 2 | 100.0% of 20 |" in done.stdout
    figures = json.loads((tmp_path / "out.json").read_text())
    assert figures["samples"]["end"] == {"share": 0.5, "of": 2} and figures["held-out"]["stories"] == 20
    (tmp_path / "empty.txt").write_text("\n")
    failed = subprocess.run([sys.executable, script, tmp_path / "empty.txt"], capture_output=True, text=True, check=False)
    assert failed.returncode and "no stories" in failed.stderr

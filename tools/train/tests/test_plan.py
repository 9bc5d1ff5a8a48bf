"""Claims about schedule, corpus and config; they need nothing but Python."""

import pytest

from small import SMALL
from trainlib import config, corpus
from trainlib.schedule import Schedule

# Schedule


def test_schedule_warms_up_stays_and_decays_to_zero():
    schedule = Schedule.planned(steps=100, warmup=10, decay=0.4)
    rates = [schedule.multiplier(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.05)
    assert rates[10:60] == [1.0] * 50
    assert all(a > b for a, b in zip(rates[60:], rates[61:]))
    assert 0 < rates[-1] < 0.02
    assert schedule.multiplier(100) == 0.0


def test_schedule_that_fits_its_time_is_kept():
    schedule = Schedule.planned(100, 10, 0.4)
    before = list(schedule.knots)
    schedule.refit(step=50, seconds_left=1000, seconds_per_step=1, limit=100)
    assert schedule.knots == before


@pytest.mark.parametrize("step", [1, 5, 10, 50, 60, 80, 97])
def test_refit_keeps_the_rate_of_now_and_still_ends_at_zero(step):
    schedule = Schedule.planned(100, 10, 0.4)
    past = [schedule.multiplier(s) for s in range(step)]
    schedule.refit(step, seconds_left=(100 - step) / 3, seconds_per_step=1, limit=100)
    assert schedule.steps < 100
    assert [schedule.multiplier(s) for s in range(step)] == pytest.approx(past)
    assert schedule.knots[-1][1] == 0.0
    steps = [s for s, _ in schedule.knots]
    assert steps == sorted(set(steps))
    rates = [schedule.multiplier(s) for s in range(step - 1, schedule.steps)]
    assert max(abs(a - b) for a, b in zip(rates, rates[1:])) < 0.5


def test_refit_gives_back_what_a_slow_spell_took_up_to_the_plan():
    schedule = Schedule.planned(100, 10, 0.4)
    schedule.refit(step=20, seconds_left=40, seconds_per_step=1, limit=100)
    assert schedule.steps < 61
    schedule.refit(step=30, seconds_left=1000, seconds_per_step=1, limit=100)
    assert schedule.steps == 100


# Corpus


def test_documents_end_at_separator_lines_only(tmp_path):
    file = tmp_path / "text"
    file.write_text(f"one\n\n  two {corpus.SEPARATOR} x\n{corpus.SEPARATOR}\n\n{corpus.SEPARATOR}\nthree\n")
    assert corpus.documents(file) == [f"one\n\n  two {corpus.SEPARATOR} x", "three"]


def test_only_a_short_first_paragraph_is_a_title():
    assert corpus.without_title("The Fox\n\nA fox ran.") == "A fox ran."
    assert corpus.without_title("A fox ran.\n\nIt fell.") == "A fox ran.\n\nIt fell."
    assert corpus.without_title("alone") == "alone"


# Config


def test_impossible_configs_are_refused():
    for section, key, value in (("model", "kv_heads", 3), ("model", "dim", 33), ("train", "warmup", 99), ("train", "oops", 1)):
        plain = SMALL.as_dict()
        plain[section][key] = value
        with pytest.raises(config.ConfigError):
            config.parse(plain)

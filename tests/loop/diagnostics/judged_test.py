"""Every diagnostic is green on a good round, and amber and red where its rule says so."""

from __future__ import annotations

import pytest

from loop.diagnostics.diagnostic import Diagnostic
from loop.diagnostics.judged import diagnose, figures_of, of_summary
from loop.diagnostics.table import BY_NAME, ROWS
from loop.summary import RoundSummary

START = {
    "answer_length": 100.0,
    "ended": 0.98,
    "top_entropy": 1.0,
    "top_mass": 0.98,
    "push_gap": 1e-5,
}
"""What round 0 knows."""

FIRST = {
    **START,
    "judge_score": 0.4,
    "train_gold": 0.4,
    "grad_norm": 1.0,
}
"""What round 1 knew, as far as a later one asks for it."""

GOOD = {
    "gold_score": 0.6,
    "gold_high": 0.65,
    "judge_score": 0.6,
    "judge_score_error": 0.01,
    "train_gold": 0.55,
    "train_gold_error": 0.01,
    "judge_accuracy": 0.95,
    "order_flips": 0.1,
    "calibration_error": 0.05,
    "failed_judgements": 0.01,
    "length_correlation": 0.2,
    "length_gap": 0.1,
    "chosen_change": 0.2,
    "rejected_change": -0.5,
    "third_change": 0.0,
    "margin": 3.0,
    "ranking_accuracy": 0.8,
    "ranking_accuracy_mean": 0.8,
    "implicit_accuracy": 0.9,
    "ideal_ranking_accuracy": 0.9,
    "hard_pairs": 0.1,
    "kl_initial": 0.2,
    "kl_previous": 0.1,
    "kl_magnet": 0.1,
    "kl_random_past": 0.1,
    "kl_mixture": 0.1,
    "kl_ema": 0.1,
    "top_entropy": 0.8,
    "top_mass": 0.98,
    "entanglement": 0.5,
    "gradient_cosine": 0.4,
    "grad_norm": 1.2,
    "skipped_steps": 0.0,
    "push_gap": 2e-5,
    "sampler_gap": 0.001,
    "answer_length": 110.0,
    "ended": 0.975,
    "truncated": 0.02,
    "ties": 0.5,
    "empty_groups": 0.5,
}

FALLING = {"chosen_change": -0.2, "rejected_change": -0.3}

WRONG: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "gold_score": ({"gold_score": 0.44, "gold_high": 0.5}, {"gold_score": 0.4, "gold_high": 0.44}),
    "judge_score": ({"train_gold": 0.4}, {"train_gold": 0.35}),
    "train_gold": ({"train_gold": 0.35, "judge_score": 0.4}, {"train_gold": 0.35}),
    "judge_accuracy": ({"judge_accuracy": 0.75}, {"judge_accuracy": 0.55}),
    "order_flips": ({"order_flips": 0.3}, {"order_flips": 0.8}),
    "calibration_error": ({"calibration_error": 0.2}, {"calibration_error": 0.3}),
    "failed_judgements": ({"failed_judgements": 0.05}, {"failed_judgements": 0.2}),
    "length_correlation": (
        {"length_correlation": 0.7, "length_correlation_gold": 0.3},
        {"length_correlation": 0.7, "length_correlation_gold": -0.3},
    ),
    "length_gap": ({"length_gap": 0.3}, {"length_gap": 0.6}),
    "chosen_change": ({"chosen_change": -0.2, "rejected_change": -0.05}, FALLING),
    "rejected_change": ({"rejected_change": -1.2, "chosen_change": 0.0}, {"rejected_change": 0.3}),
    "third_change": ({"third_change": -0.6}, {**FALLING, "third_change": 0.2}),
    "margin": ({"margin": 0.01}, {"margin": -0.2}),
    "ranking_accuracy": ({"ranking_accuracy": 0.5}, {"ranking_accuracy": 0.3}),
    "ranking_accuracy_mean": ({"ranking_accuracy_mean": 0.55}, {"ranking_accuracy_mean": 0.4}),
    "implicit_accuracy": ({"implicit_accuracy": 0.55}, {"implicit_accuracy": 0.45}),
    "ideal_ranking_accuracy": ({"ideal_ranking_accuracy": 0.7}, {"ideal_ranking_accuracy": 0.4}),
    "hard_pairs": ({"hard_pairs": 0.3}, {"hard_pairs": 0.6}),
    **{
        f"kl_{kind}": ({f"kl_{kind}": 0.7}, {f"kl_{kind}": 2.0})
        for kind in ("initial", "previous", "magnet", "random_past", "mixture", "ema")
    },
    "top_entropy": ({"top_entropy": 1.2}, {"top_entropy": 1.5, "top_mass": 0.95}),
    "top_mass": ({"top_mass": 0.95}, {"top_mass": 0.8}),
    "entanglement": ({"entanglement": 1.04}, {"entanglement": 1.04, "chosen_change": -0.2}),
    "gradient_cosine": ({"gradient_cosine": 0.95}, {"gradient_cosine": 0.999}),
    "grad_norm": ({"grad_norm": 4.0}, {"grad_norm": 11.0}),
    "skipped_steps": ({"skipped_steps": 0.05}, {"skipped_steps": 0.2}),
    "push_gap": ({"push_gap": 0.005}, {"push_gap": 0.05}),
    "sampler_gap": ({"sampler_gap": 0.05}, {"sampler_gap": 0.2}),
    "answer_length": ({"answer_length": 130.0}, {"answer_length": 151.0}),
    "ended": ({"ended": 0.94}, {"ended": 0.85}),
    "truncated": ({"truncated": 0.1}, {"truncated": 0.3}),
    "ties": ({"ties": 0.8}, {"ties": 0.96}),
    "empty_groups": ({"empty_groups": 0.8}, {"empty_groups": 0.96}),
}
"""What makes a good round amber, and what red, by the diagnostic that says so."""


def closed(number: int, figures: dict[str, float]) -> RoundSummary:
    told = [Diagnostic(name, value, "green", "") for name, value in figures.items()]
    return RoundSummary(number, f"r{number}", gold_score=0.5, gold_low=0.45, gold_high=0.55, diagnostics=told)


def colours(now: dict[str, float], *before: dict[str, float]) -> dict[str, str]:
    rounds = [closed(number, figures) for number, figures in enumerate(before)]
    return {one.name: one.colour for one in diagnose(now, rounds)}


def test_a_good_round_is_green_throughout() -> None:
    told = colours(GOOD, START, FIRST)
    assert set(told) == set(BY_NAME) == set(WRONG), "every diagnostic has its cases here"
    assert {name: colour for name, colour in told.items() if colour != "green"} == {}


@pytest.mark.parametrize("name", WRONG)
def test_every_diagnostic_turns_amber_and_red(name: str) -> None:
    amber, red = WRONG[name]
    peaked = {**FIRST, "top_entropy": 1.4} if name == "top_entropy" else FIRST
    assert colours({**GOOD, **amber}, START, peaked)[name] == "amber"
    assert colours({**GOOD, **red}, START, peaked)[name] == "red"


def test_what_cannot_be_compared_is_grey_and_what_was_not_measured_is_left_out() -> None:
    told = colours({"gold_score": 0.4, "gold_high": 0.44, "answer_length": 6.0, "top_entropy": 1.0, "top_mass": 0.9})
    assert told == dict.fromkeys(("gold_score", "answer_length", "top_entropy", "top_mass"), "grey")
    assert colours({"chosen_change": -0.5})["chosen_change"] == "grey", "nothing is known of the rejected ones"
    assert "train_gold" not in colours({"train_gold_error": 0.1})


def test_a_sentence_tells_the_value_and_what_to_do() -> None:
    (green,) = diagnose({"truncated": 0.0213}, [])
    assert green.sentence == "2.1% of the round's samples were cut at the token limit: the limit does not decide."
    (red,) = diagnose({"truncated": 0.5}, [])
    assert red.sentence.endswith("the limit decides who wins; raise rollout.max_tokens.")
    for row in ROWS:
        for one in diagnose({row.name: 0.25}, []):
            assert one.sentence.count(". ") == 0 and one.sentence.endswith(".") and "{" not in one.sentence


def test_what_chance_explains_is_no_fall_of_gold() -> None:
    """A standard error of .03 in either round: a difference of .08 is less than 1.96 x .03 x sqrt 2."""
    noisy = {**GOOD, "train_gold": 0.32, "train_gold_error": 0.03}
    assert colours(noisy, START, FIRST)["train_gold"] == "green"
    assert colours({**noisy, "train_gold": 0.31}, START, FIRST)["train_gold"] == "red"


def test_a_slow_decline_is_seen_against_the_first_round() -> None:
    slow = [{**FIRST, "judge_score": 0.4 + 0.02 * at, "train_gold": 0.4 - 0.02 * at} for at in range(4)]
    last = {**GOOD, "judge_score": 0.48, "train_gold": 0.32}
    assert colours(last, START, slow[3])["judge_score"] != "red"
    assert colours(last, START, *slow)["judge_score"] == "red"


def test_values_are_kept_with_six_digits() -> None:
    (one,) = diagnose({"margin": 1.23456789}, [])
    assert one.value == 1.23457


def test_a_closed_round_tells_its_figures_and_its_interval() -> None:
    summary = closed(3, {"margin": 2.0})
    assert figures_of(summary) == {"margin": 2.0, "gold_score": 0.5, "gold_low": 0.45, "gold_high": 0.55}
    steps = RoundSummary(1, "r1", steps=3, skipped_steps=1, grad_norm=0.5)
    assert of_summary(steps) == {"skipped_steps": 0.25, "grad_norm": 0.5}


def test_both_sides_may_fall_where_the_gold_score_clearly_rises() -> None:
    scored = {"gold_low": 0.56, "gold_high": 0.7, "gold_score": 0.6}  # before, it ended at 0.55
    assert colours(FALLING | scored, START)["chosen_change"] == "amber"
    assert colours(FALLING | scored | {"gold_low": 0.54}, START)["chosen_change"] == "red"
    assert colours(FALLING)["chosen_change"] == "red"

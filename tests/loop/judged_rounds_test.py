"""How good a round's judge was on right against wrong answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loop.judged_rounds import JudgedRound, judged_rounds, right_answers
from loop.records import Judgement, Prompt, digest_of
from tests.loop.factories import judgement, response

RIGHT = {"r": True, "s": True, "w": False, "v": False}


def said(first: str, second: str, value: float | None, round: int = 1, sample: int = 0) -> Judgement:
    """What a judge says of two answers in the order shown; None: it failed."""
    row = judgement([first, second], value, "failed" if value is None else "decided", sample)
    return replace(row, round=round, judgement_id=digest_of(first, second, round, sample))


def both(a: str, b: str, a_first: float | None, b_first: float | None, round: int = 1) -> list[Judgement]:
    """Two answers in both orders; each number is the probability that the one shown first is better."""
    return [said(a, b, a_first, round), said(b, a, b_first, round)]


def one(*judgements: Judgement) -> JudgedRound:
    return judged_rounds(RIGHT, judgements)[1]


def test_orders_are_averaged_and_a_position_that_wins_twice_is_a_flip() -> None:
    # r over w: (0.9 + 0.3) / 2 = 0.6; s over w: (0.7 + 0.2) / 2 = 0.45; r over v: (0.8 + 0.9) / 2
    rows = [*both("r", "w", 0.9, 0.7), *both("w", "s", 0.8, 0.7), *both("v", "r", 0.1, 0.8)]
    assert one(*rows) == JudgedRound(cases=3, accuracy=pytest.approx(2 / 3), flips=pytest.approx(2 / 3))
    assert one(*reversed(rows)) == one(*rows), "the order of rows does not count"


def test_a_judgement_that_is_given_twice_counts_once() -> None:
    # ((0.9 + 0.2) / 2 + 0.4) / 2 = 0.475
    rows = [said("r", "w", 0.9), said("r", "w", 0.2, sample=1), said("w", "r", 0.6)]
    assert one(*rows) == one(*rows, rows[0]) == JudgedRound(1, 0.0, 1.0)


def test_a_judge_that_always_prefers_the_wrong_one_never_flips() -> None:
    assert one(*both("r", "w", 0.2, 0.9), *both("w", "s", 0.6, 0.4)) == JudgedRound(2, 0.0, 0.0)


def test_ties_count_half_and_contradict_nothing() -> None:
    assert one(*both("r", "w", 0.5, 0.5), *both("r", "v", 0.5, 0.9)) == JudgedRound(2, 0.25, 0.0)
    assert one(*both("r", "w", 0.75, 0.75)) == JudgedRound(1, 0.5, 1.0), "the orders cancel"


def test_only_a_right_against_a_wrong_answer_is_a_case() -> None:
    others = [*both("r", "s", 0.9, 0.9), *both("w", "v", 0.9, 0.9), *both("r", "unknown", 0.1, 0.9), single("r")]
    assert one(*others) == JudgedRound(0, None, None)
    assert one(*others, *both("r", "w", 0.9, 0.1)) == JudgedRound(1, 1.0, 0.0)


def test_a_failed_order_leaves_the_case_out_and_a_failed_repeat_does_not() -> None:
    assert one(*both("r", "w", 0.9, None)).cases == 0
    abstained = replace(said("w", "r", None), status="undecided")
    assert one(said("r", "w", 0.9), abstained).cases == 0
    repeated = [*both("r", "w", 0.9, None), said("w", "r", 0.2, sample=1), said("r", "w", 0.7, sample=1)]
    assert one(*repeated) == JudgedRound(1, 1.0, 0.0)


def test_what_was_shown_in_one_order_only_has_accuracy_and_no_flips() -> None:
    assert one(said("w", "r", 0.3), said("w", "s", 0.7)) == JudgedRound(2, 0.5, None)


def test_rounds_stand_apart() -> None:
    rows = [*both("r", "w", 0.9, 0.1, round=3), *both("r", "w", 0.1, 0.9), single("r", round=2)]
    assert judged_rounds(RIGHT, rows) == {
        1: JudgedRound(1, 0.0, 0.0),
        2: JudgedRound(0, None, None),
        3: JudgedRound(1, 1.0, 0.0),
    }


def test_right_is_the_reference_answer_but_for_outer_white_space() -> None:
    prompts = [Prompt("p", "[]", [1], "Ab", "s"), Prompt("q", "[]", [1], None, "s")]
    texts = ("Ab", " Ab\n", "ab", "Ab.")
    rows = [response(k, text, id=f"id{k}") for k, text in enumerate(texts)]
    rows.append(response(0, "Ab", prompt_id="q", id="no answer to compare with"))
    assert right_answers(prompts, rows) == {"id0": True, "id1": True, "id2": False, "id3": False}


def single(id: str, round: int = 1) -> Judgement:
    return replace(judgement([id], 1.0), round=round, judgement_id=digest_of("single", id, round))

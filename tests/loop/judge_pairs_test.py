from __future__ import annotations

import math
from dataclasses import replace

import pytest

from loop.config import JudgePairsConfig
from loop.judge_pairs import battles, competing, disputed, judge_pairs
from loop.records import Judgement, Response, seed_of
from loop.verdict import Group
from tests.loop.factories import group, judgement, response

CONFIG = JudgePairsConfig(rounds=2, max_tokens=8)


def said(ids: list[str], value: float | None, sample: int, words: str, prompt_id: str = "p") -> Judgement:
    """A judgement in the words given; without a value it has failed."""
    row = judgement(ids, value, "failed" if value is None else "decided", sample)
    tokens_T = [ord(letter) for letter in words] + [0]
    name = f"{'+'.join(ids)}#{sample}"
    return replace(row, judgement_id=name, prompt_id=prompt_id, asked_T=[5, 6], tokens_T=tokens_T, raw=words)


def named(judgements: list[Judgement]) -> list[str]:
    return [one.judgement_id for one in judgements]


def of_judgements(*words: str) -> Group:
    """Judgements x, y, z in the words given."""
    return group(*(replace(response(k, one, id="xyz"[k]), purpose="judgement") for k, one in enumerate(words)))


def battle(first: str, second: str, p: float | None) -> Judgement:
    return judgement([first, second], p, "failed" if p is None else "decided")


def test_the_question_is_taken_whose_repeats_vary_most() -> None:
    rows = [
        *(said(["a"], value, at, f"a{at}") for at, value in enumerate((1.0, 3.0))),  # variance 1
        *(said(["b"], value, at, f"b{at}") for at, value in enumerate((0.0, 5.0, 5.0))),  # 50 / 9
        *(said(["c"], value, at, f"c{at}") for at, value in enumerate((0.0, None, 0.0, 3.0))),  # 2, the hole aside
    ]
    assert named(disputed(rows)) == ["b#0", "b#1", "b#2"]
    assert disputed(rows[::-1]) == disputed(rows), "the order of rows does not matter"
    assert named(disputed([one for one in rows if one.response_ids != ["b"]])) == ["c#0", "c#2", "c#3"]


def test_of_comparisons_each_order_shown_is_a_question_of_its_own() -> None:
    rows = [
        *(said(["a", "b"], value, at, f"{at}") for at, value in enumerate((1.0, 1.0))),
        *(said(["b", "a"], value, at, f"{at}") for at, value in enumerate((0.0, 1.0))),
    ]
    assert named(disputed(rows)) == ["b+a#0", "b+a#1"]


def test_questions_on_which_repeats_disagree_alike_are_told_apart_by_the_answers_ids() -> None:
    rows = [said([name], value, at, f"{at}") for name in ("z", "b") for at, value in enumerate((0.0, 1.0))]
    assert named(disputed(rows)) == ["b#0", "b#1"]


def test_judgements_in_the_same_words_are_one() -> None:
    rows = [said(["a"], value, at, words) for at, (value, words) in enumerate([(1, "B"), (0, "A"), (1, "B"), (0, "A")])]
    assert named(disputed(rows)) == ["a#0", "a#1"]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [said(["a"], 1.0, 0, "yes"), said(["a"], 1.0, 1, "also yes")],
        [said(["a"], 1.0, 0, "yes"), said(["a"], None, 1, "?")],
        [replace(said(["a"], value, at, "x"), tokens_T=[]) for at, value in enumerate((0.0, 1.0))],
    ],
    ids=["nothing said", "no disagreement", "only one was read", "words without tokens"],
)
def test_without_judgements_that_disagree_nothing_competes(rows: list[Judgement]) -> None:
    assert disputed(rows) == []


def test_a_judgement_becomes_the_policys_answer_to_the_judges_question() -> None:
    answers = {name: response(0, name, id=name) for name in ("a", "b", "c")}
    rows = [
        *(said(["b", "a"], value, at, f"{at}") for at, value in enumerate((0.0, 1.0))),
        *(said(["c"], value, at, f"{at}", "q") for at, value in enumerate((2.0, 4.0))),
    ]
    made = competing(rows, answers, "r1-s8", '{"temperature": 0.8}')
    assert [(one.response_id, one.prompt_id, one.parent, one.k) for one in made] == [
        ("b+a#0", "p", "b", 0),
        ("b+a#1", "p", "b", 1),
        ("c#0", "q", "c", 0),
        ("c#1", "q", "c", 1),
    ]
    assert made[1] == Response(
        response_id="b+a#1",
        round=1,
        purpose="judgement",
        policy="r1-s8",
        prompt_id="p",
        k=1,
        prompt_tokens_T=[5, 6],
        tokens_T=[ord("1"), 0],
        logprobs_T=[],
        loss_mask_T=[True, True],
        text="1",
        finish_reason="end",
        seed=seed_of("judge", [5, 6], 1),
        sampling='{"temperature": 0.8}',
        tokenizer="t",
        parent="b",
    )


def test_every_two_judgements_meet_in_both_orders() -> None:
    asked = [one.response_ids for one in battles(of_judgements("1", "2", "3"))]
    assert asked == [["x", "y"], ["x", "z"], ["y", "x"], ["y", "z"], ["z", "x"], ["z", "y"]]


def test_the_best_by_elo_is_chosen_over_the_worst() -> None:
    # The first position wins 1.1 of two battles, so a win as first counts 0.9 / 2 and one as second 1.1 / 2.
    (pair,) = judge_pairs(CONFIG, of_judgements("1", "2"), [battle("x", "y", 0.9), battle("y", "x", 0.2)], 3)
    x_over_y, y_over_x = 0.9 * 0.45 + 0.8 * 0.55, 0.1 * 0.55 + 0.2 * 0.45
    assert (pair.response_ids, pair.roles) == (["x", "y"], ["chosen", "rejected"])
    assert pair.margin == pytest.approx(math.log(x_over_y / y_over_x), abs=2e-5)
    assert (pair.strength, pair.weight, pair.labels, pair.round) == (1.0, 1.0, [], 3)


def test_of_three_the_middle_one_is_left_out() -> None:
    told = [battle("y", "z", 1.0), battle("z", "y", 0.0), battle("z", "x", 0.8), battle("x", "z", 0.2)]
    told += [battle("y", "x", 1.0), battle("x", "y", None)]
    (pair,) = judge_pairs(CONFIG, of_judgements("1", "2", "3"), told, 1)
    assert pair.response_ids == ["y", "x"]


@pytest.mark.parametrize(
    "told",
    [
        [battle("x", "y", 1.0), battle("y", "x", 1.0)],
        [battle("x", "y", 0.5), battle("y", "x", 0.5)],
        [battle("x", "y", None), battle("y", "x", None)],
        [],
    ],
    ids=["always the first", "ties", "failed", "not asked"],
)
def test_even_judgements_are_no_pair(told: list[Judgement]) -> None:
    assert judge_pairs(CONFIG, of_judgements("1", "2"), told, 1) == []


def test_a_circle_is_no_pair() -> None:
    told = [battle(*one, 0.9) for one in ("xy", "yz", "zx")] + [battle(*one, 0.1) for one in ("yx", "zy", "xz")]
    assert judge_pairs(CONFIG, of_judgements("1", "2", "3"), told, 1) == []


def test_a_long_judgement_is_not_chosen_but_may_be_rejected() -> None:
    told = [battle("x", "y", 1.0), battle("y", "x", 0.0)]
    assert judge_pairs(CONFIG, of_judgements("8 tokens", "2"), told, 1) == [], "8 letters and an end are 9 tokens"
    assert judge_pairs(CONFIG, of_judgements("7 words", "2"), told, 1)
    assert judge_pairs(CONFIG, of_judgements("1", "a long judgement"), told, 1)

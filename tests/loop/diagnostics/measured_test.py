"""Figures of a small round whose rows are made by hand."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loop.diagnostics.measured import counted, measure
from loop.records import Example, Judgement, Prompt, Response, ShardRef, VerdictRow
from loop.shards import write_shard
from tests.loop.factories import judgement, list_example, pair_example, response, single_example

PROMPTS = [Prompt(name, "[]", [1], answer, "s") for name, answer in (("p", "yes"), ("q", "no"), ("r", None))]

TEXTS = {
    "p": ["yes", "yeah", "maybe", "yes"],
    "q": ["no", "nope"],
    "r": ["one", "three"],
}
"""Right ones are p0, p3 and q0; a response has one token more than characters, each of log-prob -0.5."""


def rows() -> list[Response]:
    return [
        response(k, text, prompt_id=prompt, id=f"{prompt}{k}")
        for prompt, texts in TEXTS.items()
        for k, text in enumerate(texts)
    ]


class Round:
    """Shards of a round below a folder."""

    def __init__(self, folder: Path) -> None:
        self.root = str(folder)
        self.refs: dict[str, list[ShardRef]] = {}
        self.prompts = write_shard(self.root, "prompts", 0, 0, PROMPTS, Prompt).path
        self.add("responses", Response, rows())

    def add(self, table: str, row_type: type[Any], some: list[Any]) -> None:
        shard = len(self.refs.setdefault(table, []))
        self.refs[table].append(write_shard(self.root, table, 1, shard, some, row_type))

    def figures(self) -> dict[str, float]:
        return measure(lambda table: self.refs.get(table, []), self.prompts, "r0-s0")


@pytest.fixture
def round(tmp_path: Path) -> Round:
    return Round(tmp_path)


def scores(values: dict[str, float | None]) -> list[VerdictRow]:
    return [VerdictRow(1, one[0], one, None, value) for one, value in values.items()]


def test_length_and_difficulty_of_pairs(round: Round) -> None:
    """Chosen p2 (6 tokens), q1 (5), rejected p0 (4), q0 (3); every token has -0.5, so chosen ones are the less
    likely."""
    round.add("examples", Example, [pair_example("a", "p2", "p0")])
    round.add("examples", Example, [pair_example("b", "q1", "q0"), single_example("c", "r0", 1.0)])
    told = round.figures()
    assert told["length_gap"] == pytest.approx(11 / 7 - 1)
    assert told["hard_pairs"] == 0.0
    unlikely = replace(rows()[2], logprobs_T=[-3.0] * 6, response_id="u")
    round.add("responses", Response, [unlikely, replace(rows()[0], logprobs_T=[], response_id="given")])
    round.add("examples", Example, [pair_example("d", "u", "p0"), pair_example("e", "given", "p0")])
    assert round.figures()["hard_pairs"] == pytest.approx(1 / 3), "-18 against -2; of a given text nothing is known"


def test_a_lists_best_and_worst_item_are_its_sides(round: Round) -> None:
    round.add("examples", Example, [list_example("a", ["p0", "p2", "p1"], [0.1, 0.9, 0.5])])
    round.add("examples", Example, [list_example("b", ["q0", "q1"], [0.5, 0.5])])
    assert round.figures()["length_gap"] == pytest.approx(6 / 4 - 1)


def test_a_judge_of_scores_against_gold(round: Round) -> None:
    """Of p's right answers p0 and p3 and wrong ones p1 and p2: p0 beats p1, ties with p2; p3 loses to both. q0 beats
    q1: (1 + 1/2 + 0 + 0 + 1) / 5. The means are over what the policy sampled and the judge told."""
    round.add(
        "verdicts",
        VerdictRow,
        scores({"p0": 0.6, "p1": 0.2, "p2": 0.6, "p3": 0.0, "q0": 1.0, "q1": 0.0, "r0": None, "r1": 0.5}),
    )
    told = round.figures()
    assert told["judge_accuracy"] == pytest.approx(0.5)
    assert told["judge_score"] == pytest.approx((0.6 + 0.2 + 0.6 + 0.0 + 1.0 + 0.0 + 0.5) / 7)
    assert told["train_gold"] == pytest.approx(3 / 6)
    assert told["train_gold_error"] == pytest.approx(0.0), "half of either prompt's answers are right"
    means = [0.35, 0.5, 0.5]
    spread = math.sqrt(sum((one - sum(means) / 3) ** 2 for one in means) / 2)
    assert told["judge_score_error"] == pytest.approx(spread / math.sqrt(3))


def test_what_others_wrote_enters_no_mean(round: Round) -> None:
    theirs = [
        replace(rows()[0], response_id="theirs", purpose="opponent", text="yes"),
        replace(rows()[1], response_id="older", policy="r7-s9", text="yes"),
    ]
    round.add("responses", Response, theirs)
    round.add("verdicts", VerdictRow, scores({"p0": 0.5, "theirs": 9.0, "older": 9.0}))
    told = round.figures()
    assert (told["judge_score"], told["train_gold"]) == (0.5, 0.5)


def test_score_and_length_are_correlated_within_groups(round: Round) -> None:
    """In p lengths 4, 5, 6, 4 and in q 3, 5; in both each token more is worth 0.1, but q's level is another."""
    round.add("verdicts", VerdictRow, scores({"p0": 0.4, "p1": 0.5, "p2": 0.6, "p3": 0.4, "q0": 0.0, "q1": 0.2}))
    told = round.figures()
    assert told["length_correlation"] == pytest.approx(1.0)
    x, y = [-0.75, 0.25, 1.25, -0.75, -1, 1], [0.5, -0.5, -0.5, 0.5, 0.5, -0.5]
    gold = sum(a * b for a, b in zip(x, y, strict=True)) / math.sqrt(sum(a * a for a in x) * sum(b * b for b in y))
    assert told["length_correlation_gold"] == pytest.approx(gold)


def test_comparisons_give_win_rates_and_a_calibration_error(round: Round) -> None:
    """Right against wrong: .9 for p0 over p1 (right), .7 for q1 over q0 (wrong). |.9 - 1| / 2 + |.7 - 0| / 2."""
    round.add(
        "judgements",
        Judgement,
        [
            judgement(["p0", "p1"], 0.9),
            judgement(["q1", "q0"], 0.7),
            judgement(["p1", "p2"], 0.6),
            judgement(["p0", "p2"], None, "failed"),
            judgement(["p0"], 1.0),
        ],
    )
    pairs = [("p0", "p1", 0.9), ("p0", "p2", 0.2), ("p1", "p2", 0.2)]
    round.add("verdicts", VerdictRow, [VerdictRow(1, "p", one, other, value) for one, other, value in pairs])
    told = round.figures()
    assert told["calibration_error"] == pytest.approx((0.1 + 0.7) / 2)
    x, y = [-1, 0, 1], [0.55 - 0.5, 0.15 - 0.5, 0.8 - 0.5]
    expected = sum(a * b for a, b in zip(x, y, strict=True)) / math.sqrt(2 * sum(b * b for b in y))
    assert told["length_correlation"] == pytest.approx(expected), "of 4, 5 and 6 tokens"
    assert "judge_score" not in told, "win rates inside a group are one half on average, whatever the policy does"
    assert told["judge_accuracy"] == pytest.approx(0.5), "win rates .55, .15, .8; p3 is not known"


def test_an_empty_round_says_nothing(tmp_path: Path) -> None:
    assert measure(lambda _: [], Round(tmp_path).prompts, "r0-s0") == {}


def test_figures_from_sums() -> None:
    sums = {
        "examples": {"groups": 10, "ties": 3, "unusable": 2},
        "judgements": {"rows": 40, "failed": 4, "gold_cases": 20, "gold_right": 15, "gold_both": 10, "gold_flips": 3},
        "responses": {"rows": 80, "sampled": 60, "truncated": 6},
        "evaluation_responses": {"rows": 20, "tokens": 100, "truncated": 1, "logprob": -30.0},
        "evaluation_judgements": {"rows": 20, "failed": 10, "value": 6.0},
        "evaluation_anchors": {"rows": 20, "logprob": -50.0},
    }
    told = counted(lambda table, stat: Counter(sums[table])[stat])
    assert told == pytest.approx(
        {
            "ties": 0.3,
            "empty_groups": 0.5,
            "failed_judgements": 0.1,
            "truncated": 0.1,
            "order_flips": 0.3,
            "judge_accuracy": 0.75,
            "answer_length": 5.0,
            "ended": 0.95,
            "gold_score": 0.6,
            "kl_initial": 0.2,
        }
    )
    assert counted(lambda table, stat: 0.0) == {}

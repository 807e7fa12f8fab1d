"""The second half of Meta-Rewarding's golden round: its judge learns from its own judgements."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from loop.judge_pairs import battles, competing, judge_pairs
from loop.records import Judgement
from loop.verdicts import groups_of
from tests.loop.golden.core import CORE
from tests.loop.golden.formulas import dpo
from tests.loop.golden.kit import SUMS, answer, group_of, losses_of, recipe
from tests.loop.judged import judged, told

WORDS = {0.0: "h", 2.09: "c"}
"""In which words, a row of SUMS each, the two scores of answer f are given; all other answers are scored alike eleven
times."""

FIRST_WINS = {"ch": 0.9, "hc": 0.2}
"""What the meta-judge says, by the words in the order shown."""


def test_the_best_judgement_of_the_most_disputed_answer_is_chosen_over_the_worst() -> None:
    algorithm, golden = recipe("meta_rewarding"), CORE["meta_rewarding"]
    group = group_of(golden.group)

    def written(one: Judgement) -> Judgement:
        words = WORDS.get(one.value or 0.0, "a")
        return replace(one, asked_T=[3, 4], tokens_T=[ord(words)] * SUMS[words][3], raw=words)

    said = [written(one) for one in judged(algorithm.plan, group, lambda question: answer(golden, question))]
    made = competing(said, {one.response_id: one for one in group.responses_K}, "r0-s0", "{}")
    ids = {one.text: one.response_id for one in made}
    assert [(one.text, one.parent, one.k) for one in made] == [("h", "f", 0), ("c", "f", 1)]

    (of_judgements,) = groups_of(made)
    words = {id: word for word, id in ids.items()}
    compared = [told(q, FIRST_WINS["".join(words[one] for one in q.response_ids)]) for q in battles(of_judgements)]
    (pair,) = judge_pairs(algorithm.judge_pairs, of_judgements, compared, 1)

    # The first position wins 1.1 battles of 2: a win as first counts 0.45, one as second 0.55.
    c_over_h, h_over_c = 0.9 * 0.45 + 0.8 * 0.55, 0.1 * 0.55 + 0.2 * 0.45
    assert (pair.response_ids, pair.roles) == ([ids["c"], ids["h"]], ["chosen", "rejected"])
    assert (pair.strength, pair.weight, pair.stage, pair.gain, pair.labels) == (1.0, 1.0, 0, None, [])
    assert pair.margin == pytest.approx(math.log(c_over_h / h_over_c), abs=2e-5)
    (loss,) = losses_of(algorithm, of_judgements, words, [pair])
    assert loss == pytest.approx(dpo(0.1, 1 - 0.5), rel=1e-8, abs=1e-5)


def test_the_recipe_pairs_judgements_in_two_rounds() -> None:
    assert recipe("meta_rewarding").judge_pairs.rounds == 2

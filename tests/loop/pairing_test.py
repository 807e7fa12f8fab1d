from __future__ import annotations

from itertools import permutations

import pytest

from loop.config import AlgorithmConfig, Link, Pairing, PairingConfig, Plan
from loop.judging import Group, Verdict
from loop.pairing import best_worst, pair, ranked
from tests.loop.factories import group, response


def strengths(values: list[float | None]) -> Verdict:
    """Preferences against response 0, as the plan against a baseline gives them."""
    rows = tuple((s, *(None,) * (len(values) - 1)) for s in values)
    return Verdict(preferences_KK=rows)


def chosen_and_rejected(group: Group, scores: list[float | None], may_win: bool = False) -> list[tuple[str, str]]:
    ids = [r.response_id for r in group.responses_K]
    return [(ids[p.chosen], ids[p.rejected]) for p in best_worst(group, Verdict(scores_K=tuple(scores)), may_win)]


FOUR = [response(k) for k in range(4)]


def test_best_worst_takes_the_extremes_and_their_gap() -> None:
    (pair,) = best_worst(group(*FOUR), Verdict(scores_K=(0.2, 0.9, -1.0, 0.5)), False)
    assert (pair.chosen, pair.rejected, pair.strength) == (1, 2, 1.0)
    assert pair.margin == pytest.approx(1.9)


def test_equal_scores_give_no_pair() -> None:
    assert chosen_and_rejected(group(*FOUR), [0.3] * 4) == []
    cut = [response(0, finish="length"), response(1)]
    assert chosen_and_rejected(group(*cut), [0.3, 0.3]) == [], "a cut answer does not lose against an equal one"


def test_holes_take_no_part() -> None:
    assert chosen_and_rejected(group(*FOUR), [None, 0.1, 0.2, None]) == [("id2", "id1")]
    assert chosen_and_rejected(group(*FOUR), [None, 0.1, None, None]) == []


def test_permuting_the_candidates_permutes_the_result() -> None:
    scores = {"id0": 1.0, "id1": 0.0, "id2": 1.0, "id3": 0.0}
    results = {
        tuple(chosen_and_rejected(group(*order), [scores[r.response_id] for r in order]))
        for order in permutations(FOUR)
    }
    assert results == {(("id0", "id1"),)}


def test_a_truncated_answer_may_lose_but_not_win() -> None:
    cut = [response(0, finish="length"), response(1), response(2)]
    assert chosen_and_rejected(group(*cut), [1.0, 0.5, 0.0]) == [("id1", "id2")]
    assert chosen_and_rejected(group(*cut), [0.0, 0.5, 1.0]) == [("id2", "id0")]
    assert chosen_and_rejected(group(*cut), [1.0, 0.0, 0.0]) == [], "the others are no better than the worst"
    assert chosen_and_rejected(group(*cut), [1.0, 0.5, 0.0], may_win=True) == [("id0", "id2")]


def test_the_same_tokens_are_no_pair() -> None:
    twins = group(response(0, "same"), response(1, "same"))
    assert chosen_and_rejected(twins, [1.0, 0.0]) == []


# s = [0.80, 0.30, 0.60, 0.50] gives the order [0, 2, 3, 1]; strengths worked out by hand from the two links.
CARD = [0.80, 0.30, 0.60, 0.50]
ORDER = [(0, 2), (0, 3), (0, 1), (2, 3), (2, 1), (3, 1)]


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (Link.logit, [0.727273, 0.8, 0.903226, 0.6, 0.777778, 0.7]),
        (Link.linear, [0.6, 0.65, 0.75, 0.55, 0.65, 0.6]),
    ],
)
def test_ranked_pairs_have_the_strengths_of_the_card(link: Link, expected: list[float]) -> None:
    pairs = ranked(group(*FOUR), strengths(CARD), link, 0.5, False)
    assert [(p.chosen, p.rejected) for p in pairs] == ORDER
    assert [p.strength for p in pairs] == pytest.approx(expected, abs=1e-6)


def test_ranked_drops_ties_weak_pairs_holes_and_truncated_winners() -> None:
    assert ranked(group(*FOUR), strengths([0.5] * 4), Link.logit, 0.5, False) == []
    tied = ranked(group(*FOUR), strengths([0.5, 0.7, 0.7, None]), Link.logit, 0.5, False)
    assert [(p.chosen, p.rejected) for p in tied] == [(1, 0), (2, 0)]
    strong = ranked(group(*FOUR), strengths(CARD), Link.linear, 0.65, False)
    assert [(p.chosen, p.rejected) for p in strong] == [(0, 1)]
    cut = [response(0, finish="length"), *FOUR[1:]]
    assert all(p.chosen != 0 for p in ranked(group(*cut), strengths(CARD), Link.logit, 0.5, False))


def test_ranked_survives_certain_strengths() -> None:
    pairs = ranked(group(*FOUR[:2]), strengths([0.0, 1.0]), Link.logit, 0.5, False)
    assert [(p.chosen, p.rejected) for p in pairs] == [(1, 0)]
    assert 0.5 < pairs[0].strength < 1.0


def test_examples_carry_ids_not_positions() -> None:
    recipe = AlgorithmConfig(name="r", plan=Plan.pointwise, pairing=PairingConfig(name=Pairing.best_worst))
    (example,) = pair(recipe, group(*FOUR), Verdict(scores_K=(0.0, 0.5, 1.0, 0.5)), round=3)
    assert (example.chosen_id, example.rejected_id, example.round, example.prompt_id) == ("id2", "id0", 3, "p")

from __future__ import annotations

import pytest

from loop.config import Plan
from loop.judging import Verdict, groups_of, is_tied, questions, questions_per_group, verdict
from tests.loop.factories import group, judgement, response

GROUP = group(*(response(k) for k in range(4)))


@pytest.mark.parametrize("plan", list(Plan))
def test_a_plan_asks_as_many_questions_as_it_announces(plan: Plan) -> None:
    assert len(questions(plan, GROUP)) == questions_per_group(plan, 4)


def test_against_baseline_shows_both_orders_and_never_the_baseline_to_itself() -> None:
    shown = [tuple(q.response_ids) for q in questions(Plan.against_baseline, GROUP)]
    assert set(shown) == {
        ("id1", "id0"),
        ("id0", "id1"),
        ("id2", "id0"),
        ("id0", "id2"),
        ("id3", "id0"),
        ("id0", "id3"),
    }


def test_a_failed_judgement_is_a_hole_and_repeats_are_averaged() -> None:
    judged = [judgement(["id0"], 1.0), judgement(["id0"], 0.0, sample=1), judgement(["id1"], None, "failed")]
    assert verdict(Plan.pointwise, GROUP, judged).scores_K == (0.5, None, None, None)


def test_a_preference_is_free_of_the_order_shown() -> None:
    # q(1, 0) = 0.9 and q(0, 1) = 0.4 give (0.9 + 0.6) / 2, as on the method's card
    judged = [judgement(["id1", "id0"], 0.9), judgement(["id0", "id1"], 0.4), judgement(["id2", "id0"], 0.7)]
    table = verdict(Plan.against_baseline, GROUP, judged).preferences_KK
    assert table is not None
    assert table[1][0] == pytest.approx(0.75)
    assert table[0][1] == pytest.approx(0.25)
    assert table[0][0] == 0.5
    assert table[2][0] is None, "one order alone says nothing"


def test_a_tie_is_when_all_that_is_known_says_the_same() -> None:
    assert is_tied(Verdict(scores_K=(0.5, None, 0.5)))
    assert not is_tied(Verdict(scores_K=(0.5, None, 0.4)))
    assert not is_tied(Verdict(scores_K=(None, None))), "nothing known is no tie"
    assert is_tied(Verdict(preferences_KK=((0.5, None), (0.5, 0.5))))
    assert not is_tied(Verdict(preferences_KK=((0.5, None), (0.7, 0.5))))


def test_responses_are_grouped_by_prompt_in_the_order_of_k() -> None:
    rows = [response(1, prompt_id="a"), response(0, prompt_id="b"), response(0, prompt_id="a")]
    assert [(g.prompt_id, [r.k for r in g.responses_K]) for g in groups_of(rows)] == [("a", [0, 1]), ("b", [0])]

from __future__ import annotations

import pytest

from loop.config import Plan, PlanConfig
from loop.pairing import named_rule, pair
from loop.verdict import Group, Verdict
from loop.verdicts import rows_of, verdict, verdict_of
from tests.loop.factories import response
from tests.loop.judged import judged, noisy

THREE = Group("p", tuple(response(k, id=f"id{k}") for k in (2, 0, 1)))


@pytest.mark.parametrize("plan", [plan for plan in Plan])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("repeats", [1, 3])
def test_a_verdict_survives_its_rows_exactly_holes_included(plan: Plan, repeats: int, seed: int) -> None:
    config = PlanConfig(plan, repeats=repeats)
    said = verdict(config, THREE, judged(config, THREE, noisy(seed, failing=0.3)))
    rows = rows_of(said, THREE, round=4)
    assert verdict_of(config, reversed(rows), THREE) == said
    assert [row.round for row in rows] == [4] * (0 if plan is Plan.none else 3), "three scores, three pairs, or nothing"


def test_win_rates_serve_where_a_rule_reads_scores() -> None:
    table = ((0.5, 0.9, 0.8), (0.1, 0.5, 0.6), (0.2, 0.4, 0.5))
    rule, options = named_rule("best_worst")
    (example,) = pair(rule, options, THREE, Verdict(preferences_KK=table), 1, True)
    assert example.by_role("chosen") == [THREE.responses_K[0].response_id]
    assert example.by_role("rejected") == [THREE.responses_K[2].response_id]
    assert example.margin == pytest.approx((0.5 + 0.9 + 0.8) / 3 - (0.2 + 0.4 + 0.5) / 3)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from loop.ledger import Ledger
from loop.records import VerdictRow
from loop.report.scores import (
    BINS,
    read_rewards,
    read_scores,
    read_sureness,
    reward_plot,
    scores_plot,
    sureness_plot,
)
from loop.report.tables import Tables, tables
from tests.loop.factories import response
from tests.loop.report.made import RUN, scored
from tests.loop.run_folders import Rows, begun


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    return Rows(begun(tmp_path / "run"))


@pytest.fixture
def read(rows: Rows) -> Iterator[Tables]:
    with tables(Ledger(rows.ledger.root)) as found:
        yield found


def verdict(number: int, value: float | None, response_id: str = "a", against: str | None = None) -> VerdictRow:
    return VerdictRow(number, "p", response_id, against, value)


def test_scores_are_counted_in_bins_without_holes_and_vetoes(rows: Rows) -> None:
    values = [0.0, 0.0, 12.0, 24.0, None, float("-inf")]
    rows.add("verdicts", 1, [verdict(1, value, str(at)) for at, value in enumerate(values)])
    rows.add("verdicts", 2, [verdict(2, 3.5)])
    with tables(rows.ledger) as read:
        found = read_scores(read, [1, 2])
    assert found is not None
    assert (found.low, found.high) == (0.0, 24.0)  # 24 bins, each 1 wide
    assert found.counts == {1: {0: 2, 12: 1, BINS - 1: 1}, 2: {3: 1}}
    plot = scores_plot(found)
    assert [(row.label, sum(row.counts_B), row.counts_B[12]) for row in plot.rows] == [("1", 4, 1), ("2", 1, 0)]


def test_a_judge_that_only_compares_has_no_scores_but_is_sure(rows: Rows) -> None:
    rows.add("verdicts", 1, [verdict(1, value, against="b") for value in (0.5, 0.1, 0.9, 1.0, None)])
    with tables(rows.ledger) as read:
        assert read_scores(read, [1]) is None
        found = read_sureness(read, [1])
    assert found is not None
    # max(p, 1 - p) is 0.5, 0.9, 0.9, 1.0; bins are 1/48 wide from one half on: 0.4 * 48 = 19.2
    assert found.counts == {1: {0: 1, 19: 2, BINS - 1: 1}}
    assert sum(sureness_plot(found).rows[0].counts_B) == 4


def test_a_judge_that_said_nothing_has_neither(read: Tables) -> None:
    assert read_scores(read, [1]) is None
    assert read_sureness(read, [1]) is None
    assert read_rewards(read, [1]) == {}


def test_rewards_belong_to_the_policy_that_sampled(rows: Rows) -> None:
    def sampled(number: int, id: str, policy: str, purpose: str = "train") -> object:
        return replace(response(0, id=id), round=number, policy=policy, purpose=purpose)

    rows.add("responses", 1, [sampled(1, "a", "r0-s0"), sampled(1, "b", "r0-s0"), sampled(1, "c", "r9-s9", "explored")])
    rows.add("responses", 2, [sampled(2, "d", "r1-s20")])
    rows.add("verdicts", 1, [verdict(1, value, id) for id, value in (("a", 1.0), ("b", 2.0), ("c", 9.0))])
    rows.add("verdicts", 2, [verdict(2, 4.0, "d")])
    with tables(rows.ledger) as read:
        assert read_rewards(read, [1, 2]) == {"r0-s0": 1.5, "r1-s20": 4.0}


def test_reward_stands_against_the_gold_score_of_the_same_policy() -> None:
    run = replace(RUN, rounds=[scored(1, 110), scored(2, 128)])
    plot = reward_plot(run, {"r0-s0": 1.5, "r1-s20": 4.0, "r7-s7": 3.0})
    assert plot is not None
    assert [(point.x, point.y, point.label) for point in plot.series[0].points] == [(1.5, 0.4, "0"), (4.0, 0.55, "1")]
    assert reward_plot(run, {"r0-s0": 1.5}) is None


def test_only_some_rounds_are_read_of_many(rows: Rows) -> None:
    for number in range(1, 21):
        rows.add("verdicts", number, [verdict(number, 1.0 * number)])
    with tables(rows.ledger) as read:
        found = read_scores(read, list(range(1, 21)))
    assert found is not None
    assert list(found.counts) == [1, 5, 9, 12, 16, 20]

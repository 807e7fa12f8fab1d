"""Learning-rate schedules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.config import Schedule, Span
from loop.schedule import learning_rate, progress


def test_a_round_is_a_schedule_of_its_own_or_a_part_of_one() -> None:
    assert [progress(Span.per_round, 2, 3, step, 4) for step in range(4)] == [0.125, 0.375, 0.625, 0.875]
    whole = [progress(Span.whole_run, round, 3, step, 4) for round in (1, 2, 3) for step in range(4)]
    assert whole == pytest.approx([(i + 0.5) / 12 for i in range(12)])


def test_rounds_beyond_the_planned_ones_stay_at_the_end() -> None:
    assert progress(Span.whole_run, 5, 3, 0, 4) == 1.0


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule.constant, [0.5, 1.0, 1.0, 1.0]),
        (Schedule.linear, [0.5, 1.0, 0.5, 0.0]),
        (Schedule.cosine, [0.5, 1.0, 0.5, 0.0]),
    ],
)
def test_warm_up_then_decay(schedule: Schedule, expected: list[float]) -> None:
    assert [learning_rate(2.0, p, 0.2, schedule) / 2 for p in (0.1, 0.2, 0.6, 1.0)] == pytest.approx(expected)


def test_cosine_leaves_the_peak_slowly() -> None:
    assert learning_rate(1.0, 0.25, 0.0, Schedule.cosine) == pytest.approx(0.853553, abs=1e-6)


@given(
    st.sampled_from(Span),
    st.sampled_from(Schedule),
    st.integers(1, 50),
    st.integers(1, 300),
    st.floats(0, 1),
    st.data(),
)
def test_every_step_has_a_positive_rate_up_to_the_peak(
    span: Span, schedule: Schedule, rounds: int, steps: int, warmup: float, data: st.DataObject
) -> None:
    step = data.draw(st.integers(0, steps - 1))
    round = data.draw(st.integers(1, rounds))
    assert 0 < learning_rate(3e-7, progress(span, round, rounds, step, steps), warmup, schedule) <= 3e-7

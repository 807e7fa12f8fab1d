"""Which checkpoints stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.retention import kept


@pytest.mark.parametrize(
    ("newest", "best", "incumbent", "referenced", "expected"),
    [
        (2, None, None, (), {4, 7}),
        (1, 2, None, (), {2, 7}),
        (1, None, 1, (), {1, 7}),
        (1, 2, 1, (4,), {1, 2, 4, 7}),
        (0, None, None, (), {1, 2, 4, 7}),
        (9, None, None, (), {1, 2, 4, 7}),
        (1, 3, 5, (6,), {7}),  # nothing there to keep
    ],
)
def test_the_newest_the_best_the_incumbent_and_the_referenced_stay(
    newest: int, best: int | None, incumbent: int | None, referenced: tuple[int, ...], expected: set[int]
) -> None:
    assert kept([7, 1, 4, 2], newest, best, incumbent, referenced) == expected


@given(st.lists(st.integers(0, 20)), st.integers(0, 5), st.none() | st.integers(0, 20), st.none() | st.integers(0, 20))
def test_the_last_one_always_stays_and_nothing_is_invented(
    rounds: list[int], newest: int, best: int | None, incumbent: int | None
) -> None:
    stay = kept(rounds, newest, best, incumbent)
    assert stay <= set(rounds)
    assert not rounds or max(rounds) in stay
    assert {best, incumbent} & set(rounds) <= stay

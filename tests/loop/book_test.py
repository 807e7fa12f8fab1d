"""Examples as rows for people."""

from __future__ import annotations

from loop.shown_examples import rows_of
from tests.loop.factories import list_example, pair_example, single_example

TEXTS = {"a": "four", "b": "five"}


def test_a_pair_is_one_row_and_any_other_example_one_for_each_response() -> None:
    assert rows_of(pair_example("x", "b", "a", 0.75, 1.5), TEXTS) == [
        {"chosen": "five", "rejected": "four", "strength": 0.75, "margin": 1.5}
    ]
    assert rows_of(list_example("l", ["a", "b"], [1.0, 0.0]), TEXTS) == [
        {"role": "item", "response": "four", "label": 1.0},
        {"role": "item", "response": "five", "label": 0.0},
    ]
    assert rows_of(single_example("s", "b", 1.0), TEXTS) == [{"role": "response", "response": "five", "label": 1.0}]

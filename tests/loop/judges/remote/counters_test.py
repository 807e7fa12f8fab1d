from __future__ import annotations

import pytest

from loop.judges.remote.counters import Counters
from loop.judges.remote.exchange import Completion, Failure


def test_tokens_dollars_and_failures_by_kind_are_summed() -> None:
    counters = Counters()
    for _ in range(2):
        counters.completed(Completion("x", "stop", None, 1000, 100), 2.0, 10.0)
    for failure in (Failure("timeout", "why"), Failure("timeout", "why"), Failure("refused", "why")):
        counters.failed(failure)
    told = counters.told()
    assert (told["prompt_tokens"], told["completion_tokens"]) == (2000, 200)
    assert told["dollars"] == pytest.approx(0.006)
    assert (told["failures"], told["failures_timeout"], told["failures_refused"]) == (3, 2, 1)
    assert all(isinstance(value, int | float) for value in told.values())

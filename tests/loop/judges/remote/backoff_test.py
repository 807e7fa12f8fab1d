from __future__ import annotations

import math
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.errors import Refused
from loop.judges.remote.backoff import AGAIN, BASE_S, CAP_S, NONSENSE, delay_s, may_try_again, of_status, retry_after_s
from loop.judges.remote.exchange import Kind

NOW = 1_700_000_000.0


def test_waits_double_up_to_a_cap_and_are_spread_from_zero() -> None:
    assert [delay_s(n, 0.5, None) for n in (1, 2, 3)] == [0.5 * BASE_S, BASE_S, 2 * BASE_S]
    assert delay_s(50, 0.999, None) == pytest.approx(0.999 * CAP_S)
    assert delay_s(4, 0.0, None) == 0.0


def test_a_wait_that_the_server_asks_for_is_kept() -> None:
    assert delay_s(1, 0.0, 7.0) == 7.0
    assert 7.0 < delay_s(1, 0.5, 7.0) <= 7.0 + BASE_S
    assert delay_s(1, 0.5, 3600.0) == CAP_S


@given(st.integers(1, 10_000), st.floats(0, 0.999), st.none() | st.floats(0, 1e300))
def test_no_wait_is_negative_or_above_the_cap(attempt: int, chance: float, after: float | None) -> None:
    assert 0.0 <= delay_s(attempt, chance, after) <= CAP_S


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        (formatdate(NOW + 30, usegmt=True), 30.0),
        (formatdate(NOW - 30, usegmt=True), 0.0),
        ("-4", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("Mon, 99 Foo 2023 00:00:00 GMT", None),
        (None, None),
    ],
)
def test_a_retry_after_header_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds


@given(st.text())
def test_no_retry_after_header_raises(header: str) -> None:
    seconds = retry_after_s(header, NOW)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *[(status, "server_error") for status in (408, 409, 425, 500, 502, 503, 599)],
        *[(status, "refused") for status in (400, 413, 418, 422)],
        (429, "rate_limited"),
    ],
)
def test_statuses_are_failures_of_one_request(status: int, kind: Kind) -> None:
    failure = of_status(status, "host:1", "m", "KEY")
    assert failure.kind == kind
    assert "host" not in failure.why, "where the server is belongs in no table"


@pytest.mark.parametrize("status", [301, 307, 401, 402, 403, 404, 405])
def test_a_status_that_every_request_would_meet_ends_the_batch(status: int) -> None:
    with pytest.raises(Refused, match=rf"host:1 answers {status}"):
        of_status(status, "host:1", "m", "KEY")


def test_nonsense_is_asked_for_once_more_and_a_refusal_never() -> None:
    for kind in AGAIN:
        assert [may_try_again(kind, n, 3, 0) for n in (1, 2, 3)] == [True, True, False]
    for kind in NONSENSE:
        assert may_try_again(kind, 1, 6, 1)
        assert not may_try_again(kind, 2, 6, 2)
        assert not may_try_again(kind, 1, 1, 1)
    assert not may_try_again("refused", 1, 6, 0)

from __future__ import annotations

import pytest

from loop.judges.remote.breaker import Breaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(3, 30.0, clock)
    for _ in range(3):
        assert breaker.passes()
        breaker.request_failed()
    return breaker


def test_failures_in_a_row_open_it(clock: Clock) -> None:
    breaker = opened(clock)
    assert breaker.open
    assert not breaker.passes()


def test_an_answer_between_failures_keeps_it_closed(clock: Clock) -> None:
    breaker = Breaker(3, 30.0, clock)
    for _ in range(10):
        breaker.request_failed()
        breaker.request_failed()
        breaker.answered()
    assert breaker.passes()


def test_failed_attempts_of_requests_that_may_still_succeed_do_not_open_it(clock: Clock) -> None:
    breaker = Breaker(3, 30.0, clock)
    for _ in range(10):
        breaker.attempt_failed()
    assert breaker.passes()


def test_after_the_pause_one_attempt_tries(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += 29.9
    assert not breaker.passes()
    clock.now += 0.1
    assert [breaker.passes() for _ in range(3)] == [True, False, False]


def test_an_attempt_that_succeeds_closes_it(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += 30
    assert breaker.passes()
    breaker.answered()
    assert [breaker.passes() for _ in range(3)] == [True, True, True]
    breaker.request_failed()
    assert breaker.passes(), "the row began anew"


def test_an_attempt_that_fails_begins_another_pause(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += 30
    assert breaker.passes()
    clock.now += 20
    breaker.attempt_failed()
    clock.now += 29
    assert not breaker.passes()
    clock.now += 1
    assert breaker.passes()


def test_an_attempt_that_is_never_heard_of_again_does_not_keep_it_open(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += 30
    assert breaker.passes()
    clock.now += 30
    assert breaker.passes()

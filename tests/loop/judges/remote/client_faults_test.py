from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop.errors import InfrastructureFailed, Refused
from loop.judges.remote.exchange import Failure
from tests.loop.judges.remote.clients import FakeTime, client, proxied, requests, texts
from tests.loop.judges.remote.stub_server import StubServer


@pytest.mark.parametrize("fault", ["429", "500", "503", "408", "cut", "half", "invalid_json", "wrong_shape"])
def test_a_passing_fault_is_tried_again(stub: StubServer, tmp_path: Path, fake: FakeTime, fault: str) -> None:
    with proxied(stub, [fault]) as proxy:
        one = client(proxy.url, tmp_path, fake)
        assert texts(one.complete(requests(1))) == ["question 0"]
    assert one.counters.attempts == 2
    assert one.counters.told()["retries"] == 1
    assert one.counters.told()["failures"] == 0
    assert fake.waits == [0.5]


def test_a_slow_server_is_cut_off_and_tried_again(stub: StubServer, tmp_path: Path, fake: FakeTime) -> None:
    with proxied(stub, ["slow"]) as proxy:
        one = client(proxy.url, tmp_path, fake, timeout_s=0.5, attempts=20)
        assert texts(one.complete(requests(1))) == ["question 0"]
    assert one.counters.retries >= 1


@pytest.mark.parametrize(
    ("fault", "kind", "attempts"),
    [
        ("429", "rate_limited", 4),
        ("500", "server_error", 4),
        ("invalid_json", "invalid_json", 2),
        ("empty_choices", "no_choices", 2),
        ("no_logprobs", "no_logprobs", 2),
        ("no_numbers", "no_logprobs", 2),
        ("wrong_shape", "wrong_shape", 2),
        ("400", "refused", 1),
        ("413", "refused", 1),
        ("422", "refused", 1),
    ],
)
def test_a_lasting_fault_fails_after_as_many_attempts_as_it_deserves(
    stub: StubServer, tmp_path: Path, fake: FakeTime, fault: str, kind: str, attempts: int
) -> None:
    with proxied(stub, cycle([fault])) as proxy:
        one = client(proxy.url, tmp_path, fake)
        assert texts(one.complete(requests(3, logprobs=True))) == [kind] * 3
        assert len(proxy.bodies) == 3 * attempts
    told = one.counters.told()
    assert (told["failures"], told[f"failures_{kind}"], told["attempts"]) == (3, 3, 3 * attempts)
    assert not [f for f in tmp_path.rglob("*") if f.is_file()], "failures are not remembered"


@pytest.mark.parametrize("fault", ["429", "500", "400", "invalid_json", "empty_choices", "no_logprobs", "slow", "cut"])
def test_no_failure_says_where_the_server_is(stub: StubServer, tmp_path: Path, fake: FakeTime, fault: str) -> None:
    settings = {"concurrency": 1, "attempts": 1, "breaker_failures": 2, "timeout_s": 0.2}
    with proxied(stub, ["empty_choices", *[fault] * 3]) as proxy:
        outcomes = client(proxy.url, tmp_path, fake, **settings).complete(requests(3, logprobs=True))
    failures = [one for one in outcomes if isinstance(one, Failure)]
    assert len(failures) == 3
    for failure in failures:
        assert "127.0.0.1" not in failure.why and proxy.url.split(":")[2].split("/")[0] not in failure.why


def test_one_refused_request_fails_alone(stub: StubServer, tmp_path: Path, fake: FakeTime) -> None:
    with proxied(stub, ["ok", "400", "ok"]) as proxy:
        outcomes = client(proxy.url, tmp_path, fake, concurrency=1).complete(requests(3))
    assert texts(outcomes) == ["question 0", "refused", "question 2"]


def test_a_wait_that_the_server_asks_for_is_kept(stub: StubServer, tmp_path: Path, fake: FakeTime) -> None:
    with proxied(stub, ["429:7", "503:2", "429:100000"]) as proxy:
        assert texts(client(proxy.url, tmp_path, fake).complete(requests(1))) == ["question 0"]
    assert fake.waits == [7.5, 2.5, 60.0]


@pytest.mark.parametrize("status", ["401", "403", "404", "302"])
def test_a_status_that_every_request_would_meet_ends_the_batch(
    stub: StubServer, tmp_path: Path, fake: FakeTime, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_JUDGE_KEY", "sk-secret")
    with proxied(stub, cycle([status])) as proxy:
        one = client(proxy.url, tmp_path, fake)
        with pytest.raises(Refused, match=rf"127\.0\.0\.1:\d+ answers {status}") as refused:
            one.complete(requests(50))
        assert len(proxy.bodies) <= 4
    assert "sk-secret" not in str(refused.value)


@pytest.mark.parametrize("fault", ["cut", "half"])
def test_a_server_that_is_not_there_ends_the_batch_without_a_result(
    stub: StubServer, tmp_path: Path, fake: FakeTime, fault: str
) -> None:
    with proxied(stub, cycle([fault])) as proxy:
        one = client(proxy.url, tmp_path, fake)
        with pytest.raises(InfrastructureFailed, match=r"127\.0\.0\.1:\d+ does not answer \(3 requests in a row\)"):
            one.complete(requests(3))
    assert one.counters.attempts == 3 * 4
    with pytest.raises(InfrastructureFailed, match="4 requests in a row"):
        one.complete(requests(1))


@pytest.mark.parametrize(
    ("fault", "kind"), [("500", "server_error"), ("invalid_json", "invalid_json"), ("400", "refused")]
)
def test_what_is_cut_once_the_server_was_heard_of_fails_alone(
    stub: StubServer, tmp_path: Path, fake: FakeTime, fault: str, kind: str
) -> None:
    with proxied(stub, [fault, "cut", "cut"]) as proxy:
        outcomes = client(proxy.url, tmp_path, fake, concurrency=1, attempts=1).complete(requests(3))
    assert texts(outcomes) == [kind, "cut", "cut"]


def test_a_server_that_goes_away_between_two_batches_is_missed(
    stub: StubServer, tmp_path: Path, fake: FakeTime
) -> None:
    with proxied(stub, ["ok", "cut"]) as proxy:
        one = client(proxy.url, tmp_path, fake, attempts=1)
        assert texts(one.complete(requests(1))) == ["question 0"]
        with pytest.raises(InfrastructureFailed, match="does not answer"):
            one.complete(requests(2))


def test_a_server_that_goes_away_in_the_middle_ends_the_batch_and_keeps_what_it_answered(
    stub: StubServer, tmp_path: Path, fake: FakeTime
) -> None:
    settings = {"concurrency": 1, "attempts": 2, "breaker_failures": 3}
    with proxied(stub, ["ok", "ok", *["cut"] * 6]) as proxy:
        one = client(proxy.url, tmp_path, fake, **settings)
        with pytest.raises(InfrastructureFailed, match="3 requests in a row"):
            one.complete(requests(10))
        with pytest.raises(InfrastructureFailed, match="3 requests in a row"):
            one.complete(requests(10))
        assert len(proxy.bodies) == 8, "while it is left alone nothing is sent"
        fake.now += 30
        assert texts(one.complete(requests(10))) == [f"question {i}" for i in range(10)]
        assert len(proxy.bodies) == 8 + 8, "the first two are remembered"


def test_a_server_that_is_slow_with_everything_is_not_there(stub: StubServer, tmp_path: Path, fake: FakeTime) -> None:
    settings = {"timeout_s": 0.05, "attempts": 1, "breaker_failures": 4}
    with proxied(stub, cycle(["slow"])) as proxy:
        assert texts(client(proxy.url, tmp_path, fake, **settings).complete(requests(3))) == ["timeout"] * 3
        with pytest.raises(InfrastructureFailed, match="does not answer"):
            client(proxy.url, tmp_path, fake, **settings).complete(requests(4))


def test_a_server_that_keeps_failing_is_left_alone_until_it_is_back(
    stub: StubServer, tmp_path: Path, fake: FakeTime
) -> None:
    with proxied(stub, ["500"] * 6) as proxy:
        one = client(proxy.url, tmp_path, fake, concurrency=1, attempts=2, breaker_failures=3, breaker_pause_s=30.0)
        first = texts(one.complete(requests(10)))
        assert first == ["server_error"] * 3 + ["left_alone"] * 7
        assert len(proxy.bodies) == 6
        assert texts(one.complete(requests(1))) == ["left_alone"]
        fake.now += 30
        assert texts(one.complete(requests(3))) == ["question 0", "question 1", "question 2"]


def test_a_try_that_fails_lets_the_others_fail_at_once(stub: StubServer, tmp_path: Path, fake: FakeTime) -> None:
    with proxied(stub, cycle(["500"])) as proxy:
        one = client(proxy.url, tmp_path, fake, concurrency=1, attempts=2, breaker_failures=1, breaker_pause_s=30.0)
        one.complete(requests(1))
        asked, waited = len(proxy.bodies), len(fake.waits)
        fake.now += 30
        assert texts(one.complete(requests(5))) == ["left_alone"] * 5
        assert len(proxy.bodies) == asked + 1
        assert len(fake.waits) == waited


def test_a_try_that_fails_late_begins_another_pause(tmp_path: Path, fake: FakeTime) -> None:
    def say(body: dict[str, Any]) -> int:
        fake.now += 20
        return 500

    with StubServer(say) as server:
        one = client(server.url, tmp_path, fake, concurrency=1, attempts=2, breaker_failures=1, breaker_pause_s=30.0)
        for pause in (0, 30, 29):
            fake.now += pause
            one.complete(requests(1))
        assert len(server.bodies) == 3, "two attempts, and one that tried"


def test_a_server_that_refuses_or_is_busy_is_there(stub: StubServer, tmp_path: Path, fake: FakeTime) -> None:
    with proxied(stub, cycle(["500", "400", "500", "429"])) as proxy:
        one = client(proxy.url, tmp_path, fake, concurrency=1, attempts=1, breaker_failures=2)
        kinds = ["server_error", "refused", "server_error", "rate_limited"]
        assert texts(one.complete(requests(8))) == kinds * 2


def test_a_busy_server_is_not_left_alone(stub: StubServer, tmp_path: Path, fake: FakeTime) -> None:
    with proxied(stub, ["429"] * 16) as proxy:
        one = client(proxy.url, tmp_path, fake, concurrency=1, breaker_failures=1)
        assert texts(one.complete(requests(5))) == ["rate_limited"] * 4 + ["question 4"]


@contextmanager
def endless() -> Iterator[StubServer]:
    with StubServer(lambda body: "x" * (9 << 20)) as server:
        yield server


def test_an_endless_answer_is_nonsense(tmp_path: Path, fake: FakeTime) -> None:
    with endless() as server:
        assert texts(client(server.url, tmp_path, fake).complete(requests(1))) == ["wrong_shape"]


FAULTS = [
    "ok",
    "429",
    "429:3",
    "500",
    "cut",
    "half",
    "invalid_json",
    "empty_choices",
    "no_logprobs",
    "400",
    "wrong_shape",
]


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(FAULTS), max_size=40),
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 6),
)
def test_whatever_the_faults_every_request_has_its_result(
    faults: list[str], count: int, concurrency: int, attempts: int, breaker: int
) -> None:
    fake = FakeTime()
    with StubServer() as stub, proxied(stub, faults) as proxy, TemporaryDirectory() as cache:
        one = client(proxy.url, Path(cache), fake, concurrency=concurrency, attempts=attempts, breaker_failures=breaker)
        try:
            outcomes = one.complete(requests(count, logprobs=True))
        except InfrastructureFailed:
            assert {"cut", "half"} & {*faults}
            return
        assert len(outcomes) == count
        for number, outcome in enumerate(outcomes):
            assert isinstance(outcome, Failure) or outcome.text == f"question {number}"
        for number in range(count):
            sent = sum(body["messages"][0]["content"] == f"question {number}" for body in proxy.bodies)
            assert sent <= attempts
        told = one.counters.told()
        assert told["attempts"] == len(proxy.bodies)
        assert told["failures"] == sum(isinstance(o, Failure) for o in outcomes)
        assert proxy.most_in_flight <= concurrency
        assert all(0 <= wait <= 60 for wait in fake.waits)

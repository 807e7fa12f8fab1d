"""The longest reply has two names: what a server that refuses one of them is asked with."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from loop.judges.remote.exchange import Request, refuses_limit
from tests.loop.judges.remote.clients import FakeTime, client, requests, texts
from tests.loop.judges.remote.faults import FaultyProxy, write
from tests.loop.judges.remote.stub_server import StubServer

REFUSAL = {"message": "Use 'max_completion_tokens'.", "param": "max_tokens", "code": "unsupported_parameter"}


class Particular(StubServer):
    """Refuses an option by its name, and says so."""

    def __init__(self, refused: str, error: Any, status: int = 400) -> None:
        super().__init__()
        self.refused, self.error, self.status = refused, error, status

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if self.refused in json.loads(body):
            return write(handler, self.status, json.dumps({"error": self.error}).encode())
        return super().answer(handler, body)


def limits(server: StubServer) -> list[tuple[int | None, int | None]]:
    return [(body.get("max_tokens"), body.get("max_completion_tokens")) for body in server.bodies]


def test_a_server_that_refuses_the_old_name_is_asked_again_with_the_new_one(tmp_path: Path, fake: FakeTime) -> None:
    with Particular("max_tokens", REFUSAL) as server:
        one = client(server.url, tmp_path, fake, concurrency=1, attempts=1, breaker_failures=1)
        assert texts(one.complete(requests(3, max_tokens=7))) == [f"question {i}" for i in range(3)]
        assert limits(server) == [(7, None), *[(None, 7)] * 3]
        told = one.counters.told()
        assert (told["attempts"], told["retries"], told["failures"]) == (4, 1, 0)
        assert fake.waits == []
        again = client(server.url, tmp_path, fake)
        assert texts(again.complete(requests(3, max_tokens=7))) == [f"question {i}" for i in range(3)]
        assert len(server.bodies) == 4, "the name is no part of what was asked"


def test_requests_in_flight_together_all_find_the_new_name(tmp_path: Path, fake: FakeTime) -> None:
    with Particular("max_tokens", REFUSAL) as server:
        one = client(server.url, tmp_path, fake, concurrency=8)
        assert texts(one.complete(requests(40, max_tokens=7))) == [f"question {i}" for i in range(40)]
        assert 41 <= len(server.bodies) <= 48


def test_a_server_that_knows_the_old_name_only_never_hears_the_new_one(tmp_path: Path, fake: FakeTime) -> None:
    with Particular("max_completion_tokens", {}, 422) as server:
        assert texts(client(server.url, tmp_path, fake).complete(requests(2, max_tokens=7))) == [
            "question 0",
            "question 1",
        ]
        assert limits(server) == [(7, None)] * 2


def test_a_server_that_wants_neither_name_fails_the_request(tmp_path: Path, fake: FakeTime) -> None:
    class Neither(Particular):
        def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
            write(handler, self.status, json.dumps({"error": self.error}).encode())

    with Neither("", REFUSAL) as server:
        assert texts(client(server.url, tmp_path, fake).complete(requests(1, max_tokens=7))) == ["refused"]
        assert len(server.bodies) == 2


def test_a_server_that_is_tried_after_a_pause_may_want_the_new_name(tmp_path: Path, fake: FakeTime) -> None:
    with Particular("max_tokens", REFUSAL) as server, FaultyProxy(server.url, iter(["500"])) as proxy:
        settings = {"concurrency": 1, "attempts": 1, "breaker_failures": 1, "breaker_pause_s": 30.0}
        one = client(proxy.url, tmp_path, fake, **settings)
        assert texts(one.complete(requests(1, max_tokens=7))) == ["server_error"]
        fake.now += 30
        assert texts(one.complete(requests(1, max_tokens=7))) == ["question 0"]


def test_the_attempts_at_a_question_are_as_many_as_without_the_refusal(tmp_path: Path, fake: FakeTime) -> None:
    with Particular("max_tokens", REFUSAL) as server, FaultyProxy(server.url, cycle(["ok", "500"])) as proxy:
        assert texts(client(proxy.url, tmp_path, fake, attempts=2).complete(requests(1, max_tokens=7))) == [
            "question 0"
        ]
        assert fake.waits == [0.5], "the wait of a first attempt"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"max_completion_tokens",
        b"[" * 100_000,
        b"[]",
        b'{"error": "Use max_completion_tokens"}',
        b'{"error": {"message": "\\"param\\": \\"max_tokens\\", \\"code\\": \\"unsupported_parameter\\""}}',
        b'{"error": {"param": "temperature", "code": "unsupported_parameter"}}',
        b'{"error": {"param": "max_tokens", "code": "too_large"}}',
        b'{"error": {"param": "max_tokens"}}',
    ],
)
def test_nothing_but_the_servers_own_fields_counts(body: bytes) -> None:
    assert not refuses_limit(body)
    assert refuses_limit(json.dumps({"error": REFUSAL}).encode())


def test_only_the_option_is_renamed() -> None:
    request = Request([{"role": "user", "content": "max_tokens"}], {"max_tokens": 3, "seed": 1})
    plain, renamed = json.loads(request.body("m")), json.loads(request.body("m", "max_completion_tokens"))
    assert (plain.pop("max_tokens"), renamed.pop("max_completion_tokens")) == (3, 3)
    assert plain == renamed == {"model": "m", "messages": request.messages, "seed": 1}

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

from loop.errors import Refused
from loop.judge_config import ServerConfig
from loop.judges.remote.client import Client
from loop.judges.remote.exchange import Completion, Request
from tests.loop.judges.remote.clients import FakeTime, client, proxied, requests, texts
from tests.loop.judges.remote.stub_server import LOGPROBS, StubServer

SECRET = "sk-very-secret-0123456789"


def test_answers_come_in_the_order_of_the_requests(stub: StubServer, tmp_path: Path, fake: FakeTime) -> None:
    one = client(stub.url, tmp_path, fake)
    assert texts(one.complete(requests(20))) == [f"question {i}" for i in range(20)]
    told = one.counters.told()
    assert (told["requests"], told["attempts"], told["prompt_tokens"], told["completion_tokens"]) == (20, 20, 200, 40)
    assert one.complete([]) == []


def test_log_probs_are_returned_where_they_are_asked_for(stub: StubServer, tmp_path: Path, fake: FakeTime) -> None:
    with_, without = client(stub.url, tmp_path, fake).complete([*requests(1, logprobs=True), *requests(1)])
    assert isinstance(with_, Completion)
    assert isinstance(without, Completion)
    assert with_.logprobs == pytest.approx(LOGPROBS)
    assert without.logprobs is None


def test_no_more_requests_are_in_flight_than_allowed(tmp_path: Path, fake: FakeTime) -> None:
    together = threading.Barrier(4)

    def say(body: dict[str, Any]) -> str:
        together.wait(timeout=30)
        return str(body["messages"][0]["content"])

    with StubServer(say) as server:
        one = client(server.url, tmp_path, fake)
        batches = [requests(12), [Request([{"role": "user", "content": f"other {i}"}]) for i in range(12)]]
        threads = [threading.Thread(target=one.complete, args=(batch,)) for batch in batches]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.most_in_flight == 4
        assert one.counters.told()["attempts"] == 24
        assert one.counters.told()["failures"] == 0


def test_equal_requests_are_sent_once_and_answered_all(stub: StubServer, tmp_path: Path, fake: FakeTime) -> None:
    with proxied(stub, []) as proxy:
        twice = [*requests(2), *requests(2)]
        assert texts(client(proxy.url, tmp_path, fake).complete(twice)) == ["question 0", "question 1"] * 2
        assert len(proxy.bodies) == 2


def test_samples_of_one_question_are_sent_each(stub: StubServer, tmp_path: Path, fake: FakeTime) -> None:
    with proxied(stub, []) as proxy:
        samples = [Request([{"role": "user", "content": "q"}], {}, sample) for sample in range(3)]
        client(proxy.url, tmp_path, fake).complete(samples)
        assert len(proxy.bodies) == 3


def test_what_was_answered_is_not_asked_again(stub: StubServer, tmp_path: Path, fake: FakeTime) -> None:
    with proxied(stub, ["ok", "400"]) as proxy:
        first = client(proxy.url, tmp_path, fake, concurrency=1, price_prompt=1e6)
        assert texts(first.complete(requests(2))) == ["question 0", "refused"]
        assert first.counters.dollars == 10
        second = client(proxy.url, tmp_path, fake, concurrency=1, price_prompt=1e6)
        assert texts(second.complete(requests(2))) == ["question 0", "question 1"]
        assert len(proxy.bodies) == 3
    told = second.counters.told()
    assert (told["cache_hits"], told["attempts"], told["dollars"]) == (1, 1, 10)


def test_another_model_is_asked_afresh(stub: StubServer, tmp_path: Path, fake: FakeTime) -> None:
    with proxied(stub, []) as proxy:
        one = client(proxy.url, tmp_path, fake)
        others = [Client(one.settings, "n", None, fake.time()), Client(one.settings, "m", "r", fake.time())]
        for asker in (one, *others, one):
            asker.complete(requests(1))
        assert [body["model"] for body in proxy.bodies] == ["m", "n", "m"]


def test_the_key_is_read_when_asking_and_shown_nowhere(
    stub: StubServer, tmp_path: Path, fake: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_JUDGE_KEY", raising=False)
    with proxied(stub, ["ok", "400", "500", "500", "500", "500"]) as proxy:
        one = client(proxy.url, tmp_path, fake, concurrency=1)
        one.complete(requests(1))
        monkeypatch.setenv("TEST_JUDGE_KEY", f" {SECRET}\n")
        outcomes = one.complete(requests(4))
        assert proxy.keys[:2] == [None, f"Bearer {SECRET}"]
    stored = b"".join(f.read_bytes() for f in tmp_path.rglob("*") if f.is_file())
    plain = pickle.dumps(Client(one.settings, "m"))
    shown = f"{outcomes!r} {one!r} {one.settings!r} {vars(one)!r} {one.counters.told()!r}"
    assert SECRET not in shown
    assert SECRET.encode() not in stored + plain


def test_a_key_that_no_header_can_carry_is_refused_unseen(
    stub: StubServer, tmp_path: Path, fake: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("sk-a\nb", "sk-\u00e9"):
        monkeypatch.setenv("TEST_JUDGE_KEY", key)
        with pytest.raises(Refused, match="TEST_JUDGE_KEY") as refused:
            client(stub.url, tmp_path, fake).complete(requests(1))
        assert "sk-" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["", "host:80/v1", "ftp://host/v1", "http://", "http://user:sk-1@host/v1", "http://h/v1?key=sk-1", "http://h:x/"],
)
def test_what_is_no_url_is_refused_unseen(url: str, tmp_path: Path, fake: FakeTime) -> None:
    with pytest.raises(Refused, match=r"judge\.server\.url") as refused:
        client(url, tmp_path, fake)
    assert "sk-1" not in str(refused.value)


def test_a_pickled_client_asks_as_the_first_did(stub: StubServer, tmp_path: Path, fake: FakeTime) -> None:
    one = Client(ServerConfig(url=stub.url, cache=str(tmp_path)), "m", "r")
    again = pickle.loads(pickle.dumps(one))
    assert (again.settings, again.model, again.revision, again.time) == (one.settings, "m", "r", one.time)
    assert texts(again.complete(requests(1))) == ["question 0"]

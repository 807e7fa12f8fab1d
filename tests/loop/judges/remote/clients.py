"""Clients whose waits take no time, and what they ask."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loop.judge_config import ServerConfig
from loop.judges.remote.client import Client, Time
from loop.judges.remote.exchange import Completion, Failure, Request
from tests.loop.judges.remote.faults import FaultyProxy
from tests.loop.judges.remote.stub_server import StubServer


class FakeTime:
    """Waits take no time, and the clock knows of them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def clock(self) -> float:
        return self.now

    def time(self) -> Time:
        return Time(self.sleep, self.clock, self.clock, lambda: 0.5)


@contextmanager
def proxied(stub: StubServer, faults: Sequence[str] | Iterator[str]) -> Iterator[FaultyProxy]:
    with FaultyProxy(stub.url, iter(faults)) as proxy:
        yield proxy


def client(url: str, cache: Path, fake: FakeTime, **settings: Any) -> Client:
    chosen = {"concurrency": 4, "timeout_s": 30.0, "attempts": 4, **settings}
    return Client(
        ServerConfig(url=url, cache=str(cache), key_variable="TEST_JUDGE_KEY", **chosen), "m", None, fake.time()
    )


def requests(count: int, **options: Any) -> list[Request]:
    return [Request([{"role": "user", "content": f"question {i}"}], options) for i in range(count)]


def texts(outcomes: Sequence[Completion | Failure]) -> list[str]:
    return [o.text if isinstance(o, Completion) else o.kind for o in outcomes]

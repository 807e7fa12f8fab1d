"""Many requests to one server: limited, tried again, remembered, counted."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from loop.errors import InfrastructureFailed
from loop.judge_config import ServerConfig
from loop.judges.remote.backoff import ALIVE, NONSENSE, SILENT, delay_s, may_try_again, retry_after_s
from loop.judges.remote.breaker import Breaker
from loop.judges.remote.cache import Cache
from loop.judges.remote.counters import Counters
from loop.judges.remote.exchange import LIMIT, OTHER_LIMIT, Completion, Failure, Request
from loop.judges.remote.sending import check_url, http_client, send

CACHE = Path("~/.cache/ratchet/judge")


def chance() -> float:
    """Uniform in [0, 1). A pickled `random.random` would take its state along: all replicas would wait alike."""
    return random.random()


@dataclass(frozen=True, slots=True)
class Time:
    """Where a client's waits, clocks (seconds; `wall` since 1970) and chance come from."""

    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    chance: Callable[[], float] = chance


class Client:
    """Asks one model at one server. Batches from several threads follow one another, so that the limit on requests in
    flight holds for all of them. A pickled client arrives unused. Raises: Refused for a URL that is none."""

    def __init__(self, settings: ServerConfig, model: str, revision: str | None = None, time: Time = Time()) -> None:
        self.server = check_url(settings.url)
        self.settings = settings
        self.model = model
        self.revision = revision
        self.time = time
        self.counters = Counters()
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_pause_s, time.clock)
        self._one_batch = threading.Lock()
        self._limit = LIMIT
        self._heard = False  # of the server, in the present batch
        self._unheard = 0  # requests in a row that failed without a word of the server

    def __reduce__(self) -> tuple[Any, ...]:
        return Client, (self.settings, self.model, self.revision, self.time)

    def complete(self, requests: Sequence[Request]) -> list[Completion | Failure]:
        """One result per request, in order; equal requests are sent once. Raises: Refused when the server would refuse
        all of them (key, model, URL) or the cache's folder cannot be made; InfrastructureFailed when it is not there,
        which says nothing of the requests."""
        keys = [request.key(self.settings.url, self.model, self.revision) for request in requests]
        with self._one_batch:
            cache = Cache(Path(self.settings.cache or CACHE).expanduser())
            found = asyncio.run(self._batch(dict(zip(keys, requests, strict=True)), cache))
            self._require_server(found.values())
        return [found[key] for key in keys]

    async def _batch(self, requests: dict[str, Request], cache: Cache) -> dict[str, Completion | Failure]:
        waiting, found, self._heard = iter(requests.items()), {}, False
        self.counters.requests += len(requests)

        async def work(http: httpx.AsyncClient) -> None:
            for key, request in waiting:
                found[key] = await self._remembered(http, cache, key, request)

        async with http_client(self.settings.concurrency) as http:
            workers = [asyncio.create_task(work(http)) for _ in range(min(self.settings.concurrency, len(requests)))]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
        return found

    async def _remembered(
        self, http: httpx.AsyncClient, cache: Cache, key: str, request: Request
    ) -> Completion | Failure:
        if known := cache.get(key):
            self.counters.cache_hits += 1
            return known
        outcome = await self._asked(http, request)
        if isinstance(outcome, Failure):
            self.counters.failed(outcome)
        else:
            self.counters.completed(outcome, self.settings.price_prompt, self.settings.price_completion)
            self.counters.cache_lost += not cache.put(key, outcome)
        return outcome

    async def _asked(self, http: httpx.AsyncClient, request: Request) -> Completion | Failure:
        """All attempts at one request. A request that waits keeps its place among those in flight: a server that asks
        for patience is not asked by others meanwhile."""
        attempt = nonsense = 0
        while self._breaker.passes():
            self.counters.attempts += 1
            began = self.time.clock()
            outcome, header = await send(http, self.settings, self.model, request, self._limit)
            seconds = self.time.clock() - began
            self.counters.seconds += seconds
            if isinstance(outcome, Completion):
                self._hear()
                self._breaker.answered()
                return dataclasses.replace(outcome, seconds=seconds)
            silent, alive = outcome.kind in SILENT, outcome.kind in ALIVE
            if not silent:
                self._hear()
            (self._breaker.answered if alive else self._breaker.attempt_failed)()
            if outcome.kind == "other_limit":
                self._limit = OTHER_LIMIT
                self.counters.retries += 1
                continue
            attempt += 1
            nonsense += outcome.kind in NONSENSE
            if not may_try_again(outcome.kind, attempt, self.settings.attempts, nonsense):
                if not alive:
                    self._breaker.request_failed()
                self._unheard += silent
                return outcome
            if self._breaker.open:
                break
            self.counters.retries += 1
            await self.time.sleep(delay_s(attempt, self.time.chance(), retry_after_s(header, self.time.wall())))
        return Failure("left_alone", "the server is left alone: it failed too often in a row")

    def _hear(self) -> None:
        self._heard, self._unheard = True, 0

    def _require_server(self, outcomes: Iterable[Completion | Failure]) -> None:
        """Raises: InfrastructureFailed when no request of a batch came through to the server, or so many in a row heard
        nothing of it that it is left alone."""
        cut = any(isinstance(one, Failure) and one.kind == "cut" for one in outcomes)
        if (cut and not self._heard) or self._unheard >= self.settings.breaker_failures:
            raise InfrastructureFailed(
                f"judge: the server {self.server} does not answer ({self._unheard} requests in a row): start it, or "
                "check judge.server.url"
            )

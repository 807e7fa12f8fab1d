"""Actors for the fleet's tests: engines without a model that do what a request tells them."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any

import ray
from ray import cloudpickle

from actors.calls import wait
from loop.errors import InfrastructureFailed

cloudpickle.register_pickle_by_value(sys.modules[__name__])


@dataclass(frozen=True)
class Request:
    """Work that says what to do: `act` once, when the file `mark` can be made; begin when the file `after` is there."""

    shard: int
    seed: int = 0
    policy: str = "v0"
    act: str = ""
    mark: str = ""
    seconds: float = 0.0
    after: str = ""


class Worker:
    """An engine without a model; every request that it starts on goes into a log."""

    def __init__(self, log: str, engine: Any = None, fails: Exception | None = None) -> None:
        if fails is not None:
            raise fails
        self.log = log
        self.engine = engine
        self.held: str | None = "v0"

    def version(self) -> str | None:
        return self.held

    def load(self, version: str) -> None:
        self.held = version

    def work(self, request: Request) -> tuple[int, int]:
        if request.policy != self.held:
            raise InfrastructureFailed(f"asked for {request.policy} but serves {self.held}")
        with open(self.log, "a") as log:
            log.write(f"{os.getpid()} {request.shard} {request.seed}\n")
        while request.after and not os.path.exists(request.after):
            time.sleep(0.01)
        if request.act and request.mark and not os.path.exists(request.mark):
            open(request.mark, "w").close()
            if request.act == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if request.act == "stop":
                time.sleep(0.2)  # the answer before this one is on its way
                os.kill(os.getpid(), signal.SIGSTOP)
        if request.act == "always die":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(request.seconds)
        return request.shard, request.seed

    def judge(self, request: Request) -> tuple[int, int]:
        (answer,) = wait([self.engine.work.remote(request)], 30.0, "self-judging")
        return answer

    def fail(self, error: Exception) -> None:
        raise error


def work(worker: Any, request: Request) -> Any:
    return worker.work.remote(request)


def pid_of(worker: Any) -> int:
    return ray.get(worker.__ray_call__.remote(lambda self: os.getpid()))

"""Judges for tests of processes; a module of their own, so that these have little to import."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from loop.config import RunConfig
from loop.errors import Refused
from loop.judges.judge import Asked, Reply


class Lengths:
    """Scores a response by its length, and tells its process."""

    def __init__(self, config: RunConfig) -> None:
        print("noise of a library")
        self.asked = 0

    def version(self, policy: str) -> str:
        return f"lengths-{policy}-{os.getpid()}"

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        self.asked += len(asked)
        return [Reply(one.texts[0], "decided", float(len(one.texts[0]))) for one in asked]

    def usage(self) -> dict[str, float]:
        return {"requests": float(self.asked)}


class Refusing(Lengths):
    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        raise Refused("this judge refuses")


class Dying(Lengths):
    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        os._exit(7)


class Staying(Lengths):
    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        print("stays", flush=True)
        time.sleep(120)
        os._exit(0)

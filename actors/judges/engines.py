"""The policy's own engines as what a judge asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, TypeVar

from actors.calls import wait
from loop.judges.speaking import Writing, Written

T = TypeVar("T")

BATCH = 256
"""Inputs in one request to an engine."""


@dataclass(slots=True)
class Engines:
    """The engines that serve now: the judge actor is told with every shard."""

    handles: list[Any] = field(default_factory=list)


class EnginesSpeaker:
    """A `loop.judges.speaking.Speaker`: inputs go to the engines in turn, which answer only for the version that they
    serve."""

    def __init__(self, engines: Engines, timeout_s: float) -> None:
        self._engines = engines
        self._timeout_s = timeout_s
        self._inputs = 0
        self._tokens = 0

    def next_logprobs(
        self, inputs_T: Sequence[list[int]], tokens: Sequence[int], policy: str
    ) -> list[list[float] | None]:
        """See `Speaker`."""
        return self._asked(inputs_T, lambda engine, at: engine.choice_logprobs.remote(policy, inputs_T[at], [*tokens]))

    def write(
        self, inputs_T: Sequence[list[int]], seeds: Sequence[int], writing: Writing, policy: str
    ) -> list[Written | None]:
        """See `Speaker`."""
        return self._asked(inputs_T, lambda engine, at: engine.write.remote(policy, inputs_T[at], seeds[at], writing))

    def text_logprobs(self, inputs_T: Sequence[list[int]], starts: Sequence[int], policy: str) -> list[list[float]]:
        """Log-probs (nats) of every input's tokens from its position `start` >= 1 on, given all before."""
        found: list[list[float]] = self._asked(
            inputs_T, lambda engine, at: engine.text_logprobs.remote(policy, inputs_T[at])
        )
        return [logprobs[start - 1 :] for logprobs, start in zip(found, starts, strict=True)]

    def usage(self) -> dict[str, float]:
        """Inputs and their tokens."""
        return {"requests": self._inputs, "prompt_tokens": self._tokens}

    def _asked(self, inputs_T: Sequence[list[int]], call: Callable[[Any, slice], Any]) -> list[T]:
        self._inputs += len(inputs_T)
        self._tokens += sum(map(len, inputs_T))
        batches = [slice(start, start + BATCH) for start in range(0, len(inputs_T), BATCH)]
        calls = [call(engine, at) for at, engine in zip(batches, cycle(self._engines.handles), strict=False)]
        return [one for result in wait(calls, self._timeout_s, "judging by the policy") for one in result]

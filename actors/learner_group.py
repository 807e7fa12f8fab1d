"""The learner as the driver sees it: one object in front of all ranks, every wait bounded."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ray
from ray.actor import ActorHandle

from actors.calls import wait
from actors.learner import LearnerActor
from actors.learner_contract import LearnerSettings, LogProbsRequest
from loop.errors import InfrastructureFailed
from loop.learning import LearnReport
from loop.push import Reading
from loop.records import ShardRef

# Layer groups that wait in the object store while engines still load earlier ones.
_GROUPS_AHEAD = 4


class LearnerGroup:
    """All DeepSpeed ranks. Creating one starts them without waiting; `wait_ready` waits."""

    def __init__(self, settings: LearnerSettings, threads: int, options: Mapping[str, Any] | None = None) -> None:
        """`threads`: cores of each rank; `options`: Ray's, of each rank's actor."""
        self.settings = settings
        self.ranks = settings.learner.ranks
        actor = ray.remote(LearnerActor).options(**(options or {"num_cpus": 0}))
        self._actors: list[ActorHandle[Any]] = [
            actor.remote(rank, self.ranks, settings, threads) for rank in range(self.ranks)
        ]
        endpoint = self._actors[0].endpoint.remote()
        self._starting = [learner.start.remote(endpoint) for learner in self._actors]

    def wait_ready(self, timeout_s: float) -> int:
        """Wait until every rank has loaded the policy; the bytes of its weights. Raises `InfrastructureFailed` after
        `timeout_s`."""
        started: list[int] = wait(self._starting, timeout_s, "starting the learners")
        return started[0]

    def learn(
        self,
        round: int,
        rounds: int,
        example_refs: Sequence[ShardRef],
        response_refs: Sequence[ShardRef],
        anchor_refs: Sequence[ShardRef] | None,
        seed: int,
    ) -> LearnReport:
        """Train on a round's examples; see `LearnerActor.learn`."""
        reports: list[LearnReport] = self._all("learn", round, rounds, example_refs, response_refs, anchor_refs, seed)
        return reports[0]

    def log_probs(
        self, response_refs: Sequence[ShardRef], response_ids: Sequence[str] | None, request: LogProbsRequest
    ) -> list[ShardRef]:
        """Log-probs of responses under a frozen policy: one shard per rank; see `LogProbsRequest`."""
        return self._all("log_probs", response_refs, response_ids, request)

    def weight_stream(self, version: str) -> Iterator[ray.ObjectRef[Any]]:
        """References to the weights by layer group (name to tensor), then to their manifest.

        At most four groups that nobody has taken lie in the object store. The stream must be read to its end: under
        ZeRO-3 the ranks move through it together, and an abandoned one fails them after the collectives' time-out.
        """
        others = [learner.join_weight_stream.remote() for learner in self._actors[1:]]
        options = {"num_returns": "streaming", "_generator_backpressure_num_objects": _GROUPS_AHEAD}
        generator = self._actors[0].weight_stream.options(**options).remote(version)
        timeout_s = self.settings.learner.call_timeout_s
        deadline = time.monotonic() + timeout_s
        while True:
            ready, _ = ray.wait([generator], timeout=max(deadline - time.monotonic(), 0.0), fetch_local=False)
            if not ready:
                raise InfrastructureFailed(f"the learners' weight stream gave nothing within {timeout_s:.0f} s")
            reference = next(generator, None)
            if reference is None:
                break
            yield reference
            deadline = time.monotonic() + timeout_s
        wait(others, timeout_s, "the learners' weight stream")

    def read_probe(self, texts_T: Sequence[Sequence[int]]) -> Reading:
        """Log-probs of fixed texts under the present weights."""
        readings: list[Reading] = self._all("read_probe", texts_T)
        return readings[0]

    def export(self, folder: str, card: str) -> None:
        """Write the present weights as a Hugging Face checkpoint; see `LearnerActor.export`."""
        self._all("export", folder, card)

    def shutdown(self) -> None:
        """End the ranks; calls in flight fail."""
        for learner in self._actors:
            ray.kill(learner)

    def _all(self, method: str, *arguments: Any) -> list[Any]:
        calls = [getattr(learner, method).remote(*arguments) for learner in self._actors]
        return wait(calls, self.settings.learner.call_timeout_s, f"the learners' {method}")

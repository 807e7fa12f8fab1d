"""The learner as the driver sees it: one object in front of all ranks, every wait bounded."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RayTaskError
from torch.distributed import DistError

from actors.calls import reason_of, wait
from actors.learner import LearnerActor
from actors.learner_contract import Frozen, LearnerSettings, LogProbsRequest
from loop.errors import ProcessDied, TimedOut
from loop.fleets import Lesson
from loop.learning import LearnReport, Restored
from loop.push import Reading
from loop.records import ShardRef

# Layer groups that wait in the object store while engines still load earlier ones.
_GROUPS_AHEAD = 4

SIGN_OF_LIFE_S = 5.0
"""A rank that does not answer for so long, after a call has failed on another, counts as dead."""


class LearnerGroup:
    """All DeepSpeed ranks. Creating one starts them without waiting; `wait_ready` waits."""

    def __init__(self, settings: LearnerSettings, threads: int, options: Mapping[str, Any] | None = None) -> None:
        """`threads`: cores of each rank; `options`: Ray's, of each rank's actor."""
        self.settings = settings
        self.ranks = settings.learner.ranks
        self._threads = threads
        self._options = dict(options or {"num_cpus": 0})
        self._start()

    def _start(self) -> None:
        actor = ray.remote(concurrency_groups={"control": 1})(LearnerActor).options(**self._options)
        self._actors: list[ActorHandle[Any]] = [
            actor.remote(rank, self.ranks, self.settings, self._threads) for rank in range(self.ranks)
        ]
        endpoint = self._actors[0].endpoint.remote()
        self._starting = [learner.start.remote(endpoint) for learner in self._actors]
        self._learning: tuple[int, list[Any]] | None = None

    def wait_ready(self, timeout_s: float) -> int:
        """Wait until every rank has loaded the policy; the bytes of its weights. Raises `InfrastructureFailed` after
        `timeout_s`."""
        started: list[int] = self._results(self._starting, timeout_s, "starting the learners")
        return started[0]

    def begin(self, settings: LearnerSettings) -> None:
        """All ranks go back to the initial policy and belong to another run; see `LearnerActor.begin`."""
        self.settings, self._learning = settings, None
        self._all("begin", settings)

    def restart(self) -> int:
        """End all ranks, also those that hang, and start others at the initial policy; waits for them for
        `learner.start_timeout_s`. Returns and raises what `wait_ready` does.

        A former rank can do no harm: without its peers it gets through no collective, so it writes no checkpoint.
        """
        self.shutdown()
        self._start()
        return self.wait_ready(self.settings.learner.start_timeout_s)

    def pids(self) -> list[int]:
        """The process id of each rank, on its own machine."""
        return self._results([actor.ping.remote() for actor in self._actors], SIGN_OF_LIFE_S, "the learners' processes")

    def learn(self, lesson: Lesson, rounds: int, seed: int) -> LearnReport:
        """Train on a lesson; see `LearnerActor.learn`."""
        calls = self._calls("learn", lesson, rounds, seed)
        self._learning = lesson.round, calls
        reports: list[LearnReport] = self._results(calls, self._timeout_s, "the learners' learn")
        self._learning = None
        return reports[0]

    def pause(self, grace_s: float) -> LearnReport | None:
        """Have a `learn` that is still under way stop behind a checkpoint, and wait for that, at most `grace_s`.

        For use when the wait for that `learn` was given up. Returns its report, `paused` or complete; None when none
        was under way or it did not end in time. Raises what `learn` raises.
        """
        if self._learning is None:
            return None
        (round, calls), self._learning = self._learning, None
        for actor in self._actors:
            actor.pause.remote(round)
        try:
            reports: list[LearnReport] = self._results(calls, grace_s, "pausing the learners")
        except TimedOut:
            return None
        return reports[0]

    def restore(self) -> Restored:
        """Take up the newest whole checkpoint; see `LearnerActor.restore`."""
        restored: list[Restored] = self._all("restore")
        return restored[0]

    def rollback(self, round: int, carry_optimizer: bool) -> None:
        """Go back to the end of a round; see `LearnerActor.rollback`."""
        self._all("rollback", round, carry_optimizer)

    def log_probs(
        self, response_refs: Sequence[ShardRef], response_ids: Sequence[str] | None, request: LogProbsRequest
    ) -> list[ShardRef]:
        """Log-probs of responses under a frozen policy: one shard per rank; see `LogProbsRequest`."""
        return self._all("log_probs", response_refs, response_ids, request)

    def weight_stream(self, version: str, frozen: Frozen | None = None) -> Iterator[ray.ObjectRef[Any]]:
        """References to the present weights or those of a frozen policy by layer group (name to tensor), then to their
        manifest.

        At most four groups that nobody has taken lie in the object store. The stream must be read to its end: under
        ZeRO-3 the ranks move through it together, and an abandoned one fails them after the collectives' time-out.
        """
        others = [learner.join_weight_stream.remote() for learner in self._actors[1:] if frozen is None]
        options = {"num_returns": "streaming", "_generator_backpressure_num_objects": _GROUPS_AHEAD}
        generator = self._actors[0].weight_stream.options(**options).remote(version, frozen)
        deadline = time.monotonic() + self._timeout_s
        while True:
            ready, _ = ray.wait([generator], timeout=max(deadline - time.monotonic(), 0.0), fetch_local=False)
            if not ready:
                raise TimedOut(f"the learners' weight stream gave nothing within {self._timeout_s:.0f} s")
            reference = next(generator, None)
            if reference is None:
                break
            yield reference
            deadline = time.monotonic() + self._timeout_s
        self._results(others, self._timeout_s, "the learners' weight stream")

    def read_probe(self, texts_T: Sequence[Sequence[int]], frozen: Frozen | None = None) -> Reading:
        """Log-probs of fixed texts under the present weights, or under a frozen policy."""
        ranks = self._actors if frozen is None else self._actors[:1]
        calls = [learner.read_probe.remote(texts_T, frozen) for learner in ranks]
        readings: list[Reading] = self._results(calls, self._timeout_s, "the learners' read_probe")
        return readings[0]

    def diagnose(self, lesson: Lesson, answers: Sequence[ShardRef], most: int) -> dict[str, float]:
        """Figures of a probe of the present weights; see `actors.learner_probe`."""
        figures: list[dict[str, float]] = self._all("diagnose", lesson, answers, most)
        return figures[0]

    def export(self, folder: str, card: str) -> None:
        """Write the present weights as a Hugging Face checkpoint; see `LearnerActor.export`."""
        self._all("export", folder, card)

    def shutdown(self) -> None:
        """End the ranks; calls in flight fail."""
        for learner in self._actors:
            ray.kill(learner)

    @property
    def _timeout_s(self) -> float:
        return self.settings.learner.call_timeout_s

    def _calls(self, method: str, *arguments: Any) -> list[Any]:
        return [getattr(learner, method).remote(*arguments) for learner in self._actors]

    def _all(self, method: str, *arguments: Any) -> list[Any]:
        return self._results(self._calls(method, *arguments), self._timeout_s, f"the learners' {method}")

    def _results(self, calls: list[Any], timeout_s: float, what: str) -> list[Any]:
        """`wait`; but a rank that failed because another one died, hangs or was cut off is no fault in the program.

        Raises: ProcessDied for that.
        """
        try:
            return wait(calls, timeout_s, what)
        except RayTaskError as error:
            if (lost := self._lost(error)) is not None:
                raise ProcessDied(f"{what}: {lost}") from error
            raise

    def _lost(self, error: RayTaskError) -> str | None:
        """Which rank is dead or silent, or that the ranks lost each other; None when neither is so."""
        pings = [actor.ping.remote() for actor in self._actors]
        answered, _ = ray.wait(pings, num_returns=len(pings), timeout=SIGN_OF_LIFE_S)
        for rank, ping in enumerate(pings):
            if ping not in answered:
                return f"rank {rank} hangs"
            try:
                ray.get(ping)
            except RayActorError as death:
                return f"rank {rank} died ({reason_of(death)})"
        if isinstance(error.cause, DistError) or "gloo" in str(error.cause):
            return f"the ranks lost contact ({reason_of(error.cause)})"
        return None

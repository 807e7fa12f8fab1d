"""Which policy the engines hold: transfers of weights into them, each proven by manifest and probe.

What the learners stand at and what the engines serve are two things. The engines may be given any policy whose weights
lie somewhere: the learners' present one, the initial one, or one that was exported.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from actors.fleet import Fleet
from actors.learner_contract import Frozen
from actors.learners import Learners
from actors.push import probe, push_weights, refresh_engine
from loop.config import StartFrom
from loop.config_types import DType
from loop.errors import EnginesDied, InfrastructureFailed, Refused
from loop.fleets import Lesson, Pushed
from loop.learning import LearnReport, Restored
from loop.ledger import Ledger
from loop.push import Manifest, Reading, allowed_gap, fixed_texts, refuse_oversized
from loop.records import INITIAL, PolicyVersion
from loop.task import Task

PROBE_TOKENS = 100
"""Length of a probe text: three whole blocks of the prefix cache."""


class Serving:
    """The policy of some engines, which hold the initial one, and of the learners that it comes from.

    `served` is what the engines hold, `present` what the learners stand at: None where they are on their way.
    """

    def __init__(self, task: Task, engines: Fleet[Any, Any], learners: Learners, tolerance: float = 0.0) -> None:
        self.task = task
        self.config = task.config
        self.engines = engines
        self.learners = learners
        self.served = INITIAL
        self.present: PolicyVersion | None = INITIAL
        self.gap = float("inf")  # between learners and engines on the checkpoint that both loaded: not measured yet
        self._tolerance = tolerance
        pool_T = [prompt.tokens_T for prompt in task.pool.test]
        length = min(PROBE_TOKENS, self.config.rollout.max_context - 1)
        self._texts_T = fixed_texts(pool_T, self.config.push.probe_texts, length)
        self._readings: dict[PolicyVersion, Reading] = {}
        self._digests = {INITIAL: task.model_digest}
        self._manifest: Manifest | None = None

    def of_another(self, task: Task, engines: Fleet[Any, Any]) -> Serving:
        """The same engines and learners, which belong to another run already, with its initial policy in all of
        them."""
        other = Serving(task, engines, self.learners, self._tolerance)
        engines.check(refresh=False)
        if len(engines.serving()) < len(engines.alive()):
            self.learners.together(lambda: other._bring(INITIAL, None))
        return other

    def meet(self) -> float:
        """See `Fleets`."""
        refuse_oversized(self.learners.wait_ready(), self.config.push.max_store_gb)
        self._readings[INITIAL] = reading = self.learners.read_probe(self._texts_T)
        self.engines.check()
        self._tolerance = self.config.push.tolerance if self.config.model.dtype is DType.float32 else float("inf")
        self.gap, silent = self._probe(self.engines.alive(), reading, None)
        self.engines.pushed(str(INITIAL), silent)
        self._tolerance = allowed_gap(self.config.model.dtype.value, self.gap, self.config.push.tolerance)
        return self.gap

    def restored(self, where: Restored) -> None:
        """The learners took up a checkpoint, whose version only the ledger knows."""
        self.present = None if where.round else INITIAL

    def learnt(self, lesson: Lesson, report: LearnReport) -> None:
        """The learners have worked through a lesson: what they stand at has no name before it is pushed. Where every
        step was skipped, it is what they began from."""
        began = INITIAL if self.config.algorithm.start_from is StartFrom.initial else lesson.policy
        self.present = None if report.steps else began

    def push(self, version: PolicyVersion) -> Pushed:
        """See `Fleets`."""
        self.present = version
        manifest, gap = self.learners.together(lambda: self._bring(version, self._manifest))
        self._manifest, self._digests[version] = manifest, manifest.digest
        return Pushed(json.dumps(asdict(manifest)), manifest.digest, gap)

    def serve(self, version: PolicyVersion) -> None:
        """See `Fleets`. Raises: Refused when the version's weights lie nowhere, InfrastructureFailed when an exported
        checkpoint does not hold what was pushed."""
        if version == self.served:
            return
        self.source_of(version)  # refused before any engine stops to serve
        self.learners.together(lambda: self._bring(version, None))

    def refresh(self, engine: Any) -> bool:
        """Bring one engine, which was restarted, what is served now; whether it survived that."""
        try:
            return self.learners.together(lambda: self._refresh(engine))
        except EnginesDied:
            return False

    def source_of(self, version: PolicyVersion) -> Frozen | None:
        """Where a version's weights lie; None: they are the learners' present ones. Raises: Refused when it was not
        exported."""
        if version == self.present:
            return None
        if version == INITIAL:
            return Frozen(self.config.model.path, self.config.model.revision)
        folder = Path(self.task.checkpoint(version.round))
        if not folder.is_dir():
            raise Refused(
                f"policy {version} is asked for again, and {folder} is not there: with export.every=1 every round's "
                "policy is exported"
            )
        return Frozen(str(folder))

    def digest_of(self, version: PolicyVersion) -> str:
        """The digest of a version's tensors, as the ledger has it."""
        if version not in self._digests:
            rows = Ledger(self.task.store).read("policies", ["version", "digest"]).to_pylist()
            self._digests |= {PolicyVersion.parse(row["version"]): row["digest"] for row in rows}
        return self._digests[version]

    def _bring(self, version: PolicyVersion, previous: Manifest | None) -> tuple[Manifest, float]:
        """Into all engines that live; those that die of it are brought the version when they are back."""
        timeout_s, group, source = self.config.rollout.call_timeout_s, self.learners.group, self.source_of(version)
        for attempt in count(1):
            self.engines.check(refresh=False)
            engines = self.engines.alive()
            stream = group.weight_stream(str(version), source)
            try:
                manifest, dead = push_weights(stream, engines, str(version), previous, timeout_s)
                self._require_pushed(version, source, manifest)
                if source is None or version not in self._readings:
                    self._readings[version] = group.read_probe(self._texts_T, source)
                left = [engine for engine in engines if engine not in dead]
                gap, silent = self._probe(left, self._readings[version], self._readings.get(self.served))
            except EnginesDied:
                if attempt > self.config.fleet.max_restarts:
                    raise
                continue
            self.served = version
            self.engines.pushed(str(version), [*dead, *silent])
            return manifest, gap
        raise AssertionError("the loop above ends only by returning or raising")

    def _require_pushed(self, version: PolicyVersion, source: Frozen | None, manifest: Manifest) -> None:
        """Raises: InfrastructureFailed when an exported checkpoint does not hold what was pushed as that version."""
        if source is not None and version != INITIAL and manifest.digest != self.digest_of(version):
            raise InfrastructureFailed(
                f"the checkpoint {source.path} does not hold policy {version}: its tensors have another digest than "
                "those that were pushed"
            )

    def _refresh(self, engine: Any) -> bool:
        source, version = self.source_of(self.served), str(self.served)
        stream = self.learners.group.weight_stream(version, source)
        if not refresh_engine(stream, engine, version, self.config.rollout.call_timeout_s):
            return False
        _, silent = self._probe([engine], self._readings[self.served], None)
        return not silent

    def _probe(self, engines: Sequence[Any], reading: Reading, previous: Reading | None) -> tuple[float, list[Any]]:
        """The largest gap between the learners and some engines, and the engines that died of the question."""
        timeout_s = self.config.rollout.call_timeout_s
        reports, silent = probe(engines, self._texts_T, reading, previous, self._tolerance, timeout_s)
        return max(report.gap for report in reports), silent

"""What the driver asks of the fleets that it is handed. `actors.system` implements it with Ray; tests with stubs.

Everything large travels as shard handles; an iterator yields each handle as soon as its file is written. The same
question gives the same rows however often it is asked: ids and seeds are part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from loop.anchors import Resolved
from loop.learning import LearnReport, Restored
from loop.records import PolicyVersion, ShardRef
from loop.sampling import GenerateRequest


@dataclass(frozen=True, slots=True)
class Pushed:
    """A push that was proven: the manifest (JSON), the digest of its tensors' digests, and the largest log-prob
    difference on the probe texts."""

    manifest: str
    digest: str
    gap: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A shard of responses with what was said about them: judgements, or the verdicts that they come to."""

    responses: ShardRef
    said: ShardRef

    @property
    def shard(self) -> int:
        """The number that both have."""
        return self.responses.shard


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one learn phase learns from: the round's examples, and those of earlier rounds from which the recipe takes
    some again (`loop.lessons.examples_of`), with the responses of the same rounds.

    `serving` tells what serves as each of the recipe's anchors, `weights` the digest of the tensors of each policy
    named there. `anchors` are the log-probs made for this round, `known` those made for earlier ones.
    """

    round: int
    examples: list[ShardRef]
    responses: list[ShardRef]
    anchors: list[ShardRef] = field(default_factory=list)
    serving: tuple[Resolved, ...] = ()
    weights: Mapping[str, str] = field(default_factory=dict)
    known: list[ShardRef] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many examples the round itself has."""
        return sum(ref.rows for ref in self.examples if ref.round == self.round)


class Fleets(Protocol):
    """Rollout engines, judges, pairing workers and learner ranks."""

    def meet(self) -> float:
        """Wait for the learners, and probe how far they and the engines are apart on the checkpoint that both loaded:
        the largest difference of a log-prob, in nats."""
        ...

    def restore(self) -> Restored:
        """Learners take up their newest whole checkpoint; the round in whose learn phase it was made, 0 when there is
        none."""
        ...

    def generate(self, requests: Iterable[GenerateRequest]) -> Iterator[ShardRef]:
        """Sample responses: one shard of `Response` rows per request, as completed."""
        ...

    def appoint(self, round: int) -> None:
        """Have the judges of a round ready; those of the round before end where the schedule names others."""
        ...

    def check(self, round: int) -> ShardRef:
        """The round's judge answers questions whose answers are known: one shard of `CheckRow` rows."""
        ...

    def judge(self, responses: Iterable[ShardRef], evaluation: bool = False) -> Iterator[ShardRef]:
        """Judge shards of responses as they come; `evaluation` asks the evaluation judge and writes its table."""
        ...

    def aggregate(self, judged: Iterable[Judged]) -> Iterator[ShardRef]:
        """Verdicts from judgements, shard by shard."""
        ...

    def pair(self, judged: Iterable[Judged]) -> Iterator[ShardRef]:
        """Examples from verdicts, shard by shard."""
        ...

    def anchor(self, lesson: Lesson) -> Iterable[ShardRef]:
        """Log-probs under each anchor of every response that an example of the lesson uses, but for those for which the
        sampler's own serve."""
        ...

    def initial_log_probs(self, round: int, responses: Sequence[ShardRef]) -> Iterable[ShardRef]:
        """Log-probs of evaluation responses under the initial policy."""
        ...

    def learn(self, lesson: Lesson) -> LearnReport:
        """Train on one round's examples, from where the learners' state stands inside that round."""
        ...

    def rollback(self, version: PolicyVersion) -> None:
        """Learners go back to the end of the round that made a version, optimiser included."""
        ...

    def holds(self) -> PolicyVersion:
        """The version that the engines hold."""
        ...

    def push(self, version: PolicyVersion) -> Pushed:
        """Move the learner's weights into every engine and prove that they arrived."""
        ...

    def export(self, version: PolicyVersion, folder: Path) -> None:
        """Write the policy as a Hugging Face checkpoint."""
        ...

"""What the driver asks of the fleets that it is handed. `actors.system` implements it with Ray; tests with stubs.

Everything large travels as shard handles; an iterator yields each handle as soon as its file is written. The same
question gives the same rows however often it is asked: ids and seeds are part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

from loop.anchors import Resolved
from loop.evaluation.splits import ContestTable, ScoreTable
from loop.learning import LearnReport, Restored
from loop.records import INITIAL, PolicyVersion, ShardRef
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
class MetaRequest:
    """One shard of a step towards pairs of judgements (`loop.judge_pairs`): `table` is where it goes. `responses`: the
    judgements of these answers that compete; `judgements`: what the meta-judge says of those `competing`; `examples`:
    the pairs that follow once they are `compared`."""

    table: Literal["responses", "judgements", "examples"]
    answers: ShardRef
    judgements: ShardRef
    competing: ShardRef | None = None
    compared: ShardRef | None = None
    shard: int = 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one learn phase learns from: the round's examples, and those of earlier rounds from which the recipe takes
    some again (`loop.lessons.examples_of`), with the responses of the same rounds.

    `serving` tells what serves as each of the recipe's anchors, `weights` the digest of the tensors of each policy
    named there. `anchors` are the log-probs made for this round, `known` those made for earlier ones. `policy` is the
    version with which the round began: it sampled the round's own responses, unless they say otherwise. `start`: the
    round at whose end learning begins, optimiser included; None: wherever the learners stand. `incumbent`: the round at
    whose end they may have to go back to, None without a gate. `lr_factor` multiplies the learning rate.
    """

    round: int
    examples: list[ShardRef]
    responses: list[ShardRef]
    anchors: list[ShardRef] = field(default_factory=list)
    serving: tuple[Resolved, ...] = ()
    weights: Mapping[str, str] = field(default_factory=dict)
    known: list[ShardRef] = field(default_factory=list)
    policy: PolicyVersion = INITIAL
    start: int | None = None
    incumbent: int | None = None
    lr_factor: float = 1.0

    @property
    def rows(self) -> int:
        """How many examples the round itself has."""
        return sum(ref.rows for ref in self.examples if ref.round == self.round)


@dataclass(frozen=True, slots=True)
class Contest:
    """A shard of answers to held-out prompts and the shards in which another policy's answers to the same prompts are;
    `shard` numbers what comes of it."""

    shard: int
    answers: ShardRef
    others: tuple[ShardRef, ...]


JudgementTable = Literal["judgements", "draft_judgements"] | ScoreTable
NOTHING_SAID: Mapping[int, Sequence[ShardRef]] = MappingProxyType({})


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
        """Sample responses: one shard of `Response` rows per request, as completed. The engines must hold the policy
        that the requests name (`serve`)."""
        ...

    def appoint(self, round: int) -> None:
        """Have the judges of a round ready; those of the round before end where the schedule names others."""
        ...

    def check(self, round: int) -> ShardRef:
        """The round's judge answers questions whose answers are known: one shard of `CheckRow` rows."""
        ...

    def judge(
        self,
        responses: Iterable[ShardRef],
        policy: PolicyVersion,
        table: JudgementTable = "judgements",
        said: Mapping[int, Sequence[ShardRef]] = NOTHING_SAID,
    ) -> Iterator[ShardRef]:
        """Judge shards of responses as they come, into `table`; those of held-out prompts ask the evaluation judge.
        `policy` is what the engines hold, for a judge that asks them. `said` holds, by shard, judgements of earlier
        drafts: what they answer is not asked again, but stands in the new shard too."""
        ...

    def compare(self, contests: Iterable[Contest], policy: PolicyVersion, table: ContestTable) -> Iterator[ShardRef]:
        """The evaluation judge compares answers of two policies to the same prompts, the first with the first and so
        on, each pair in both orders."""
        ...

    def aggregate(self, judged: Iterable[Judged]) -> Iterator[ShardRef]:
        """Verdicts from judgements, shard by shard."""
        ...

    def pair(self, judged: Iterable[Judged]) -> Iterator[ShardRef]:
        """Examples from verdicts, shard by shard."""
        ...

    def meta(self, requests: Iterable[MetaRequest], policy: PolicyVersion) -> Iterator[ShardRef]:
        """A step towards pairs of judgements, shard by shard. `policy` wrote them, and is what the engines hold when it
        is to compare them."""
        ...

    def anchor(self, lesson: Lesson) -> Iterable[ShardRef]:
        """Log-probs under each anchor of every response that an example of the lesson uses, but for those for which the
        sampler's own serve."""
        ...

    def log_probs(
        self, table: str, round: int, responses: Sequence[ShardRef], version: PolicyVersion
    ) -> Iterable[ShardRef]:
        """Log-probs of all of these responses under one version, written to `table`."""
        ...

    def learn(self, lesson: Lesson) -> LearnReport:
        """Train on one round's examples, from where the learners' state stands inside that round."""
        ...

    def rollback(self, version: PolicyVersion) -> None:
        """Learners go back to the end of the round that made a version (the initial one: to the beginning), optimiser
        included."""
        ...

    def holds(self) -> PolicyVersion:
        """The version that the engines hold."""
        ...

    def serve(self, version: PolicyVersion) -> None:
        """Have the engines hold a version: the one that the learners stand at, the initial one or one that was
        exported. Nothing happens where they hold it already."""
        ...

    def push(self, version: PolicyVersion) -> Pushed:
        """Move the learners' weights, which are this version, into every engine and prove that they arrived."""
        ...

    def diagnose(self, lesson: Lesson, answers: Sequence[ShardRef], most: int) -> dict[str, float]:
        """Figures of a probe of the learners, which stand at the end of that lesson: at most so many of its examples,
        and of the present policy's answers to held-out prompts twice as many; see `loop.diagnostics.probe`."""
        ...

    def export(self, version: PolicyVersion, folder: Path) -> None:
        """Write the policy as a Hugging Face checkpoint."""
        ...

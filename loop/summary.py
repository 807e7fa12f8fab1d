"""What a round and a run came to, as numbers: the rows that are shown, tracked and kept in `summary.json`."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loop.diagnostics.diagnostic import Diagnostic
from loop.errors import Refused
from loop.evaluation.comparison import Comparison
from loop.gate.result import GateResult
from loop.store import open_store

SCHEMA_VERSION = 2
FILE_NAME = "summary.json"

Z_95 = 1.959963984540054  # 97.5 % quantile of the standard normal distribution


def wilson(successes: int, n: int) -> tuple[float, float]:
    """95 % interval (low, high) of a share of successes among n independent answers.

    Wilson (1927), score interval: centre (p + z^2/2n) / (1 + z^2/n),
    half width z sqrt(p(1-p)/n + z^2/4n^2) / (1 + z^2/n).
    ValueError if n is not positive or successes lies outside [0, n].
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes among {n} answers have no interval.")
    share, shrink = successes / n, 1.0 + Z_95**2 / n
    centre = (share + Z_95**2 / (2 * n)) / shrink
    half = Z_95 * math.sqrt(share * (1.0 - share) / n + Z_95**2 / (4 * n**2)) / shrink
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """One round. Round 0 is the initial policy before any training: a gold score, and nothing learnt.

    None means "not measured". Every number is finite; ValueError names the field of one that is not.
    """

    round: int
    policy: str  # label of the version that the round ended with
    candidate: str | None = None  # label of the version that learning came to; another one where the gate rejected it
    gold_score: float | None = None  # mean on the test split, 0 to 1
    gold_low: float | None = None  # 95 % Wilson interval of the gold score
    gold_high: float | None = None
    prompts: int = 0
    responses: int = 0
    sampled: int = 0  # of the responses those that the round's policy sampled
    examples: int = 0  # pairs
    ties: int = 0  # groups without an example because their scores were equal
    failed_judgements: int = 0
    judgements: int = 0
    judge_accuracy: float | None = None  # share of comparisons of a right with a wrong answer that the judge got right
    judge_flips: float | None = None  # share of those shown in both orders in which the same position won both times
    truncated: int = 0  # responses cut at the token limit
    response_tokens_mean: float | None = None
    loss: float | None = None
    margin: float | None = None
    accuracy: float | None = None  # share of examples whose chosen side the policy prefers, 0 to 1
    grad_norm: float | None = None
    kl: float | None = None  # nats per response, to the initial policy, on test answers
    steps: int = 0  # optimiser steps made
    skipped_steps: int = 0  # for a loss or gradient that was not finite
    push_gap: float | None = None  # largest log-prob difference of learner and engines on the probe texts
    notes: list[str] = field(default_factory=list)  # sentences for a person
    seconds: dict[str, float] = field(default_factory=dict)  # by phase; phases overlap, `round` is wall time
    checkpoint: str | None = None  # folder of the exported policy
    hook: dict[str, float] = field(default_factory=dict)  # what evaluate.hook told of it
    gate: GateResult | None = None  # what the gate decided, in rounds in which it was asked
    versus: list[Comparison] = field(default_factory=list)  # of the candidate, on the test prompts
    diversity: float | None = None  # share of different answers to the test prompts
    evaluation_tokens_mean: float | None = None  # length of the answers to the test prompts
    retention_score: float | None = None  # mean score on the second set of prompts, 0 to 1
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def __post_init__(self) -> None:
        numbers = {name: getattr(self, name) for name in self.__slots__} | self.seconds
        for name, value in numbers.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} of round {self.round} is not finite: {value}")

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON values, field by field."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RoundSummary:
        """The inverse of `to_json`. TypeError for an unknown field."""
        gate = values.get("gate")
        told = {
            "gate": GateResult.from_json(gate) if gate is not None else None,
            "versus": [Comparison.from_json(one) for one in values.get("versus", [])],
            "diagnostics": [Diagnostic.from_json(one) for one in values.get("diagnostics", [])],
        }
        return cls(**{**values, **told})


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run, finished or not. `initial` is round 0, `rounds` the trained ones in order."""

    run: str
    identity: str
    experiment: str
    algorithm: str
    judge: str
    model: str
    seed: int
    finished: bool
    initial: RoundSummary
    rounds: list[RoundSummary]
    seconds_total: float
    stopped_because: str | None = None
    stands: str = ""  # label of the policy that came of the run: the incumbent, at the run's end the best promoted one
    seconds_to_first_token: float | None = None
    peak_memory_gib: float | None = None  # proportional set size, summed over the run's processes
    versions: dict[str, str] = field(default_factory=dict)  # of the main libraries
    prompts: dict[str, int] = field(default_factory=dict)  # counts of the pool, by name
    schema_version: int = SCHEMA_VERSION

    @property
    def last(self) -> RoundSummary:
        """The newest round, the initial one if none was trained."""
        return self.rounds[-1] if self.rounds else self.initial

    @property
    def kept(self) -> list[RoundSummary]:
        """The trained rounds whose candidate was kept: all of them where no gate was asked."""
        return [one for one in self.rounds if one.gate is None or one.gate.decision == "promoted"]

    @property
    def standing(self) -> RoundSummary:
        """The round in which the policy that stands was measured last, or the newest one that was kept and measured;
        the initial one if there is none."""
        measured = [one for one in self.kept if one.gold_score is not None or one.versus]
        its = [one for one in measured if one.candidate == self.stands]
        if not its and self.stands == self.initial.policy:
            return self.initial
        return (its or measured or [self.initial])[-1]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON values; rounds become dictionaries of their own."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RunSummary:
        """The inverse of `to_json`. Refused for another schema version, TypeError for an unknown field."""
        if values.get("schema_version") != SCHEMA_VERSION:
            found = values.get("schema_version")
            raise Refused(f"The summary has schema version {found}; this program reads version {SCHEMA_VERSION}.")
        initial = RoundSummary.from_json(values["initial"])
        rounds = [RoundSummary.from_json(row) for row in values["rounds"]]
        return cls(**{**values, "initial": initial, "rounds": rounds})


def write_summary(folder: str | Path, summary: RunSummary) -> Path:
    """Write `summary.json` into the folder: a reader sees the old file or the new, never a part. Returns its path.
    Raises: StoreFailed."""
    path = Path(folder) / FILE_NAME
    text = json.dumps(summary.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    open_store(folder).write(FILE_NAME, f"{text}\n".encode())
    return path


def read_summary(folder: str | Path) -> RunSummary:
    """Read the `summary.json` of a run's folder. Refused if there is none or it is of another schema."""
    path = Path(folder) / FILE_NAME
    if not path.is_file():
        raise Refused(f"{path} does not exist: {folder} is not the folder of a run that got as far as a summary.")
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return RunSummary.from_json(values)


def read_summary_if_any(folder: str | Path) -> RunSummary | None:
    """The `summary.json` of a run's folder; None where there is none yet."""
    return read_summary(folder) if (Path(folder) / FILE_NAME).is_file() else None

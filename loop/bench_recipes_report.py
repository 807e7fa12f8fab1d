"""What `ratchet bench recipes` found: one outcome for each recipe and seed, one row of the table for each recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from loop.config import RunConfig
from loop.errors import RatchetError
from loop.summary import RunSummary, wilson

STATES = {2: "refused", 3: "stopped"}
"""What exit statuses are called; any other run failed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One recipe with one seed. `sentence` says why there is nothing more: the run was refused, or ended early with
    that exit status. Shares lie between 0 and 1; `ties` are groups that gave no example because of one."""

    recipe: str
    seed: int
    judge: str
    rounds: int
    prompts_per_round: int
    status: int = 0
    sentence: str | None = None
    samples: int = 0  # responses that policies gave, drafts included
    before: float | None = None  # gold score of the initial policy, 0 to 1
    after: float | None = None  # that of the last one
    answers: int = 0  # test prompts, one answer each
    ties: float | None = None
    truncated: float | None = None  # share of responses
    kl: float | None = None  # nats per response, last policy to initial one
    length: float | None = None  # tokens per response in the last round
    examples: int = 0
    steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Gold:
    """A mean gold score with its 95 % interval, and the smallest and largest of the seeds'."""

    mean: float
    low: float
    high: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Row:
    """One recipe over its seeds; means over those that came to their end."""

    recipe: str
    judge: str
    complete: int
    failures: tuple[str, ...]
    samples: float
    after: Gold | None
    change: str
    ties: float | None
    truncated: float | None
    kl: float | None
    length: float | None
    examples: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """All outcomes in the order in which they were run; `budget` is what the samples were to come near to."""

    budget: int
    outcomes: Sequence[Outcome]
    machine: dict[str, Any]

    @property
    def before(self) -> Gold | None:
        """The initial policy, over all runs: it is the same in each."""
        return gold([(one.before, one.answers) for one in self.outcomes])

    @property
    def status(self) -> int:
        """That of the first run that did not come to its end, else 0."""
        return next((one.status for one in self.outcomes if one.status), 0)


def planned(config: RunConfig) -> Outcome:
    """A run that is still to come."""
    return Outcome(config.algorithm.name, config.seed, config.judge.name, config.rounds, config.prompts.per_round)


def failed(plan: Outcome, error: RatchetError) -> Outcome:
    """A run that was refused or ended early."""
    return replace(plan, status=error.exit_code, sentence=str(error))


def completed(plan: Outcome, summary: RunSummary, samples: int) -> Outcome:
    """A run that came to its end."""
    rounds, groups = summary.rounds, sum(one.prompts for one in summary.rounds)
    sampled = sum(one.sampled for one in rounds)
    return replace(
        plan,
        samples=samples,
        before=summary.initial.gold_score,
        after=summary.last.gold_score,
        answers=summary.prompts["test"],
        ties=sum(one.ties for one in rounds) / groups if groups else None,
        truncated=sum(one.truncated for one in rounds) / sampled if sampled else None,
        kl=summary.last.kl,
        length=summary.last.response_tokens_mean,
        examples=sum(one.examples for one in rounds),
        steps=sum(one.steps for one in rounds),
        seconds=summary.seconds_total,
    )


def gold(scores: Sequence[tuple[float | None, int]]) -> Gold | None:
    """Gold scores with the number of their answers as one. All were measured on the same prompts, so the interval
    counts those once, however many runs there are."""
    known = [(score, answers) for score, answers in scores if score is not None]
    if not known:
        return None
    mean, answers = fmean(score for score, _ in known), min(n for _, n in known)
    low, high = wilson(int(mean * answers + 0.5), answers)
    return Gold(mean, low, high, min(score for score, _ in known), max(score for score, _ in known))


def change_of(before: Gold | None, after: Gold | None) -> str:
    """`better` or `worse` only where the two 95 % intervals do not overlap; nothing where one is not known."""
    if before is None or after is None:
        return ""
    if after.low > before.high:
        return "better"
    return "worse" if after.high < before.low else "unclear"


def rows_of(report: Report) -> list[Row]:
    """One row for each recipe, in the order of their first runs."""
    names = list(dict.fromkeys(one.recipe for one in report.outcomes))
    return [_row([one for one in report.outcomes if one.recipe == name], report.before) for name in names]


def _row(outcomes: Sequence[Outcome], before: Gold | None) -> Row:
    ended = [one for one in outcomes if one.sentence is None]
    after = gold([(one.after, one.answers) for one in ended])

    def mean(name: str) -> float | None:
        values = [getattr(one, name) for one in ended]
        known = [value for value in values if value is not None]
        return fmean(known) if known else None

    return Row(
        recipe=outcomes[0].recipe,
        judge=", ".join(dict.fromkeys(one.judge for one in outcomes)),
        complete=len(ended),
        failures=_failures(outcomes),
        samples=mean("samples") or 0,
        after=after,
        change=change_of(before, after),
        ties=mean("ties"),
        truncated=mean("truncated"),
        kl=mean("kl"),
        length=mean("length"),
        examples=mean("examples") or 0,
        seconds=mean("seconds") or 0.0,
    )


def _failures(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Sentences about the runs that did not come to their end; what all seeds share is said once."""
    told = [(one.seed, f"{state_of(one)}: {one.sentence}") for one in outcomes if one.sentence is not None]
    if len(told) == len(outcomes) and len({sentence for _, sentence in told}) == 1:
        return (told[0][1],)
    return tuple(f"seed {seed} {sentence}" for seed, sentence in told)


def state_of(outcome: Outcome) -> str:
    """How a run ended."""
    return "complete" if outcome.sentence is None else STATES.get(outcome.status, "failed")


def as_figures(report: Report) -> dict[str, Any]:
    """Everything, as JSON values."""
    return {
        "budget": report.budget,
        "before": asdict(report.before) if report.before is not None else None,
        "recipes": [asdict(row) for row in rows_of(report)],
        "runs": [asdict(one) for one in report.outcomes],
        "machine": report.machine,
    }

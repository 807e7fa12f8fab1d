"""Comparison plans and verdicts: which questions a group's judge is asked, and what its judgements say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from loop.config import Plan
from loop.records import Judgement, Question, Response

BASELINE = 0
"""Position of the response that the others are compared with in the plan `against_baseline`: the group's first sample.
"""


@dataclass(frozen=True, slots=True)
class Group:
    """One prompt with its K responses, in the order of k."""

    prompt_id: str
    responses_K: tuple[Response, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judgements say of one group. None is a hole: a question that failed or was never asked.

    `scores_K` from pointwise plans; `preferences_KK[i][j]` is the probability that response i beats response j.
    """

    scores_K: tuple[float | None, ...] | None = None
    preferences_KK: tuple[tuple[float | None, ...], ...] | None = None


def groups_of(responses: Sequence[Response]) -> list[Group]:
    """Responses as groups, in the order in which prompts first appear."""
    by_prompt: dict[str, list[Response]] = defaultdict(list)
    for response in responses:
        by_prompt[response.prompt_id].append(response)
    return [Group(p, tuple(sorted(rows, key=lambda r: r.k))) for p, rows in by_prompt.items()]


def questions(plan: Plan, group: Group) -> list[Question]:
    """The questions that a plan asks of a group: K pointwise ones, or 2 (K - 1) against the baseline, both orders."""
    ids = [r.response_id for r in group.responses_K]
    if plan is Plan.pointwise:
        return [Question(group.prompt_id, [i]) for i in ids]
    baseline = ids[BASELINE]
    others = [i for i in ids if i != baseline]
    return [Question(group.prompt_id, pair) for i in others for pair in ([i, baseline], [baseline, i])]


def verdict(plan: Plan, group: Group, judgements: Sequence[Judgement]) -> Verdict:
    """Aggregate a group's judgements; repeats of a question are averaged, failed ones leave holes."""
    values: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for judgement in judgements:
        if judgement.status != "failed" and judgement.value is not None:
            values[tuple(judgement.response_ids)].append(judgement.value)
    known = {shown: fmean(v) for shown, v in values.items()}
    ids = [r.response_id for r in group.responses_K]
    if plan is Plan.pointwise:
        return Verdict(scores_K=tuple(known.get((i,)) for i in ids))
    return Verdict(preferences_KK=tuple(tuple(_preference(known, a, b) for b in ids) for a in ids))


def _preference(known: dict[tuple[str, ...], float], a: str, b: str) -> float | None:
    """P(a beats b) free of the order shown: (q(a, b) + 1 - q(b, a)) / 2; a hole unless both orders are known."""
    if a == b:
        return 0.5
    if (a, b) not in known or (b, a) not in known:
        return None
    return 0.5 * (known[a, b] + 1.0 - known[b, a])


def is_tied(verdict: Verdict) -> bool:
    """Whether all that is known of a group says the same of every response."""
    if verdict.scores_K is not None:
        known = {score for score in verdict.scores_K if score is not None}
    else:
        known = {against for row in verdict.preferences_KK or () if (against := row[BASELINE]) is not None}
    return len(known) == 1


def questions_per_group(plan: Plan, k: int) -> int:
    """How many questions `questions` returns for a group of k responses."""
    return k if plan is Plan.pointwise else 2 * (k - 1)

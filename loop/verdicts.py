"""Verdicts: what a group's judgements say, and the aggregates of scores and preferences that methods learn from.

Everything here is a pure function, and free of the order in which rows come. None is a hole wherever it stands.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from loop.config import Plan, PlanConfig
from loop.records import Judgement, Purpose, Response, VerdictRow
from loop.verdict import Group, Verdict

Column = tuple[float | None, ...]
Table = tuple[Column, ...]

VETO = -math.inf
"""The score of a response that a constraint does not let pass: it loses against every score, and to none like it."""

CLIP = 1e-4
"""Probabilities are kept this far from 0 and 1 before the logit."""

TAKE_PART: tuple[Purpose, ...] = ("train", "teacher", "explored")
"""Purposes of a group's candidates: the policy's samples, and others that take part like them."""

COMPARED_ONLY: tuple[Purpose, ...] = ("baseline", "opponent")
"""Purposes of responses that the candidates are compared with; they are not candidates themselves."""

GIVEN: tuple[Purpose, ...] = ("chosen", "rejected", "draw")
"""Purposes of responses of which no judge is asked: sides of a pair that are given, and draws for a mixture."""


def groups_of(responses: Sequence[Response]) -> list[Group]:
    """Responses as groups, in the order in which prompts first appear."""
    by_prompt: dict[str, list[Response]] = defaultdict(list)
    for response in responses:
        by_prompt[response.prompt_id].append(response)
    return [Group(p, tuple(sorted(rows, key=lambda r: r.k))) for p, rows in by_prompt.items()]


def candidates(group: Group) -> list[int]:
    """Positions of the responses that take part: the policy's samples, a teacher's and explored ones."""
    return [i for i, response in enumerate(group.responses_K) if response.purpose in TAKE_PART]


def verdict(plan: PlanConfig, group: Group, judgements: Iterable[Judgement]) -> Verdict:
    """Aggregate a group's judgements. Repeats of a question are averaged, without those that failed; where all failed
    there is a hole, and where one is a veto the mean is. A judgement that is given twice, by its id, counts once. Of a
    plan with repeats the verdict keeps each one's value, both orders averaged within it.

    A plan that compares gives P(i beats j) = (q(i, j) + 1 - q(j, i)) / 2, which is free of the order shown; a hole
    unless both orders are known. Where each pair is shown in one order only, that one says it all. Of a plan that asks
    nothing the verdict says nothing.
    """
    if plan.name is Plan.none:
        return Verdict()
    rows = list(judgements)
    known, ids = _known(rows), [r.response_id for r in group.responses_K]
    samples = range(plan.repeats) if plan.repeats > 1 else ()
    repeats = [_known(row for row in rows if row.sample == sample) for sample in samples]
    if plan.name is Plan.pointwise:
        repeats_KS = tuple(tuple(one[i,] for one in repeats if (i,) in one) for i in ids)
        return Verdict(scores_K=tuple(known.get((i,)) for i in ids), repeats_KS=repeats_KS if repeats else None)
    orders = 2 if plan.both_orders else 1
    repeats_KKS = tuple(
        tuple(tuple(p for one in repeats if a != b and (p := _preference(one, a, b, orders)) is not None) for b in ids)
        for a in ids
    )
    return Verdict(
        preferences_KK=tuple(tuple(_preference(known, a, b, orders) for b in ids) for a in ids),
        repeats_KKS=repeats_KKS if repeats else None,
    )


def _known(judgements: Iterable[Judgement]) -> dict[tuple[str, ...], float]:
    """The mean value of each order shown, where there is any."""
    values: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for judgement in {j.judgement_id: j for j in judgements}.values():
        if judgement.status != "failed" and judgement.value is not None:
            values[tuple(judgement.response_ids)].append(judgement.value)
    return {shown: fmean(some) for shown, some in values.items()}


def _preference(known: Mapping[tuple[str, ...], float], a: str, b: str, orders: int) -> float | None:
    """P(a beats b); see `verdict`. The smaller id's side is computed and the other one its complement, so that the two
    add up to 1 exactly."""
    if a == b:
        return 0.5
    if a > b:
        other = _preference(known, b, a, orders)
        return None if other is None else 1.0 - other
    said = [known[a, b]] if (a, b) in known else []
    said += [1.0 - known[b, a]] if (b, a) in known else []
    return fmean(said) if len(said) >= orders else None


def rows_of(verdict: Verdict, group: Group, round: int) -> list[VerdictRow]:
    """A verdict as rows: one per response, or one per two responses, smaller id first; none of one that says
    nothing."""
    ids = [r.response_id for r in group.responses_K]
    if verdict.scores_K is not None:
        repeats_KS = verdict.repeats_KS or ((),) * len(ids)
        return [
            VerdictRow(round, group.prompt_id, one, None, score, list(values_S))
            for one, score, values_S in zip(ids, verdict.scores_K, repeats_KS, strict=True)
        ]
    if verdict.preferences_KK is None:
        return []
    repeats_KKS = verdict.repeats_KKS or (((),) * len(ids),) * len(ids)
    return [
        VerdictRow(round, group.prompt_id, one, other, verdict.preferences_KK[i][j], list(repeats_KKS[i][j]))
        for i, one in enumerate(ids)
        for j, other in enumerate(ids)
        if one < other
    ]


def verdict_of(plan: PlanConfig, rows: Iterable[VerdictRow], group: Group) -> Verdict:
    """The inverse of `rows_of`, exact but for repeats, of which a shard keeps 32 bits."""
    if plan.name is Plan.none:
        return Verdict()
    given = {(row.response_id, row.against): row for row in rows}
    known = {pair: row.value for pair, row in given.items()}
    repeats = {pair: tuple(row.repeats_S) for pair, row in given.items()}
    ids = [r.response_id for r in group.responses_K]
    if plan.name is Plan.pointwise:
        repeats_KS = tuple(repeats.get((one, None), ()) for one in ids)
        scores_K = tuple(known.get((one, None)) for one in ids)
        return Verdict(scores_K=scores_K, repeats_KS=repeats_KS if plan.repeats > 1 else None)

    def beats(a: str, b: str) -> float | None:
        if a == b:
            return 0.5
        value = known.get((min(a, b), max(a, b)))
        return value if value is None or a < b else 1.0 - value

    def each(a: str, b: str) -> tuple[float, ...]:
        values_S = repeats.get((min(a, b), max(a, b)), ())
        return values_S if a < b else tuple(1.0 - value for value in values_S)

    return Verdict(
        preferences_KK=tuple(tuple(beats(a, b) for b in ids) for a in ids),
        repeats_KKS=tuple(tuple(each(a, b) for b in ids) for a in ids) if plan.repeats > 1 else None,
    )


def is_tied(verdict: Verdict) -> bool:
    """Whether the judge saw no difference: two scores or more are known and all are equal, or every known preference
    between two responses is one half."""
    if verdict.scores_K is not None:
        known = [score for score in verdict.scores_K if score is not None]
        return len(known) > 1 and len(set(known)) == 1
    table = verdict.preferences_KK or ()
    return {p for i, row in enumerate(table) for j, p in enumerate(row) if i != j and p is not None} == {0.5}


def bradley_terry(scores_K: Column) -> Table:
    """Preferences `[K, K]` of a Bradley-Terry judge with these scores: P(i beats j) = sigmoid(s_i - s_j), one half on
    the diagonal. A response without a score has no preferences; a vetoed one loses with certainty, and two of them are
    even."""

    def beats(i: int, j: int) -> float | None:
        a, b = scores_K[i], scores_K[j]
        if i == j:
            return 0.5
        if a is None or b is None:
            return None
        return 0.5 if a == b else sigmoid(a - b)

    positions = range(len(scores_K))
    return tuple(tuple(beats(i, j) for j in positions) for i in positions)


def win_rates(preferences_KK: Table) -> Column:
    """P(i beats a response of the group), itself included, `[K]`: the mean of a row with its diagonal one half (SPPO,
    arXiv:2405.00675). A row with a hole is a hole: a mean over fewer opponents would not compare with the others."""
    return tuple(_mean(row) for row in preferences_KK)


def mean_scores(preferences_KK: Table) -> Column:
    """The mean over the group of the skew-symmetric score logit P(i beats j), itself included with 0, `[K]` in logits
    (GPO with a general preference model, arXiv:2410.02197). A row with a hole is a hole."""
    return tuple(_mean([None if p is None else logit(p) for p in row]) for row in preferences_KK)


def _mean(row: Sequence[float | None]) -> float | None:
    known = [value for value in row if value is not None]
    return fmean(known) if len(known) == len(row) else None


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), for any finite x."""
    return 0.5 * (1.0 + math.tanh(0.5 * x))


def logit(p: float) -> float:
    """log(p / (1 - p)), with p kept `CLIP` away from 0 and 1."""
    p = min(max(p, CLIP), 1.0 - CLIP)
    return math.log(p) - math.log1p(-p)


def majority(votes: Iterable[float | None]) -> float | None:
    """1 or 0, as most votes for (above one half) or against (below) say; None when they are even or there is none.
    A vote that could not be read is None and does not count (SPaR, arXiv:2412.11605)."""
    balance = sum((vote > 0.5) - (vote < 0.5) for vote in votes if vote is not None)
    return None if balance == 0 else float(balance > 0)

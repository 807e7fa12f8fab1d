"""Comparison plans: which questions a group's judge is asked next, given what it has answered. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from loop.config import Plan, PlanConfig
from loop.plans.tournament import matches_at_most, play, seeds_of, tournament_result
from loop.records import Judgement, Question, seed_of
from loop.verdict import Group
from loop.verdicts import COMPARED_ONLY, GIVEN, TAKE_PART, candidates, verdict

Subject = tuple[str, ...]
"""The ids of what is asked about: one response, or two that are compared."""

__all__ = ["asked", "next_questions", "questions_per_group", "tournament_result"]


def next_questions(plan: PlanConfig, group: Group, judgements: Sequence[Judgement]) -> list[Question]:
    """The questions that a plan asks of a group once these are answered; none when it is done.

    A failed judgement is an answer: nothing is asked twice. Where a tournament's match comes to a hole, the tournament
    is void and asks no more. What is asked follows from the responses' ids, not from the order of the candidates.
    """
    subjects = _matches(plan, group, judgements) if plan.name is Plan.tournament else _fixed(plan, group)
    answered = {_key(judgement) for judgement in judgements}
    return [q for subject in subjects for q in _about(plan, group, subject) if _key(q) not in answered]


def asked(plan: PlanConfig, group: Group, judgements: Iterable[Judgement]) -> list[Question]:
    """Every question that a plan has asked, in its order, of a judge that answers with these judgements. It ends with
    the questions among which one has no answer yet."""
    given = {_key(judgement): judgement for judgement in judgements}
    questions: list[Question] = []
    while all(_key(q) in given for q in questions) and (
        following := next_questions(plan, group, [given[_key(q)] for q in questions])
    ):
        questions += following
    return questions


def questions_per_group(plan: PlanConfig, taking_part: int, compared_only: int = 0) -> int:
    """How many questions a plan asks of a group in which so many responses take part, and so many are there to be
    compared with; of a tournament, how many at most."""
    k, others = taking_part, compared_only
    subjects = {
        Plan.pointwise: k + others,
        Plan.against_baseline: k if others else max(k - 1, 0),
        Plan.all_pairs: k * (k - 1) // 2 + k * others,
        Plan.tournament: matches_at_most(k),
        Plan.none: 0,
    }
    orders = 2 if plan.both_orders and plan.name is not Plan.pointwise else 1
    return subjects[plan.name] * orders * plan.repeats


def _fixed(plan: PlanConfig, group: Group) -> list[Subject]:
    """What a plan asks about where no answer changes it. Of two responses that are compared one is a candidate."""
    ids, members = [r.response_id for r in group.responses_K], candidates(group)
    match plan.name:
        case Plan.none:
            return []
        case Plan.pointwise:
            return [(r.response_id,) for r in group.responses_K if r.purpose not in GIVEN]
        case Plan.all_pairs:
            compared = [i for i, r in enumerate(group.responses_K) if r.purpose in (*TAKE_PART, *COMPARED_ONLY)]
            return [(ids[i], ids[j]) for i, j in combinations(compared, 2) if i in members or j in members]
    return [(ids[i], ids[group.baseline]) for i in members if i != group.baseline]


def _matches(plan: PlanConfig, group: Group, judgements: Sequence[Judgement]) -> list[Subject]:
    """The matches of a tournament that can be played by now, played ones included; none when it is void."""
    ids = [r.response_id for r in group.responses_K]
    answered = {_key(judgement) for judgement in judgements}
    table = verdict(plan, group, judgements).preferences_KK
    assert table is not None

    def played(i: int, j: int) -> bool:
        return all(_key(q) in answered for q in _about(plan, group, (ids[i], ids[j])))

    matches = play(seeds_of(group), lambda i, j: table[i][j] if played(i, j) else None).matches
    void = any(played(i, j) and table[i][j] is None for i, j in matches)
    return [] if void else [(ids[i], ids[j]) for i, j in matches]


def _about(plan: PlanConfig, group: Group, subject: Subject) -> list[Question]:
    """The questions about one response or two. Where two are shown in one order only, a coin that their ids toss says
    which, so that no response is always shown first."""
    orders = [subject] if len(subject) == 1 else [subject, subject[::-1]]
    if len(subject) == 2 and not plan.both_orders:
        orders = [tuple(sorted(subject, reverse=bool(seed_of("shown first", *sorted(subject)) % 2)))]
    return [Question(group.prompt_id, list(shown), sample) for sample in range(plan.repeats) for shown in orders]


def _key(one: Question | Judgement) -> tuple[tuple[str, ...], int]:
    """What makes a question one of its kind in its group: what is shown in which order, and which repeat it is."""
    return tuple(one.response_ids), one.sample

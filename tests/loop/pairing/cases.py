"""Judged groups for the tests of pairing rules: a few by hand, and all kinds of them by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from loop.pairing import RULES, named_rule
from loop.pairing.found import Found
from loop.records import Response
from loop.verdict import Group, Verdict
from loop.verdicts import Table, bradley_terry
from tests.loop.factories import group, response

Case = tuple[Group, Verdict]


def samples(k: int, **of: Sequence[Any]) -> Group:
    """A group of k different samples with ids id0, id1, ...; `of` gives some fields one value per response."""
    return group(*(replace(response(i), **{name: values[i] for name, values in of.items()}) for i in range(k)))


WITH_OTHERS = {
    "opponent_win_rate": ("train", "train", "train", "baseline"),
    "explored": ("train", "train", "train", "explored"),
    "given": ("train", "train", "train", "rejected"),
    "given_answer": ("chosen", "train", "train", "train"),
}
"""The purposes of four responses in which a rule finds something, where four samples of the policy are not enough."""

OF_A_SEARCH = ("siblings", "refined", "revised")
"""Rules for groups whose responses continue or revise each other."""


def four_for(rule: str) -> Group:
    """A group of four in which that rule finds something."""
    return samples(4, purpose=WITH_OTHERS.get(rule, ("train",) * 4))


def cut(group: Group, *positions: int) -> Group:
    """The group with those responses cut at the token limit."""
    return Group(
        group.prompt_id,
        tuple(replace(r, finish_reason="length") if i in positions else r for i, r in enumerate(group.responses_K)),
    )


def scored(*scores: float | None) -> Verdict:
    """A verdict of scores."""
    return Verdict(scores_K=scores)


def against_first(*strengths: float | None) -> Verdict:
    """Preferences against response 0 only, as the plan against a baseline gives them."""
    return Verdict(preferences_KK=tuple((s, *(None,) * (len(strengths) - 1)) for s in strengths))


def compared(*scores: float) -> Verdict:
    """All preferences of a Bradley-Terry judge with these scores."""
    return Verdict(preferences_KK=bradley_terry(scores))


def found(rule: str, group: Group, verdict: Verdict, truncated_may_win: bool = False, **options: Any) -> list[Found]:
    """What a rule finds with these options in place of its defaults."""
    named, given = named_rule(rule, options)
    return named.of(group, verdict, given, truncated_may_win)


def members(*args: Any, **options: Any) -> list[tuple[int, ...]]:
    """The positions of what a rule finds, as `found`."""
    return [one.members for one in found(*args, **options)]


VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *[(name, {}) for name in RULES],
    *((name, {"min_strength": 0.0, "link": "linear"}) for name in ("ranked", "ranked_adjacent", "best_against_rest")),
    ("ranked", {"length_penalty": 0.125}),
    ("with_baseline", {"min_strength": 0.0}),
    ("all_pairs", {"min_score": 0.0, "gap": 1.0, "student_gap": 0.0, "max_repetition": 0.5}),
    ("length_penalised", {"penalty": 0.5}),
    ("curriculum", {"over": "rounds"}),
    ("length_banded", {"rho": 0.5}),
    ("rejection_sampling", {"pairs": "tournament", "beta": 2.0, "count": 4}),
    ("keep_correct", {"min_score": 0.0, "cap": 2}),
    ("labelled", {"split": "median"}),
    ("self_consistency", {"min_share": 0.0}),
    ("halves_by_certainty", {"count": 2}),
]
"""Every rule with its defaults, and some with other options."""

SCORES = (-1.0, 0.0, 0.5, 1.0, 2.0, 5.0, 6.0)
EIGHTHS = tuple(n / 8 for n in range(9))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Up to eight responses with the same tokens, cut ones and other purposes among them, and a verdict of everything a
    rule may read, with ties and holes. Numbers are dyadic, so that sums are exact in any order."""
    k = draw(st.integers(1, 8))

    def each(*values: Any) -> list[Any]:
        return draw(st.lists(st.sampled_from(values), min_size=k, max_size=k))

    fields = zip(
        draw(st.permutations(range(k))),
        each("a", "b", "ccc", "dd dd dd dd dd dd", "e", "f"),
        each("end", "end", "length"),
        each(*["train"] * 8, "teacher", "baseline", "opponent", "explored", "chosen", "rejected"),
        strict=True,
    )
    responses = [
        replace(response(i, text, finish, id=f"id{n}"), purpose=purpose)
        for i, (n, text, finish, purpose) in enumerate(fields)
    ]
    upper = {(i, j): draw(st.sampled_from((*EIGHTHS, None))) for i in range(k) for j in range(i + 1, k)}
    verdict = Verdict(
        scores_K=tuple(each(*SCORES, None)),
        preferences_KK=_antisymmetric(k, upper),
        objectives_KM=tuple(zip(each(0, 1, 2, None), *(each(0, 1, 1, 1, None) for _ in range(2)), strict=True)),
        answers_K=tuple(each("yes", "yes", "no", "maybe", None)),
        repeats_KS=tuple(each((1.0, 1.0), (0.0, 2.0), (5.0, -1.0, 2.0), (0.5,), ())),
    )
    if draw(st.booleans()):  # without holes between responses: rules that need all preferences find something
        verdict = replace(verdict, preferences_KK=_antisymmetric(k, {ij: p or 0.0 for ij, p in upper.items()}))
    return group(*responses), verdict


def _antisymmetric(k: int, upper: dict[tuple[int, int], float | None]) -> Table:
    def preference(i: int, j: int) -> float | None:
        if i == j:
            return 0.5
        p = upper[min(i, j), max(i, j)]
        return p if p is None or i < j else 1 - p

    return tuple(tuple(preference(i, j) for j in range(k)) for i in range(k))


def picked(case: Case, order: Sequence[int]) -> Case:
    """The case with only these candidates, in this order."""
    group, verdict = case
    columns = {
        name: tuple(getattr(verdict, name)[i] for i in order)
        for name in ("scores_K", "objectives_KM", "answers_K", "repeats_KS")
    }
    table = tuple(tuple(verdict.preferences_KK[i][j] for j in order) for i in order)  # type: ignore[index]
    return Group(group.prompt_id, tuple(group.responses_K[i] for i in order)), Verdict(**columns, preferences_KK=table)


def punched(case: Case, hole: int) -> Case:
    """The case with nothing known of one response."""
    group, verdict = case
    width = range(len(group.responses_K))
    table = tuple(
        tuple(None if hole in (i, j) and i != j else verdict.preferences_KK[i][j] for j in width)  # type: ignore[index]
        for i in width
    )
    return group, Verdict(
        scores_K=tuple(None if i == hole else verdict.scores_K[i] for i in width),  # type: ignore[index]
        preferences_KK=table,
        objectives_KM=tuple((None,) * 3 if i == hole else verdict.objectives_KM[i] for i in width),  # type: ignore[index]
        answers_K=tuple(None if i == hole else verdict.answers_K[i] for i in width),  # type: ignore[index]
        repeats_KS=tuple(() if i == hole else verdict.repeats_KS[i] for i in width),  # type: ignore[index]
    )


def by_ids(case: Case, finds: Sequence[Found]) -> list[tuple[object, ...]]:
    """What was found, told by response ids in place of positions."""
    responses: Sequence[Response] = case[0].responses_K
    return [(*(responses[i].response_id for i in one.members), replace(one, members=())) for one in finds]

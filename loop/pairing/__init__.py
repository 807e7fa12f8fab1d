"""Pairing: from a judged group to examples. One file per family of rules; `RULES` is the table of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

from loop.errors import Refused, nearest
from loop.pairing.all_pairs import ALL_PAIRS, HALVES
from loop.pairing.best_worst import BEST_SECOND, BEST_WORST, LENGTH_PENALISED, MAX_RANDOM
from loop.pairing.certainty import HALVES_BY_CERTAINTY
from loop.pairing.constraint_aware import CONSTRAINT_AWARE
from loop.pairing.curriculum import CURRICULUM
from loop.pairing.explored import EXPLORED
from loop.pairing.found import Found, Options, Rule
from loop.pairing.given import GIVEN
from loop.pairing.given_answer import GIVEN_ANSWER
from loop.pairing.keep import keep_largest
from loop.pairing.length_banded import LENGTH_BANDED
from loop.pairing.listed import LISTED, LISTED_BY_WIN_RATE
from loop.pairing.minimax import MINIMAX
from loop.pairing.opponents import OPPONENT_WIN_RATE
from loop.pairing.ranked import BEST_AGAINST_REST, RANKED, RANKED_ADJACENT, WITH_BASELINE
from loop.pairing.refined import REFINED
from loop.pairing.rejection_sampling import REJECTION_SAMPLING
from loop.pairing.revised import REVISED
from loop.pairing.right_wrong import KEEP_CORRECT, LABELLED, RANDOM_RIGHT_WRONG
from loop.pairing.self_consistency import SELF_CONSISTENCY
from loop.pairing.siblings import SIBLINGS
from loop.pairing.soft_win_rate import SOFT_WIN_RATE
from loop.pairing.tournament import TOURNAMENT
from loop.pairing.unordered import UNORDERED
from loop.pairing.win_rate import WIN_RATE, WIN_RATE_OF_SCORES, WIN_RATE_SKEW
from loop.records import Example, digest_of
from loop.verdict import Group, Verdict
from loop.verdicts import win_rates

__all__ = ["RULES", "Found", "Rule", "example_of", "keep_largest", "named_rule", "pair"]

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        BEST_WORST,
        MAX_RANDOM,
        BEST_SECOND,
        LENGTH_PENALISED,
        LENGTH_BANDED,
        RANKED,
        RANKED_ADJACENT,
        BEST_AGAINST_REST,
        WITH_BASELINE,
        ALL_PAIRS,
        HALVES,
        HALVES_BY_CERTAINTY,
        WIN_RATE,
        WIN_RATE_OF_SCORES,
        WIN_RATE_SKEW,
        SOFT_WIN_RATE,
        OPPONENT_WIN_RATE,
        UNORDERED,
        EXPLORED,
        GIVEN,
        GIVEN_ANSWER,
        TOURNAMENT,
        REJECTION_SAMPLING,
        CURRICULUM,
        CONSTRAINT_AWARE,
        MINIMAX,
        SELF_CONSISTENCY,
        RANDOM_RIGHT_WRONG,
        KEEP_CORRECT,
        LABELLED,
        LISTED,
        LISTED_BY_WIN_RATE,
        REFINED,
        SIBLINGS,
        REVISED,
    )
}


def named_rule(name: str, options: Mapping[str, float | str] | None = None) -> tuple[Rule, Options]:
    """The rule of that name and its options, defaults filled in; with options that let ties through, the rule says so.
    Raises `Refused` for a name, an option or an option's value that there is not."""
    if name not in RULES:
        raise Refused(f"there is no pairing rule named {name!r}{nearest(name, RULES)}; docs/methods.md lists them")
    rule, given = RULES[name], dict(options or {})
    if unknown := sorted(set(given) - set(rule.options)):
        known = ", ".join(sorted(rule.options)) or "none"
        raise Refused(f"pairing rule {name} has no option {unknown[0]!r}; it has {known}")
    for option, value in given.items():
        _check(rule, option, value)
    complete = {**rule.options, **given}
    return replace(rule, ties=True) if rule.ties_with(complete) else rule, complete


def _check(rule: Rule, option: str, value: float | str) -> None:
    said = f"pairing rule {rule.name}: {option}={value}"
    if option in rule.choices:
        if value not in rule.choices[option]:
            raise Refused(f"{said} must be one of {', '.join(rule.choices[option])}")
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{said} must be a number")
    low, high = rule.bounds.get(option, (-inf, inf))
    if not low <= value <= high:  # refuses nan too
        raise Refused(f"{said} must lie between {low:g} and {high:g}")
    if isinstance(rule.options[option], int) and value % 1:
        raise Refused(f"{said} must be a whole number")


def pair(
    rule: Rule, options: Options, group: Group, verdict: Verdict, round: int, truncated_may_win: bool
) -> list[Example]:
    """The examples of one judged group under a rule. Their ids are digests of what they hold. Where a rule reads scores
    and responses were compared, win rates serve (`loop.verdicts.win_rates`)."""
    if rule.reads == "scores" and verdict.preferences_KK is not None:
        verdict = replace(verdict, scores_K=win_rates(verdict.preferences_KK))
    return [example_of(group, round, found) for found in rule.of(group, verdict, options, truncated_may_win)]


def example_of(group: Group, round: int, found: Found) -> Example:
    """A pairing's find as a row."""
    ids = [group.responses_K[i].response_id for i in found.members]
    return Example(
        example_id=digest_of("example", round, ids, found.roles),
        round=round,
        prompt_id=group.prompt_id,
        response_ids=ids,
        roles=list(found.roles),
        labels=list(found.labels),
        strength=found.strength,
        margin=found.margin,
        weight=found.weight,
        stage=found.stage,
        gain=found.gain,
    )

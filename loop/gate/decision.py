"""The gate's decision. A pure function: the caller has not asked it where nothing was learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loop.errors import Stopped
from loop.evaluation.comparison import Comparison, Opponent
from loop.evaluation.win_rate import compare, lower_bound
from loop.gate.power import power
from loop.gate.result import GateResult
from loop.gate.rule import GateRule


@dataclass(frozen=True, slots=True)
class Match:
    """The candidate's answers to the gate's prompts beside those of `version` (a label). By prompt: `outcomes`, the
    probability that the candidate's is better, and `lengths`, the mean numbers of tokens of the candidate's and the
    other's answers."""

    version: str
    outcomes: Mapping[str, float]
    lengths: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Tried:
    """A comparison and the lower bound that decides."""

    comparison: Comparison
    lower: float


def decide(rule: GateRule, candidate: str, incumbent: Match, best: Match | None, seed: int) -> GateResult:
    """Promote the candidate (a label) when the lower bounds of its win rates against the incumbent and against the best
    promoted policy so far are both above `rule.bound`. `best` is None where it is the incumbent; then there is one
    comparison.

    Raises: Stopped when no prompt has an outcome, which is no reason to reject and none to promote.
    """
    tried = [_try("incumbent", rule, candidate, incumbent, seed)]
    if best is not None:
        tried.append(_try("best", rule, candidate, best, seed))
    worst = min(tried, key=lambda one: one.lower)
    promoted = worst.lower > rule.bound
    seen = power(rule, list(incumbent.outcomes.values()))
    return GateResult(
        decision="promoted" if promoted else "rejected",
        candidate=candidate,
        incumbent=incumbent.version,
        reason="; ".join(_said(one, rule.bound) for one in (tried if promoted else [worst])),
        bound=rule.bound,
        detectable=seen.detectable,
        equal_promoted=seen.equal_promoted,
        comparisons=[one.comparison for one in tried],
    )


def _try(against: Opponent, rule: GateRule, candidate: str, match: Match, seed: int) -> _Tried:
    if not match.outcomes:
        raise Stopped(
            f"The gate cannot compare {candidate} with {_name(against)} ({match.version}): no prompt of the gate has "
            "an answer of each with a known judgement."
        )
    lower = lower_bound([match.outcomes[one] for one in sorted(match.outcomes)], rule.confidence, seed)
    return _Tried(compare(against, match.version, match.outcomes, match.lengths, seed), lower)


def _said(one: _Tried, bound: float) -> str:
    """Part of a sentence: the rate, its lower bound and what it had to exceed."""
    met, its = one.comparison, "is above" if one.lower > bound else "is not above"
    return (
        f"win rate {_percent(met.win_rate)} against {_name(met.against)} ({met.version}) over {met.prompts} prompts; "
        f"its lower bound {_percent(one.lower)} {its} {_percent(bound)}"
    )


def _name(against: Opponent) -> str:
    return "the incumbent" if against == "incumbent" else "the best promoted policy"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"

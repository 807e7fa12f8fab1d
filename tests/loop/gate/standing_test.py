"""Which policies stand after promotions and rejections."""

from __future__ import annotations

from loop.evaluation.comparison import Comparison
from loop.gate.result import Decision, GateResult
from loop.gate.rule import GateRule
from loop.gate.standing import Standing, standing
from loop.records import INITIAL, PolicyVersion
from loop.summary import RoundSummary
from tests.loop.stub_fleets import composed


def version(label: str) -> PolicyVersion:
    return PolicyVersion.parse(label)


def judged(round: int, candidate: str, decision: Decision, ended: str, rate: float = 0.6) -> RoundSummary:
    """A round whose candidate the gate judged; `rate` is its win rate against the initial policy."""
    told = [Comparison("initial", "r0-s0", 10, rate, rate - 0.1, rate + 0.1)]
    gate = GateResult(decision, candidate, "", "", 0.5, 0.0, 0.0, told)
    return RoundSummary(round, ended, candidate=candidate, gate=gate)


def unjudged(round: int, candidate: str) -> RoundSummary:
    """A round whose candidate the gate did not judge."""
    return RoundSummary(round, candidate, candidate=candidate)


def test_before_any_promotion_the_initial_policy_stands() -> None:
    assert standing([]) == Standing(INITIAL, INITIAL, 0, frozenset())
    assert standing([unjudged(1, "r1-s3")]).incumbent == INITIAL


def test_a_promoted_candidate_is_the_incumbent_and_ends_the_rejections() -> None:
    rounds = [judged(1, "r1-s3", "rejected", "r0-s0"), judged(2, "r2-s3", "promoted", "r2-s3")]
    assert standing(rounds[:1]) == Standing(INITIAL, INITIAL, 1, frozenset({version("r1-s3")}))
    assert standing(rounds) == Standing(version("r2-s3"), version("r2-s3"), 0, frozenset({version("r1-s3")}))


def test_the_best_is_the_promoted_one_that_wins_most_against_the_initial_policy() -> None:
    rounds = [
        judged(1, "r1-s3", "promoted", "r1-s3", 0.9),
        judged(2, "r2-s6", "promoted", "r2-s6", 0.88),
        judged(3, "r3-s9", "rejected", "r2-s6", 0.95),
    ]
    stands = standing(rounds)
    assert (stands.incumbent, stands.best, stands.rejections) == (version("r2-s6"), version("r1-s3"), 1)
    assert stands.rivals == {"incumbent": version("r2-s6"), "best": version("r1-s3"), "initial": INITIAL}
    level = [*rounds[:2], judged(3, "r3-s9", "promoted", "r3-s9", 0.9)]
    assert standing(level).best == version("r3-s9")


def test_a_candidate_worse_than_the_initial_policy_is_promoted_without_becoming_the_best() -> None:
    assert standing([judged(1, "r1-s3", "promoted", "r1-s3", 0.49)]).best == INITIAL


def test_a_rejection_discards_all_that_was_made_since_the_incumbent() -> None:
    rounds = [
        unjudged(1, "r1-s3"),
        judged(2, "r2-s6", "promoted", "r2-s6"),
        unjudged(3, "r3-s9"),
        judged(4, "r4-s12", "rejected", "r2-s6"),
    ]
    assert standing(rounds).discarded == {version("r3-s9"), version("r4-s12")}
    after = [*rounds, unjudged(5, "r5-s9"), judged(6, "r6-s12", "rejected", "r2-s6")]
    assert standing(after).discarded == {version(v) for v in ("r3-s9", "r4-s12", "r5-s9", "r6-s12")}
    assert standing(after).rejections == 2


def test_a_round_that_learns_nothing_discards_nothing_that_stands() -> None:
    rounds = [
        judged(1, "r1-s3", "promoted", "r1-s3"),
        unjudged(2, "r1-s3"),
        judged(3, "r3-s6", "rejected", "r1-s3"),
    ]
    assert standing(rounds).discarded == {version("r3-s6")}


def test_the_gates_that_can_be_configured_are_the_rules_they_are_called() -> None:
    tolerant, strict, off = (composed(f"gate={name}").gate for name in ("tolerant", "strict", "off"))
    assert GateRule(tolerant.tolerance, tolerant.confidence) == GateRule()
    assert GateRule(strict.tolerance, strict.confidence) == GateRule(0.0, 0.95) and strict.enabled
    assert tolerant.enabled and not off.enabled

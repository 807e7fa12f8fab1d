from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from scipy.stats import beta

from loop.errors import Stopped
from loop.gate.decision import Match, decide
from loop.gate.power import power
from loop.gate.result import GateResult
from loop.gate.rule import GateRule

RULE = GateRule(tolerance=0.03, confidence=0.9)


def match(version: str, won: int, lost: int) -> Match:
    outcomes = {f"p{i:03}": float(i < won) for i in range(won + lost)}
    return Match(version, outcomes, {one: (6.0, 5.0 + i % 3) for i, one in enumerate(outcomes)})


def test_a_lower_bound_above_the_bound_promotes() -> None:
    result = decide(RULE, "r3-s36", match("r2-s24", 260, 140), None, seed=0)
    low = 100 * beta.ppf(0.1, 260.5, 140.5)  # 61.9
    assert result.decision == "promoted"
    assert low == pytest.approx(61.9, abs=0.05)
    assert (result.candidate, result.incumbent, result.bound) == ("r3-s36", "r2-s24", pytest.approx(0.47))
    before, after = result.reason.split("its lower bound ")
    assert before == "win rate 65.0 % against the incumbent (r2-s24) over 400 prompts; "
    assert float(after.split()[0]) == pytest.approx(low, abs=0.2)
    assert after.endswith(" % is above 47.0 %")
    (one,) = result.comparisons
    assert (one.against, one.version, one.prompts, one.win_rate) == ("incumbent", "r2-s24", 400, pytest.approx(0.65))


def test_one_that_is_not_above_rejects_although_the_rate_is() -> None:
    result = decide(RULE, "r3-s36", match("r2-s24", 195, 205), None, seed=0)
    assert beta.ppf(0.1, 195.5, 205.5) < 0.47 < 195 / 400
    assert result.decision == "rejected"
    assert "win rate 48.8 % against the incumbent (r2-s24)" in result.reason
    assert result.reason.endswith(" % is not above 47.0 %")


def test_the_bound_is_a_bound_of_the_asked_confidence() -> None:
    # 200 of 400: one half, with a lower bound of 0.5 - 0.0320 at 90 % and 0.5 - 0.0211 at 80 %
    even = match("r2-s24", 200, 200)
    assert decide(GateRule(0.03, 0.9), "r3-s36", even, None, seed=0).decision == "rejected"
    assert decide(GateRule(0.03, 0.8), "r3-s36", even, None, seed=0).decision == "promoted"
    assert decide(GateRule(0.034, 0.9), "r3-s36", even, None, seed=0).decision == "promoted"


def test_the_best_promoted_policy_has_to_be_held_too() -> None:
    better, worse = match("r2-s24", 260, 140), match("r1-s12", 180, 220)
    result = decide(RULE, "r3-s36", better, worse, seed=0)
    assert result.decision == "rejected"
    assert result.reason.startswith("win rate 45.0 % against the best promoted policy (r1-s12) over 400 prompts; ")
    assert [one.against for one in result.comparisons] == ["incumbent", "best"]
    assert result.incumbent == "r2-s24"
    other = decide(RULE, "r3-s36", match("r2-s24", 180, 220), match("r1-s12", 260, 140), seed=0)
    assert other.decision == "rejected"
    assert "the incumbent (r2-s24)" in other.reason and "best" not in other.reason
    held = decide(RULE, "r3-s36", better, match("r1-s12", 240, 160), seed=0)
    assert held.decision == "promoted"
    assert "the incumbent (r2-s24)" in held.reason and "the best promoted policy (r1-s12)" in held.reason


def test_it_says_what_it_could_have_seen_against_the_incumbent() -> None:
    incumbent = match("r2-s24", 60, 40)
    result = decide(RULE, "r3-s36", incumbent, match("r1-s12", 500, 400), seed=0)
    seen = power(RULE, list(incumbent.outcomes.values()))
    assert (result.detectable, result.equal_promoted) == (seen.detectable, seen.equal_promoted)


@pytest.mark.parametrize("best", [None, match("r1-s12", 3, 1)])
def test_without_a_known_pair_it_stops(best: Match | None) -> None:
    with pytest.raises(Stopped, match=r"cannot compare r3-s36 with the incumbent \(r2-s24\): no prompt of the gate"):
        decide(RULE, "r3-s36", Match("r2-s24", {}, {}), best, seed=0)
    with pytest.raises(Stopped, match=r"the best promoted policy \(r1-s12\)"):
        decide(RULE, "r3-s36", match("r2-s24", 3, 1), Match("r1-s12", {}, {}), seed=0)


def test_it_decides_the_same_again_and_survives_json() -> None:
    result = decide(RULE, "r3-s36", match("r2-s24", 210, 190), match("r1-s12", 200, 200), seed=5)
    assert decide(RULE, "r3-s36", match("r2-s24", 210, 190), match("r1-s12", 200, 200), seed=5) == result
    assert GateResult.from_json(json.loads(json.dumps(asdict(result)))) == result

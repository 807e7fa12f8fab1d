from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.errors import Refused
from loop.judge_config import Combine, Disagreement, EnsembleConfig, JudgeKind
from loop.judges.ensemble import Ensemble, combined_score, preference
from loop.judges.judge import Reply
from tests.loop.judges.scripted import Scripted, Told, pair, said, single

INF = math.inf


def config(combine: str = "mean", disagreement: str = "ignore", **changed: Any) -> EnsembleConfig:
    return EnsembleConfig(
        "ensemble", JudgeKind.ensemble, combine=Combine(combine), disagreement=Disagreement(disagreement), **changed
    )


def of(*values: Told, config: EnsembleConfig, compared: bool = False) -> Reply:
    """The reply of an ensemble whose members say this."""
    asked = pair("a", "b") if compared else single("a")
    members = {f"m{n}": Scripted({"|".join(asked.texts): value}, cut=n) for n, value in enumerate(values)}
    (reply,) = Ensemble(config, members).answer([asked], "r0-s0")
    return reply


@pytest.mark.parametrize(
    ("combine", "penalty", "expected"),
    [
        ("mean", 1.0, 2.0),
        ("minimum", 1.0, 0.0),
        # Coste et al.: mean less the members' variance, 8/3 here
        ("pessimistic", 1.0, 2.0 - 8 / 3),
        ("pessimistic", 0.5, 2.0 - 4 / 3),
    ],
)
def test_scores_are_combined(combine: str, penalty: float, expected: float) -> None:
    reply = of(0.0, 2.0, 4.0, config=config(combine, penalty=penalty))
    assert reply.status == "decided"
    assert reply.value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("combine", "members", "expected"),
    [
        ("mean", (0.9, 0.7, 0.2), 0.6),
        ("minimum", (0.9, 0.7, 0.8), 0.7),
        ("minimum", (0.1, 0.3, 0.2), 0.3),
        ("minimum", (0.9, 0.4, 0.8), 0.5),
        ("pessimistic", (0.9, 0.7, 0.5), 0.7 - 0.08 / 3),
        ("pessimistic", (0.1, 0.3, 0.5), 0.3 + 0.08 / 3),
        ("pessimistic", (1.0, 0.02), 0.5),  # shrinks to one half, not past it
    ],
)
def test_preferences_are_combined(combine: str, members: tuple[float, ...], expected: float) -> None:
    reply = of(*members, config=config(combine, penalty=1.0 if len(members) == 3 else 5.0), compared=True)
    assert reply.status == ("undecided" if expected == 0.5 else "decided")
    assert reply.value == pytest.approx(expected)


def test_a_strength_is_the_share_of_members_that_prefer_the_first() -> None:
    by_share = config(disagreement="strength")
    assert of(0.9, 0.6, 0.51, 0.1, config=by_share, compared=True).value == pytest.approx(0.75)
    assert of(0.9, 0.5, config=by_share, compared=True).value == pytest.approx(0.75), "a tie is half a vote"
    assert said(of(0.9, 0.1, config=by_share, compared=True)) == ("undecided", 0.5)
    assert of(0.1, 0.4, config=by_share, compared=True).value == 0.0


def test_a_margin_shrinks_with_the_members_standard_deviation() -> None:
    shrinking = config(disagreement="margin")
    # 0.8 and 0.5 have the logits log 4 and 0, whose deviation is log 2; their mean 0.65 has logit 0.619039
    reply = of(0.8, 0.5, config=shrinking, compared=True)
    assert reply.value == pytest.approx(1 / (1 + math.exp(-math.log(0.65 / 0.35) / (1 + math.log(2)))))
    assert of(0.2, 0.5, config=shrinking, compared=True).value == 1.0 - (reply.value or 0.0)
    assert of(1.0, 1.0, config=shrinking, compared=True).value == 1.0, "they agree"


def test_members_that_differ_too_much_abstain() -> None:
    abstaining = config(disagreement="abstain", max_spread=0.25)
    assert said(of(0.0, 0.5, config=abstaining)) == ("decided", 0.25), "up to the threshold"
    assert said(of(0.0, 0.6, config=abstaining)) == ("undecided", None), "a single score has no middle"
    assert said(of(0.9, 0.3, config=abstaining, compared=True)) == ("undecided", 0.5)
    assert of(0.9, 0.5, config=abstaining, compared=True).value == pytest.approx(0.7)
    assert said(of("abstains", 0.5, config=config())) == ("undecided", None), "a member may abstain itself"
    assert said(of("abstains", 0.9, config=config(), compared=True)) == ("undecided", 0.5)


@pytest.mark.parametrize("disagreement", ["ignore", "strength", "margin"])
def test_only_abstaining_concerns_scores(disagreement: str) -> None:
    assert of(0.0, 9.0, config=config(disagreement=disagreement)).value == 4.5


@pytest.mark.parametrize("compared", [False, True])
@pytest.mark.parametrize("broken", [None, math.nan, INF])
def test_one_failed_member_fails_the_ensemble(broken: float | None, compared: bool) -> None:
    for disagreement in Disagreement:
        reply = of(0.9, broken, "abstains", config=config("pessimistic", disagreement.value), compared=compared)
        assert said(reply) == ("failed", None)


@pytest.mark.parametrize("combine", Combine)
@pytest.mark.parametrize("disagreement", Disagreement)
def test_a_member_s_veto_is_the_ensemble_s(combine: Combine, disagreement: Disagreement) -> None:
    assert combined_score(config(combine.value, disagreement.value), [1.0, -INF, 2.0]) == -INF


def test_the_raw_reply_names_each_member() -> None:
    reply = of(0.5, None, -INF, config=config())
    assert json.loads(reply.raw) == {
        "m0": {"status": "decided", "value": 0.5},
        "m1": {"status": "failed", "value": None},
        "m2": {"status": "decided", "value": "vetoed"},
    }
    assert reply.cut == 0 + 1 + 2


def test_each_question_gets_its_own_members_replies() -> None:
    members = {"m": Scripted({"a": 1.0, "b": 2.0}), "n": Scripted({"a": 3.0, "b": None})}
    ensemble = Ensemble(config(), members)
    replies = ensemble.answer([single("b"), single("a")], "r0-s0")
    assert [said(reply) for reply in replies] == [("failed", None), ("decided", 2.0)]
    assert ensemble.usage() == {"m.questions": 2.0, "n.questions": 2.0}
    assert (members["m"].batches, members["n"].batches) == (1, 1)


half = st.floats(0.5, 1.0)
complements = half | half.map(lambda p: 1.0 - p)


@given(st.lists(complements, min_size=2, max_size=5), st.sampled_from(Combine), st.sampled_from(Disagreement))
def test_turned_questions_add_up_to_one_exactly(
    members: list[float], combine: Combine, disagreement: Disagreement
) -> None:
    for penalty in (0.3, 20.0):
        settings = config(combine.value, disagreement.value, penalty=penalty)
        p, q = preference(settings, members), preference(settings, [1.0 - one for one in members])
        assert p == 1.0 - q and 0.0 <= p <= 1.0
        if all(one > 0.5 for one in members) and disagreement is Disagreement.ignore:
            assert 0.5 <= p <= sum(members) / len(members) + 1e-12, "caution does not make it clearer"


def test_a_version_changes_with_settings_members_and_policy() -> None:
    judges = {"m": Scripted({}, "one"), "n": Scripted({}, "two")}
    others = {"m": Scripted({}, "one"), "n": Scripted({}, "three")}
    renamed = {"m": Scripted({}, "one"), "o": Scripted({}, "two")}
    ensembles = [
        Ensemble(config(), judges),
        Ensemble(config(), others),
        Ensemble(config(), renamed),
        Ensemble(config("minimum"), judges),
        Ensemble(config("mean", "strength"), judges),
        Ensemble(config(penalty=2.0), judges),
        Ensemble(config(max_spread=0.5), judges),
    ]
    versions = [one.version("r0-s0") for one in ensembles] + [ensembles[0].version("r1-s4")]
    assert len(set(versions)) == len(versions)
    assert versions[0] == Ensemble(config(), judges).version("r0-s0")
    assert versions[0].startswith("ensemble-mean-") and len(versions[0]) == len("ensemble-mean-") + 8


def test_one_judge_is_no_ensemble() -> None:
    with pytest.raises(Refused, match="needs two members or more, this one has 1"):
        Ensemble(config(), {"m": Scripted({})})

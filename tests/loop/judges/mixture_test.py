from __future__ import annotations

import json
import math

import pytest

from loop.errors import Refused
from loop.judge_config import JudgeKind, MixtureConfig
from loop.judges.comparing import Comparing
from loop.judges.mixture import Mixture
from tests.loop.judges.scripted import Scripted, Told, pair, said, single

INF = math.inf
CONFIG = MixtureConfig("mixture", JudgeKind.mixture)
SAFE: dict[str, Told] = {
    "good": 1.0,
    "bad": 0.0,
    "worse": -5.0,
    "edge": 0.5,
    "broken": None,
    "unsure": "abstains",
    "vetoed": -INF,
}
SHORT: dict[str, Told] = {**dict.fromkeys(SAFE, 1.0), "worse": 0.0}


def mixture(rewards: dict[str, Told], passes: float = 0.5) -> Mixture:
    """Two constraints and a reward that compares by scores."""
    config = MixtureConfig("mixture", JudgeKind.mixture, passes=passes)
    reward = Comparing(Scripted(rewards), certain=False)
    return Mixture(config, {"safe": Scripted(SAFE, cut=1), "reward": reward, "short": Scripted(SHORT, cut=10)})


@pytest.mark.parametrize(
    ("text", "reward", "expected"),
    [
        ("good", -7.0, ("decided", -7.0)),
        ("edge", 2.0, ("decided", 2.0)),
        ("bad", 9.0, ("decided", -INF)),
        ("worse", -9.0, ("decided", -INF)),
        ("vetoed", 9.0, ("decided", -INF)),
        ("broken", 9.0, ("failed", None)),
        ("unsure", 9.0, ("undecided", None)),
        ("good", None, ("failed", None)),
        ("good", math.nan, ("failed", None)),
        ("good", "abstains", ("undecided", None)),
    ],
)
def test_a_score_is_the_reward_s_or_a_veto(text: str, reward: Told, expected: tuple[str, float | None]) -> None:
    (reply,) = mixture({text: reward}).answer([single(text)], "r0-s0")
    assert said(reply) == expected


def test_a_reward_below_zero_never_lets_a_vetoed_response_win() -> None:
    good, bad = mixture({"good": -100.0, "bad": -1.0}).answer([single("good"), single("bad")], "r0-s0")
    assert good.value is not None and bad.value is not None and good.value > bad.value


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("good", "bad", ("decided", 1.0)),
        ("bad", "edge", ("decided", 0.0)),
        ("bad", "worse", ("undecided", 0.5)),
        ("good", "edge", ("decided", 1 - 0.7310585786300049)),
        ("good", "good", ("undecided", 0.5)),
        ("good", "broken", ("failed", None)),
        ("broken", "bad", ("failed", None)),
        ("unsure", "bad", ("undecided", 0.5)),
    ],
)
def test_constraints_come_before_the_reward(first: str, second: str, expected: tuple[str, float | None]) -> None:
    rewards: dict[str, Told] = {"good": 1.0, "edge": 2.0}
    (reply,) = mixture(rewards).answer([pair(first, second)], "r0-s0")
    assert reply.status == expected[0]
    assert reply.value == (None if expected[1] is None else pytest.approx(expected[1]))


def test_the_reward_is_asked_only_where_it_decides() -> None:
    judge = mixture({"good": 1.0, "edge": 2.0})
    judge.answer([single("bad"), single("good"), single("broken"), pair("good", "bad"), pair("bad", "worse")], "r0-s0")
    assert judge.usage()["reward.questions"] == 1.0
    judge.answer([single("unsure")], "r0-s0")
    assert judge.usage() == {"reward.questions": 1.0, "safe.questions": 7.0, "short.questions": 7.0}


def test_a_constraint_is_passed_from_a_threshold_on() -> None:
    assert said(*mixture({"edge": 2.0}, passes=0.51).answer([single("edge")], "r0-s0")) == ("decided", -INF)


def test_the_raw_reply_names_constraints_and_reward() -> None:
    judge = mixture({"good": 1.0, "edge": 2.0})
    vetoed, compared = judge.answer([single("vetoed"), pair("good", "edge")], "r0-s0")
    assert json.loads(vetoed.raw) == {
        "constraints": {
            "safe": [{"status": "decided", "value": "vetoed"}],
            "short": [{"status": "decided", "value": 1.0}],
        },
        "reward": None,
    }
    told = json.loads(compared.raw)
    assert [one["value"] for one in told["constraints"]["safe"]] == [1.0, 0.5]
    assert told["reward"] == {"status": "decided", "value": compared.value}
    assert (vetoed.cut, compared.cut) == (11, 22)


def test_a_mixture_needs_a_reward_and_a_constraint() -> None:
    for members in ({}, {"reward": Scripted({})}, {"safe": Scripted({}), "short": Scripted({})}):
        with pytest.raises(Refused, match="needs a member named reward and at least one constraint"):
            Mixture(CONFIG, members)


def test_a_version_changes_with_settings_members_and_policy() -> None:
    def version(passes: float = 0.5, safe: str = "one", policy: str = "r0-s0") -> str:
        config = MixtureConfig("mixture", JudgeKind.mixture, passes=passes)
        return Mixture(config, {"safe": Scripted({}, safe), "reward": Scripted({})}).version(policy)

    assert len({version(), version(0.6), version(safe="two"), version(policy="r1-s4")}) == 4
    assert version() == version() and version().startswith("mixture-")

from __future__ import annotations

from loop.composition import compose
from loop.judge_schedule import is_new, judge_of, schedule_problems

LATER = [
    "+judge@later_judges.third=verifier",
    "later_judges.third.from_round=5",
    "+judge@later_judges.second=self",
    "later_judges.second.from_round=3",
]


def test_the_last_judge_whose_round_has_come_judges() -> None:
    config = compose(["experiment=demo", *LATER])
    kinds = [judge_of(config, round).kind.value for round in range(1, 7)]
    assert kinds == ["verifier", "verifier", "self", "self", "verifier", "verifier"]
    assert [round for round in range(1, 7) if is_new(config, round)] == [1, 3, 5]
    assert judge_of(config, 6) is config.later_judges["third"]
    assert list(schedule_problems(config)) == []


def test_two_judges_of_one_round_and_one_of_the_first_are_problems() -> None:
    config = compose(["experiment=demo", *LATER, "later_judges.second.from_round=5"])
    assert "both begin in round 5" in "".join(schedule_problems(config))
    config = compose(["experiment=demo", *LATER, "later_judges.second.from_round=1"])
    assert "later_judges.second.from_round=1: must be at least 2" in "".join(schedule_problems(config))

"""Which judge judges a round."""

from __future__ import annotations

from collections.abc import Iterator

from loop.config import RunConfig
from loop.judge_config import JudgeConfig


def judge_of(config: RunConfig, round: int) -> JudgeConfig:
    """The judge of a round: the last one of the schedule whose first round has come."""
    begun = [judge for judge in config.later_judges.values() if judge.from_round <= round]
    return max(begun, key=lambda judge: judge.from_round, default=config.judge)


def is_new(config: RunConfig, round: int) -> bool:
    """Whether a round is the first one of its judge."""
    return round == 1 or judge_of(config, round) is not judge_of(config, round - 1)


def schedule_problems(config: RunConfig) -> Iterator[str]:
    """What is wrong with the schedule, one sentence each."""
    rounds: dict[int, str] = {}
    for name, judge in config.later_judges.items():
        if judge.from_round < 2:
            yield f"later_judges.{name}.from_round={judge.from_round}: must be at least 2; `judge` judges round 1"
        if (other := rounds.setdefault(judge.from_round, name)) != name:
            yield f"later_judges.{name} and later_judges.{other} both begin in round {judge.from_round}"

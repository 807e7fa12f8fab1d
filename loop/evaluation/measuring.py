"""The phase in which a policy is measured on prompts that no round learns from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from loop.evaluation.results import Tables
from loop.evaluation.splits import DEFENCE, Split, splits_in
from loop.fleets import Contest, Fleets
from loop.judges.capabilities import capabilities_of, examiner_of
from loop.recorder import Recorder
from loop.records import INITIAL, PolicyVersion, ShardRef
from loop.requests import evaluation_requests, is_plain
from loop.serving import served
from loop.task import Task

Rivals = Mapping[PolicyVersion, Tables]
"""The policies with whom one is compared, and what was measured of each."""


def evaluate(task: Task, fleets: Fleets, round: Recorder, policy: PolicyVersion, rivals: Rivals) -> None:
    """Sample answers to the held-out prompts whose turn it is and have them scored, or compared with the rivals' where
    the judge of evaluation does not score; measure how far the policy is from the initial one (the KL divergence, which
    samples of a sharpened or truncated policy would not give)."""
    for split in splits_in(task.config, round.number):
        answers, total = _answers(task, fleets, round, policy, split)
        if capabilities_of(examiner_of(task.config)).pointwise:
            _score(fleets, round, policy, split, answers, total)
        else:
            contests = list(_contests(list(answers), split, rivals))
            comparing = partial(fleets.compare, policy=policy, table=split.contests)
            round.drain(split.scoring, split.contests, comparing, contests, 2 * total * len(rivals))
    if round.count("evaluation_responses") and policy.step and is_plain(task.config.rollout):
        sampled = round.shards("evaluation_responses")
        initially = partial(fleets.log_probs, "evaluation_anchors", round.number, sampled, INITIAL)
        round.together("kl", "evaluation_anchors", initially, int(round.count("evaluation_responses")))


def answer_again(task: Task, fleets: Fleets, round: Recorder, policy: PolicyVersion) -> None:
    """A policy that was promoted answers the gate's prompts afresh, for the gates to come."""
    answers, total = _answers(task, fleets, round, policy, DEFENCE)
    if capabilities_of(examiner_of(task.config)).pointwise:
        _score(fleets, round, policy, DEFENCE, answers, total)
    else:
        list(answers)


def _answers(
    task: Task, fleets: Fleets, round: Recorder, policy: PolicyVersion, split: Split
) -> tuple[Iterator[ShardRef], int]:
    asked = evaluation_requests(task, round.number, policy, split)
    total = len(split.prompts(task.pool)) * task.config.evaluate.samples
    return round.stream(split.answering, split.answers, served(fleets, policy, fleets.generate), asked, total), total


def _score(
    fleets: Fleets, round: Recorder, policy: PolicyVersion, split: Split, answers: Iterator[ShardRef], total: int
) -> None:
    scoring = served(fleets, policy, partial(fleets.judge, policy=policy, table=split.scores))
    round.drain(split.scoring, split.scores, scoring, answers, total)


def _contests(answers: Sequence[ShardRef], split: Split, rivals: Rivals) -> Iterator[Contest]:
    """Every shard of answers with every rival's, numbered through."""
    for number, theirs in enumerate(rivals.values()):
        if others := theirs(split.answers):
            yield from (Contest(number * len(answers) + ref.shard, ref, tuple(others)) for ref in answers)

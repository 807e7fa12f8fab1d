"""The loop: rounds of generate, judge, pair, anchor, learn, push and evaluate, in the order in which they happen.

The driver moves shard handles between the fleets that it is handed and never sees a row; all it decides with are
counts.
"""

from __future__ import annotations

from collections.abc import Iterator

from loop.book import Book
from loop.errors import Stopped
from loop.fleets import Fleets
from loop.prompts.drawing import draw
from loop.recorder import Recorder
from loop.records import PolicyVersion, ShardRef
from loop.requests import evaluation_requests, is_plain, train_requests
from loop.summary import RunSummary
from loop.task import Task


def run(task: Task, fleets: Fleets, book: Book) -> RunSummary:
    """Improve the policy for as many rounds as configured. Raises: Stopped, InfrastructureFailed."""
    config, policy = task.config, PolicyVersion(0, 0)
    start = book.round(0)
    evaluate(task, fleets, start, policy)
    start.push_gap = start.do("probe", fleets.meet)
    book.close(start, policy)
    for number in range(1, config.rounds + 1):
        round = book.round(number)
        answers = generate(task, fleets, round, policy)
        round.drain("judge", fleets.judge(answers), task.questions, "judgements")
        refuse_noise(round, config.judge.max_failed)
        pairs = fleets.pair(round.shards("responses"), round.shards("judgements"))
        examples = round.drain("pair", pairs, 0, "examples")
        if round.count("examples"):
            policy = learn(fleets, round, examples, policy)
        else:
            round.note("No group gave an example, so nothing was learnt: the policy is unchanged, bit for bit.")
        if is_due(config.evaluate.every, number, config.rounds):
            evaluate(task, fleets, round, policy)
        if is_due(config.export.every, number, config.rounds):
            export(task, fleets, round, policy)
        book.close(round, policy)
    return book.finish()


def generate(task: Task, fleets: Fleets, round: Recorder, policy: PolicyVersion) -> Iterator[ShardRef]:
    """K responses for each of the round's prompts, shard by shard as they are sampled."""
    drawn = draw(task.pool, round.number, task.config.prompts.per_round, task.config.seed)
    for notice in drawn.notices:
        round.note(notice)
    asked = train_requests(task, round.number, policy, drawn.prompt_ids)
    return round.stream("generate", fleets.generate(asked), len(drawn.prompt_ids) * task.config.algorithm.k, "answers")


def learn(fleets: Fleets, round: Recorder, examples: list[ShardRef], policy: PolicyVersion) -> PolicyVersion:
    """Anchor, learn and push; the version that the engines now serve. The policy stays when every step was skipped."""
    responses = round.shards("responses")
    anchors = round.drain("anchor", fleets.anchor(round.number, examples, responses), 0, "answers")
    report = round.do("learn", lambda: fleets.learn(round.number, examples, responses, anchors))
    round.learned(report)
    if report.steps == 0:
        return policy
    version = PolicyVersion(round.number, policy.step + report.steps)
    round.pushed(version, round.do("push", lambda: fleets.push(version)))
    return version


def evaluate(task: Task, fleets: Fleets, round: Recorder, policy: PolicyVersion) -> None:
    """Sample answers to the test prompts and score them; measure how far the policy is from the initial one (the KL
    divergence, which samples of a sharpened or truncated policy would not give)."""
    asked = evaluation_requests(task, round.number, policy)
    total = len(task.pool.test) * task.config.evaluate.samples
    answers = round.stream("evaluate", fleets.generate(asked), total, "answers")
    round.drain("score", fleets.judge(answers, evaluation=True), total, "judgements")
    if policy.step and is_plain(task.config.rollout):
        initial = fleets.initial_log_probs(round.number, round.shards("evaluation_responses"))
        round.drain("kl", initial, total, "answers")


def export(task: Task, fleets: Fleets, round: Recorder, policy: PolicyVersion) -> None:
    """A Hugging Face checkpoint of the round's policy."""
    round.checkpoint = task.checkpoint(round.number)
    round.do("export", lambda: fleets.export(policy, task.checkpoint(round.number)))


def refuse_noise(round: Recorder, max_failed: float) -> None:
    """Raises: Stopped when a larger share of the round's judgements failed than configured."""
    failed, asked = round.count("judgements", "failed"), round.count("judgements")
    if failed > max_failed * asked:
        raise Stopped(
            f"round {round.number}: {failed:.0f} of {asked:.0f} judgements failed, more than "
            f"judge.max_failed={max_failed}: stopped instead of training on noise"
        )


def is_due(every: int, number: int, rounds: int) -> bool:
    """Whether something with a cadence happens in this round; the last round always counts."""
    return number % every == 0 or number == rounds

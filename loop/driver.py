"""The loop: rounds of generate, judge, pair, anchor, learn, push and evaluate, in the order in which they happen.

The driver moves shard handles between the fleets that it is handed and never sees a row; all it decides with are
counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loop.book import Book
from loop.config import RunConfig
from loop.errors import Stopped
from loop.fleets import Fleets
from loop.judging import questions_per_group
from loop.prompts.drawing import draw
from loop.prompts.pool import PromptPool
from loop.recorder import Recorder
from loop.records import PolicyVersion, ShardRef
from loop.requests import generate_requests
from loop.shards import shard_file
from loop.summary import RunSummary


@dataclass(frozen=True, slots=True)
class Task:
    """What a run is: its configuration, identity, folder and prompts."""

    config: RunConfig
    identity: str
    folder: Path
    pool: PromptPool

    @property
    def store(self) -> Path:
        """The folder of the ledger's tables."""
        return self.folder / "ledger"

    @property
    def prompts_path(self) -> str:
        """The shard file that holds all prompts of the run."""
        return str(shard_file(self.store, "prompts", 0, 0))


def run(task: Task, fleets: Fleets, book: Book) -> RunSummary:
    """Improve the policy for as many rounds as configured. Raises: Stopped, InfrastructureFailed."""
    policy = PolicyVersion(0, 0)
    with book.round(0) as start:
        evaluate(task, fleets, start, policy)
        start.push_gap = start.do("meet", fleets.meet)
        book.close(start, policy)
    for number in range(1, task.config.rounds + 1):
        with book.round(number) as round:
            answers = generate(task, fleets, round, policy)
            round.drain("judge", fleets.judge(answers), questions(task), "judgements")
            refuse_noise(round, task.config.judge.max_failed)
            pairs = fleets.pair(round.shards("responses"), round.shards("judgements"))
            examples = round.drain("pair", pairs, 0, "examples")
            if round.count("examples"):
                policy = learn(fleets, round, examples, policy)
            else:
                round.note("No group gave an example, so nothing was learnt: the policy is unchanged, bit for bit.")
            if is_due(task.config.evaluate.every, number, task.config.rounds):
                evaluate(task, fleets, round, policy)
            if is_due(task.config.export.every, number, task.config.rounds):
                export(task, fleets, round, policy)
            book.close(round, policy)
    return book.finish()


def generate(task: Task, fleets: Fleets, round: Recorder, policy: PolicyVersion) -> Iterator[ShardRef]:
    """K responses for each of the round's prompts, shard by shard as they are sampled."""
    config = task.config
    drawn = draw(task.pool, round.number, config.prompts.per_round, config.seed)
    for notice in drawn.notices:
        round.note(notice)
    asked = generate_requests(
        config.rollout, task.identity, round.number, policy, task.prompts_path, drawn.prompt_ids, config.algorithm.k
    )
    return round.stream("generate", fleets.generate(asked), len(drawn.prompt_ids) * config.algorithm.k, "answers")


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
    """Sample answers to the test prompts and score them; measure how far the policy is from the initial one."""
    config = task.config
    ids = [prompt.prompt_id for prompt in task.pool.test]
    asked = generate_requests(
        config.rollout,
        task.identity,
        round.number,
        policy,
        task.prompts_path,
        ids,
        config.evaluate.samples,
        evaluation=True,
    )
    answers = round.stream("evaluate", fleets.generate(asked), len(ids) * config.evaluate.samples, "answers")
    round.drain("score", fleets.judge(answers, evaluation=True), len(ids) * config.evaluate.samples, "judgements")
    if policy.step:
        initial = fleets.initial_log_probs(round.number, round.shards("evaluation_responses"))
        round.drain("kl", initial, len(ids) * config.evaluate.samples, "answers")


def export(task: Task, fleets: Fleets, round: Recorder, policy: PolicyVersion) -> None:
    """A Hugging Face checkpoint of the round's policy."""
    folder = task.folder / "checkpoints" / f"round-{round.number:03d}"
    round.do("export", lambda: fleets.export(policy, folder))
    round.checkpoint = folder


def refuse_noise(round: Recorder, max_failed: float) -> None:
    """Raises: Stopped when a larger share of the round's judgements failed than configured."""
    failed, asked = round.count("judgements", "failed"), round.count("judgements")
    if failed > max_failed * asked:
        raise Stopped(
            f"round {round.number}: {failed:.0f} of {asked:.0f} judgements failed, more than "
            f"judge.max_failed={max_failed}: stopped instead of training on noise"
        )


def questions(task: Task) -> int:
    """How many questions a round asks its judge."""
    config = task.config
    return config.prompts.per_round * questions_per_group(config.algorithm.plan, config.algorithm.k)


def is_due(every: int, number: int, rounds: int) -> bool:
    """Whether something with a cadence happens in this round; the last round always counts."""
    return number % every == 0 or number == rounds

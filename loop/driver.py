"""The loop: rounds of generate, judge, aggregate, pair, anchor, learn, push and evaluate, in the order in which they
happen.

The driver moves shard handles between the fleets that it is handed and decides with counts; the only rows that it sees
are those of a judge's check, which are a report. It runs the same after a crash as before: the recorder hands on what
is committed and asks for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loop.book import Book
from loop.cadence import is_due, saves_in
from loop.errors import Stopped
from loop.fleets import Fleets, Judged, Lesson
from loop.judge_config import JudgeConfig
from loop.judge_schedule import is_new, judge_of
from loop.judges.calibration import CheckReport, sentence, shortfalls, table
from loop.judges.capabilities import is_checked
from loop.judges.check_rows import report_of
from loop.prompts.drawing import draw
from loop.recorder import Recorder
from loop.records import CheckRow, PolicyVersion, ShardRef
from loop.requests import evaluation_requests, is_plain, train_requests
from loop.shards import read_shard
from loop.summary import RunSummary
from loop.task import Task


def run(task: Task, fleets: Fleets, book: Book) -> RunSummary:
    """Improve the policy for as many rounds as configured. Raises: Stopped, InfrastructureFailed."""
    config, policy = task.config, (take_up if book.rounds_closed else begin)(task, fleets, book)
    for number in range(book.rounds_closed, config.rounds + 1):
        round = book.round(number)
        judge = appoint(task, fleets, round)
        answers = generate(task, fleets, round, policy)
        round.drain("judge", "judgements", fleets.judge, answers, task.questions)
        refuse_noise(round, judge.max_failed)
        round.drain("aggregate", "verdicts", fleets.aggregate, judged(round, "judgements"))
        round.drain("pair", "examples", fleets.pair, judged(round, "verdicts"))
        if round.count("examples"):
            policy = learn(task, fleets, round, book.lesson(number), policy)
        else:
            round.note("No group gave an example, so nothing was learnt: the policy is unchanged, bit for bit.")
        if is_due(config.evaluate.every, number, config.rounds):
            evaluate(task, fleets, round, policy)
        if is_due(config.export.every, number, config.rounds):
            export(task, fleets, round, policy)
        book.close(round, policy)
    return book.finish()


def begin(task: Task, fleets: Fleets, book: Book) -> PolicyVersion:
    """Round 0 measures the initial policy, and how far engines and learners are apart on it."""
    round, policy = book.round(0), PolicyVersion(0, 0)
    evaluate(task, fleets, round, policy)
    round.met(policy, task.model_digest, round.do("probe", fleets.meet), task.parent)
    book.close(round, policy)
    return policy


def take_up(task: Task, fleets: Fleets, book: Book) -> PolicyVersion:
    """After a restart: learners take up their last checkpoint and learn again what came after it, and the engines get
    the current weights before anything is asked of them. Once the open round's learning has begun, they get its
    result."""
    fleets.meet()
    held = fleets.restore()
    for number in range(max(held.round + held.complete, 1), book.rounds_closed):
        if (lesson := book.lesson(number)).rows:
            fleets.learn(lesson)
    again = book.policy.step and held.round == book.rounds_closed and book.damaged()
    if again:
        fleets.rollback(book.policy)  # what is damaged was made with the weights before the open round's
    if book.policy.step and (held.round < book.rounds_closed or again):
        book.pushed_again(fleets.push(book.policy))
    return book.policy


def generate(task: Task, fleets: Fleets, round: Recorder, policy: PolicyVersion) -> Iterator[ShardRef]:
    """K responses for each of the round's prompts, shard by shard as they are sampled."""
    drawn = draw(task.pool, round.number, task.config.prompts.per_round, task.config.seed)
    for notice in drawn.notices:
        round.note(notice)
    asked = train_requests(task, round.number, policy, drawn.prompt_ids)
    total = len(drawn.prompt_ids) * task.config.algorithm.k
    return round.stream("generate", "responses", fleets.generate, asked, total)


def appoint(task: Task, fleets: Fleets, round: Recorder) -> JudgeConfig:
    """The round's judge. Before it is trusted for the first time it answers questions whose answers are known. Raises:
    Stopped when it falls short of a configured level."""
    judge = judge_of(task.config, round.number)
    fleets.appoint(round.number)
    if is_new(task.config, round.number) and is_checked(judge):
        (rows,) = round.together("check", "judge_checks", lambda: [fleets.check(round.number)])
        refuse_untrustworthy(round, judge, report_of(read_shard(rows, CheckRow)))
    return judge


def judged(round: Recorder, table: str) -> list[Judged]:
    """The round's responses with what was said about them."""
    shards = zip(round.shards("responses"), round.shards(table), strict=True)
    return [Judged(responses, said) for responses, said in shards]


def learn(task: Task, fleets: Fleets, round: Recorder, lesson: Lesson, policy: PolicyVersion) -> PolicyVersion:
    """Anchor, learn and push; the version that the engines now serve. The policy stays when every step was skipped."""
    anchors = round.together("anchor", "anchors", lambda: fleets.anchor(lesson))
    if saves_in(task.config.checkpoint, round.number, task.config.rounds):
        round.flush()  # what a learner's checkpoint stands on is committed before it
    report = round.do("learn", lambda: fleets.learn(replace(lesson, anchors=anchors)))
    round.learned(report)
    if report.steps == 0:
        if fleets.holds() != policy:
            fleets.push(policy)
        return policy
    version = PolicyVersion(round.number, policy.step + report.steps)
    round.pushed(version, round.do("push", lambda: fleets.push(version)))
    return version


def evaluate(task: Task, fleets: Fleets, round: Recorder, policy: PolicyVersion) -> None:
    """Sample answers to the test prompts and score them; measure how far the policy is from the initial one (the KL
    divergence, which samples of a sharpened or truncated policy would not give)."""
    asked = evaluation_requests(task, round.number, policy)
    total = len(task.pool.test) * task.config.evaluate.samples
    answers = round.stream("evaluate", "evaluation_responses", fleets.generate, asked, total)
    round.drain("score", "evaluation_judgements", lambda refs: fleets.judge(refs, evaluation=True), answers, total)
    if policy.step and is_plain(task.config.rollout):
        sampled = round.shards("evaluation_responses")
        round.together("kl", "evaluation_anchors", lambda: fleets.initial_log_probs(round.number, sampled), total)


def export(task: Task, fleets: Fleets, round: Recorder, policy: PolicyVersion) -> None:
    """A Hugging Face checkpoint of the round's policy."""
    round.checkpoint = task.checkpoint(round.number)
    round.do("export", lambda: fleets.export(policy, task.checkpoint(round.number)))


def refuse_untrustworthy(round: Recorder, judge: JudgeConfig, report: CheckReport) -> None:
    """Say what the check came to. Raises: Stopped when the judge falls short of a configured level."""
    round.note(sentence(report))
    short = shortfalls(report, judge.check.levels)
    if short:
        for line in table(report):
            round.note(line)
        raise Stopped(f"round {round.number}: judge={judge.name} is not trusted: {'; '.join(short)}")


def refuse_noise(round: Recorder, max_failed: float) -> None:
    """Raises: Stopped when a larger share of the round's judgements failed than configured."""
    failed, asked = round.count("judgements", "failed"), round.count("judgements")
    if cut := round.count("judgements", "cut"):
        round.note(f"The judge saw shortened responses in {cut:.0f} of {asked:.0f} judgements: its input has a limit.")
    if failed > max_failed * asked:
        raise Stopped(
            f"round {round.number}: {failed:.0f} of {asked:.0f} judgements failed, more than "
            f"judge.max_failed={max_failed}: stopped instead of training on noise"
        )

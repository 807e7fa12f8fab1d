"""The loop: rounds of generate, judge, aggregate, pair, anchor, learn, push and evaluate, in the order in which they
happen.

The driver moves shard handles between the fleets that it is handed and decides with counts; the only rows that it sees
are those of a judge's check, which are a report. It runs the same after a crash as before: the recorder hands on what
is committed and asks for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from loop.book import Book
from loop.cadence import evaluates_in, is_due, looks_ahead, saves_in
from loop.config import Plan, StartFrom
from loop.controls import TOLD
from loop.drafting import draft
from loop.errors import Stopped
from loop.fleets import Fleets, Judged, Lesson
from loop.judge_config import JudgeConfig
from loop.judge_learning import judge_learns
from loop.judge_schedule import is_new, judge_of
from loop.judges.calibration import CheckReport, sentence, shortfalls, table
from loop.judges.capabilities import is_checked
from loop.judges.check_rows import report_of
from loop.prompts.drawing import draw
from loop.recipe import group_size, learns_to_judge
from loop.recorder import Recorder
from loop.records import INITIAL, CheckRow, PolicyVersion, ShardRef
from loop.requests import Drafts, Moment, evaluation_requests, is_plain, slices_of, train_requests
from loop.serving import served
from loop.shards import read_shard
from loop.summary import RunSummary
from loop.task import Task


def run(task: Task, fleets: Fleets, book: Book) -> RunSummary:
    """Improve the policy for as many rounds as configured. Raises: Stopped, InfrastructureFailed."""
    config = task.config
    (take_up if book.rounds_closed else begin)(task, fleets, book)
    for number in range(book.rounds_closed, config.rounds + 1):
        round, at = book.round(number), book.moment(number)
        judge, prompt_ids = appoint(task, fleets, round, at), pick(task, round)
        drafts = draft(task, fleets, round, at, prompt_ids)
        groups = generate(task, fleets, round, at, prompt_ids, drafts)
        asking = partial(fleets.judge, policy=at.policy, said=drafts.said)
        own = range(len(slices_of(task, prompt_ids)))
        round.drain("judge", "judgements", served(fleets, at.policy, asking), groups, task.questions, own)
        review(round, judge.max_failed)
        round.drain("aggregate", "verdicts", fleets.aggregate, judged(round, "judgements"))
        round.drain("pair", "examples", fleets.pair, judged(round, "verdicts"), shards=own)
        if learns_to_judge(config.algorithm, number):
            judge_learns(fleets, round, at)
        policy = learn(task, fleets, round, at, book.lesson(number))
        if evaluates_in(config, number):
            evaluate(task, fleets, round, policy)
        if is_due(config.export.every, number, config.rounds):
            export(task, fleets, round, policy)
        book.close(round, policy)
    return book.finish()


def begin(task: Task, fleets: Fleets, book: Book) -> None:
    """Round 0 measures the initial policy, and how far engines and learners are apart on it."""
    round, policy = book.round(0), INITIAL
    if (control := task.config.algorithm.control) in TOLD:
        round.note(f"This is a control run, {TOLD[control]}.")
    evaluate(task, fleets, round, policy)
    round.met(policy, task.model_digest, round.do("probe", fleets.meet), task.parent)
    book.close(round, policy)


def take_up(task: Task, fleets: Fleets, book: Book) -> None:
    """After a restart: learners take up their last checkpoint and learn again what came after it, and the engines get
    the weights with which the last round ended before anything is asked of them. Once the open round's learning has
    begun, they get its result."""
    fleets.meet()
    held = fleets.restore()
    stands = held.round
    for number in range(max(held.round + held.complete, 1), book.rounds_closed):
        if (lesson := book.lesson(number)).rows:
            fleets.learn(lesson)
            stands = number
    if stands == book.rounds_closed:
        if not (book.policy.step and book.damaged()):
            return
        fleets.rollback(book.policy)  # what is damaged was made with the weights before the open round's
    elif book.ended(stands) != book.policy:
        fleets.rollback(book.policy)  # nothing came of the round after one that only looked ahead
    if book.policy.step:
        book.pushed_again(fleets.push(book.policy))


def pick(task: Task, round: Recorder) -> tuple[str, ...]:
    """The round's prompts."""
    drawn = draw(task.pool, round.number, task.config.prompts.per_round, task.config.seed)
    for notice in drawn.notices:
        round.note(notice)
    return tuple(drawn.prompt_ids)


def generate(
    task: Task, fleets: Fleets, round: Recorder, at: Moment, prompt_ids: Sequence[str], drafts: Drafts
) -> Iterator[ShardRef]:
    """The group of each of the round's prompts, K responses and what else the recipe puts into it, shard by shard as
    they are completed."""
    asked = train_requests(task, at, prompt_ids, drafts)
    total = len(prompt_ids) * group_size(task.config.algorithm)
    generating = served(fleets, at.policy, fleets.generate)
    return round.stream("generate", "responses", generating, asked, total, range(len(asked)))


def appoint(task: Task, fleets: Fleets, round: Recorder, at: Moment) -> JudgeConfig:
    """The round's judge. Before it is trusted for the first time it answers questions whose answers are known. Raises:
    Stopped when it falls short of a configured level."""
    config, judge = task.config, judge_of(task.config, round.number)

    def check() -> list[ShardRef]:
        fleets.serve(at.policy)
        return [fleets.check(round.number)]

    fleets.appoint(round.number)
    if is_new(config, round.number) and is_checked(judge) and config.algorithm.plan.name is not Plan.none:
        (rows,) = round.together("check", "judge_checks", check)
        refuse_untrustworthy(round, judge, report_of(read_shard(rows, CheckRow)))
    return judge


def judged(round: Recorder, table: str) -> list[Judged]:
    """The round's responses with what was said about them."""
    shards = zip(round.shards("responses"), round.shards(table), strict=True)
    return [Judged(responses, said) for responses, said in shards]


def learn(task: Task, fleets: Fleets, round: Recorder, at: Moment, lesson: Lesson) -> PolicyVersion:
    """Anchor, learn and push; the version that the engines now serve. The policy stays when there is no example, or
    when every step was skipped."""
    policy = at.policy
    if looks_ahead(task.config.algorithm, round.number):
        round.note("This round looked ahead: the next one begins where it began.")
    if not lesson.rows:
        round.note("No group gave an example, so nothing was learnt: the policy is unchanged, bit for bit.")
        if at.latest != policy:
            fleets.rollback(policy)  # learners stand where the round before looked ahead to
        return policy
    anchors = round.together("anchor", "anchors", lambda: fleets.anchor(lesson))
    if saves_in(task.config.checkpoint, round.number, task.config.rounds):
        round.flush()  # what a learner's checkpoint stands on is committed before it
    report = round.do("learn", lambda: fleets.learn(replace(lesson, anchors=anchors)))
    round.learned(report)
    if report.steps == 0:
        if task.config.algorithm.start_from is StartFrom.initial and policy != INITIAL:
            fleets.rollback(policy)  # learners stand at the initial policy, from which nothing came
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
    answers = round.stream("evaluate", "evaluation_responses", served(fleets, policy, fleets.generate), asked, total)
    asking = partial(fleets.judge, policy=policy, table="evaluation_judgements")
    round.drain("score", "evaluation_judgements", served(fleets, policy, asking), answers, total)
    if policy.step and is_plain(task.config.rollout):
        sampled = round.shards("evaluation_responses")
        scoring = partial(fleets.log_probs, "evaluation_anchors", round.number, sampled, INITIAL)
        round.together("kl", "evaluation_anchors", scoring, total)


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


def review(round: Recorder, max_failed: float) -> None:
    """What the round's judgements are worth. Raises: Stopped when a larger share of them failed than configured."""
    failed, asked = round.count("judgements", "failed"), round.count("judgements")
    if too_long := round.count("responses", "too_long"):
        round.note(f"{too_long:.0f} responses were left out: with what stands before them they exceed the context.")
    if mixed := round.count("responses", "mixed"):
        effective = round.count("responses", "ess") / mixed
        round.note(f"The mixture's samples were chosen from {effective:.1f} draws each (effective number, mean).")
    if cases := round.count("judgements", "gold_cases"):
        right, both, flips = (round.count("judgements", f"gold_{name}") for name in ("right", "both", "flips"))
        flipped = f"; {flips / both:.1%} of its verdicts changed with the order" if both else ""
        round.note(
            f"The judge preferred the right answer to a wrong one in {right / cases:.1%} of {cases:.0f} cases{flipped}."
        )
    if cut := round.count("judgements", "cut"):
        round.note(f"The judge saw shortened responses in {cut:.0f} of {asked:.0f} judgements: its input has a limit.")
    if failed > max_failed * asked:
        raise Stopped(
            f"round {round.number}: {failed:.0f} of {asked:.0f} judgements failed, more than "
            f"judge.max_failed={max_failed}: stopped instead of training on noise"
        )

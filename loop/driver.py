"""The loop: rounds of generate, judge, aggregate, pair, anchor, learn, push, evaluate and gate, in the order in which
they happen.

The driver moves shard handles between the fleets that it is handed and decides with counts; the only rows that it sees
are those of a judge's check, which are a report. It runs the same after a crash as before: the recorder hands on what
is committed and asks for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from loop.book import Book
from loop.cadence import diagnoses_in, evaluates_in, is_due, looks_ahead, saves_in
from loop.config import Plan, RunConfig, StartFrom
from loop.controls import TOLD
from loop.diagnostics.measured import counted, measure
from loop.drafting import draft
from loop.evaluation.measuring import answer_again, evaluate
from loop.fleets import Fleets, Judged, Lesson
from loop.hook import run_hook
from loop.judge_config import JudgeConfig
from loop.judge_learning import judge_learns
from loop.judge_schedule import is_new, judge_of
from loop.judges.capabilities import is_checked
from loop.judges.check_rows import report_of
from loop.prompts.drawing import draw
from loop.recipe import group_size, learns_to_judge
from loop.recorder import Recorder
from loop.records import INITIAL, CheckRow, PolicyVersion, ShardRef
from loop.requests import Drafts, Moment, slices_of, train_requests
from loop.reviewing import refuse_rejections, refuse_untrustworthy, review
from loop.serving import served
from loop.shards import read_shard
from loop.summary import RunSummary
from loop.task import Task


def run(task: Task, fleets: Fleets, book: Book) -> RunSummary:
    """Improve the policy for as many rounds as configured. Raises: Stopped, InfrastructureFailed."""
    config = task.config
    (take_up if book.rounds_closed else begin)(task, fleets, book)
    for number in range(book.rounds_closed, config.rounds + 1):
        refuse_rejections(config, book.trial.standing)
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
        candidate = learn(task, fleets, round, at, book.lesson(number))
        evaluate(task, fleets, round, candidate, book.trial.rivals())
        if diagnoses_in(config, number):
            diagnose(task, fleets, round, book.lesson(number))
        policy = gate(task, fleets, book, round, candidate)
        if exports_in(config, round):
            export(task, fleets, round, policy)
        book.close(round, policy)
    return book.finish()


def begin(task: Task, fleets: Fleets, book: Book) -> None:
    """Round 0 measures the initial policy, and how far engines and learners are apart on it."""
    round, policy = book.round(0), INITIAL
    if (control := task.config.algorithm.control) in TOLD:
        round.note(f"This is a control run, {TOLD[control]}.")
    evaluate(task, fleets, round, policy, {})
    round.met(policy, task.model_digest, round.do("probe", fleets.meet), task.parent)
    if diagnoses_in(task.config, round.number):
        diagnose(task, fleets, round, Lesson(0, [], []))
    book.close(round, policy)


def take_up(task: Task, fleets: Fleets, book: Book) -> None:
    """After a restart: learners take up their last checkpoint and learn again what came after it, and the engines get
    the weights with which the last round ended before anything is asked of them. Once the open round's learning has
    begun, they get its result."""
    fleets.meet()
    held = fleets.restore()
    stands = held.round
    for number in range(max(held.round + held.complete, 1), book.rounds_closed):
        if (lesson := book.lesson(number)).rows and not book.rejected(number):
            fleets.learn(lesson)
            stands = number
    if stands == book.rounds_closed:
        if not (book.policy.step and book.damaged()):
            return
        fleets.rollback(book.policy)  # what is damaged was made with the weights before the open round's
    elif book.came_to(stands) != book.policy:
        fleets.rollback(book.policy)  # it was rejected, or only looked ahead and nothing came of the round after it
    if book.policy.step:
        book.pushed_again(book.policy, fleets.push(book.policy))


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
    if saves_in(task.config, round.number):
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


def gate(task: Task, fleets: Fleets, book: Book, round: Recorder, candidate: PolicyVersion) -> PolicyVersion:
    """The policy with which the round ends: the candidate or, where the gate rejects it, the incumbent again, weights
    and optimiser, in learners and engines."""
    book.trial.decide(round, candidate)
    if round.gate is None:
        return candidate
    if round.gate.decision == "promoted":
        if round.number < task.config.rounds:
            answer_again(task, fleets, round, candidate)
        return candidate
    incumbent = PolicyVersion.parse(round.gate.incumbent)

    def back() -> None:
        fleets.rollback(incumbent)
        if incumbent == INITIAL:
            fleets.serve(incumbent)
        else:
            book.pushed_again(incumbent, fleets.push(incumbent))

    round.do("roll back", back)
    return incumbent


def diagnose(task: Task, fleets: Fleets, round: Recorder, lesson: Lesson) -> None:
    """Measure what is known to go wrong: from the round's shards, and from a probe of the learners, which stand at what
    came of the lesson."""
    most = task.config.diagnostics.probe

    def figures() -> dict[str, float]:
        answers = round.shards("evaluation_responses")
        probed = fleets.diagnose(lesson, answers, most) if most else {}
        return probed | measure(round.shards, task.prompts_path, str(lesson.policy)) | counted(round.count)

    round.figures = round.do("diagnose", figures)


def export(task: Task, fleets: Fleets, round: Recorder, policy: PolicyVersion) -> None:
    """A Hugging Face checkpoint of the round's policy, and what the user's own command says of it."""
    folder = round.checkpoint = task.checkpoint(round.number)
    round.do("export", lambda: fleets.export(policy, folder))
    if task.config.evaluate.hook is not None and evaluates_in(task.config, round.number):
        round.hooked(round.do("hook", lambda: run_hook(task, folder, round.number)))


def exports_in(config: RunConfig, round: Recorder) -> bool:
    """Whether the round's policy is exported: when it is due, and when it was promoted, but none that is there already
    because the round went back to it."""
    if round.gate is not None:
        return round.gate.decision == "promoted"
    return is_due(config.export.every, round.number, config.rounds)

"""Groups that a made-up judge answers for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import settings

from loop.config import Plan, PlanConfig
from loop.plans import next_questions
from loop.records import Judgement, Question, digest_of
from loop.verdict import Group
from tests.loop.factories import group, judgement, response

Judge = Callable[[Question], float | None]
"""The value of a judgement; None: it failed."""

untimed = settings(deadline=None)
"""Properties hold however busy the machine is."""

COMPARING = [plan for plan in Plan if plan not in (Plan.pointwise, Plan.none)]


def of_candidates(k: int) -> Group:
    """A group of k samples; the order of its ids is not that of its positions."""
    return group(*(response(i, id=digest_of("response", i)) for i in range(k)))


def of_size(k: int) -> Group:
    """A group of k, of which one is the baseline, neither first nor last."""
    responses = of_candidates(k).responses_K
    return group(*(replace(r, purpose="baseline" if i == k // 2 else "train") for i, r in enumerate(responses)))


def told(question: Question, value: float | None) -> Judgement:
    """The judgement of a question."""
    row = judgement(question.response_ids, value, "failed" if value is None else "decided", question.sample)
    id = digest_of("judgement", question.response_ids, question.sample)
    return replace(row, judgement_id=id, prompt_id=question.prompt_id)


def waves(plan: PlanConfig, group: Group, judge: Judge) -> list[list[Judgement]]:
    """The judgements of each wave until the plan is done."""
    done: list[list[Judgement]] = []
    while questions := next_questions(plan, group, [one for wave in done for one in wave]):
        done.append([told(question, judge(question)) for question in questions])
        assert len(done) < 20, "it never ends"
    return done


def judged(plan: PlanConfig, group: Group, judge: Judge) -> list[Judgement]:
    """All judgements of a plan."""
    return [one for wave in waves(plan, group, judge) for one in wave]


def noisy(seed: int, failing: float = 0.0) -> Judge:
    """A judge without any sense, but always the same one: it depends on the order shown and goes in circles; a share of
    its answers fails and some are ties."""

    def judge(question: Question) -> float | None:
        drawn = int(digest_of(seed, question.response_ids, question.sample)[:8], 16) / 0xFFFFFFFF
        return None if drawn < failing else round(drawn, 1)

    return judge


def by_scores(group: Group, scores: list[float]) -> Judge:
    """A judge that prefers the higher score, and answers a pointwise question with it."""
    of = {r.response_id: score for r, score in zip(group.responses_K, scores, strict=True)}

    def judge(question: Question) -> float:
        first, *second = (of[i] for i in question.response_ids)
        return 0.5 + 0.4 * ((first > second[0]) - (first < second[0])) if second else first

    return judge

"""A round's numbers from what its recorder counted."""

from __future__ import annotations

import time

from loop.judges.capabilities import gives_gold
from loop.recorder import Recorder
from loop.records import PolicyVersion
from loop.summary import RoundSummary, wilson
from loop.task import Task


def summarise(task: Task, round: Recorder, policy: PolicyVersion) -> RoundSummary:
    """A round's numbers; `policy` is the version that it ended with."""
    report = round.report
    responses, tokens = round.count("responses"), round.count("responses", "tokens")
    sampled_now = round.count("responses", "sampled")
    answers = round.count("evaluation_responses")
    gold, low, high = _gold(round) if gives_gold(task.config) else (None, None, None)
    kl = None
    if round.count("evaluation_anchors"):
        sampled = round.count("evaluation_responses", "logprob")
        kl = (sampled - round.count("evaluation_anchors", "logprob")) / answers
    learnt = report is not None and report.steps > 0
    return RoundSummary(
        round=round.number,
        policy=str(policy),
        candidate=str(round.candidate or policy),
        gold_score=gold,
        gold_low=low,
        gold_high=high,
        prompts=int(round.count("examples", "groups")),
        responses=int(responses),
        sampled=int(sampled_now),
        examples=int(round.count("examples")),
        ties=int(round.count("examples", "ties")),
        failed_judgements=int(round.count("judgements", "failed")),
        judgements=int(round.count("judgements")),
        judge_accuracy=_share(round, "judgements", "gold_right", "gold_cases"),
        judge_flips=_share(round, "judgements", "gold_flips", "gold_both"),
        truncated=int(round.count("responses", "truncated")),
        response_tokens_mean=tokens / sampled_now if sampled_now else None,
        loss=report.loss if report and learnt else None,
        margin=report.terms.get("margin") if report and learnt else None,
        accuracy=report.terms.get("accuracy") if report and learnt else None,
        grad_norm=report.grad_norm if report and learnt else None,
        kl=kl,
        steps=report.steps if report else 0,
        skipped_steps=report.skipped_steps if report else 0,
        push_gap=round.push_gap,
        notes=round.notes,
        seconds={**round.seconds, "round": time.monotonic() - round.started},
        checkpoint=str(round.checkpoint) if round.checkpoint else None,
        hook=round.hook,
        gate=round.gate,
        versus=round.versus,
        diversity=round.diversity,
        evaluation_tokens_mean=_share(round, "evaluation_responses", "tokens", "rows"),
        retention_score=_score(round, "retention_judgements") if gives_gold(task.config) else None,
    )


def _gold(round: Recorder) -> tuple[float | None, float | None, float | None]:
    """The mean score of the answers to the test prompts, and its 95 % interval. Answers to the same prompt are not
    independent: the interval counts prompts."""
    score, prompts = _score(round, "evaluation_judgements"), round.count("evaluation_responses", "prompts")
    if score is None:
        return None, None, None
    return score, *wilson(round_half(score * prompts), int(prompts))


def _score(round: Recorder, table: str) -> float | None:
    """The mean score in a table of judgements; None where none was given."""
    judged = round.count(table) - round.count(table, "failed")
    return round.count(table, "value") / judged if judged else None


def round_half(value: float) -> int:
    """Graded scores as a whole number of successes, for the interval."""
    return int(value + 0.5)


def _share(round: Recorder, table: str, part: str, whole: str) -> float | None:
    """A statistic of a table as a share of another one."""
    among = round.count(table, whole)
    return round.count(table, part) / among if among else None

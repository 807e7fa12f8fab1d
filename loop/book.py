"""The book of a run: opens and closes rounds, and tells ledger, screen, tracker and `summary.json` what came out."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from loop.ledger import Ledger
from loop.recorder import Recorder
from loop.records import Example, PolicyVersion, RoundRow, Telemetry
from loop.shards import read_shard, shard_file
from loop.summary import RoundSummary, RunSummary, wilson, write_summary
from loop.tracker import Tracker
from loop.view import View


class Book:
    """Keeps a run's summary up to date. `blank` is the summary before the first round; `peak_memory` gives GiB."""

    def __init__(
        self,
        folder: Path,
        blank: RunSummary,
        ledger: Ledger,
        view: View,
        tracker: Tracker,
        peak_memory: Callable[[], float | None],
        started: float,
        examples_shown: int,
    ) -> None:
        self.folder = folder
        self.summary = blank
        self.ledger = ledger
        self.view = view
        self.tracker = tracker
        self.peak_memory = peak_memory
        self.started = started
        self.examples_shown = examples_shown

    def round(self, number: int) -> Recorder:
        """A recorder for one round."""
        return Recorder(number, self.ledger, self.view, self.first_token)

    def close(self, round: Recorder, policy: PolicyVersion) -> None:
        """Summarise a round and tell everybody."""
        result = summarise(round, policy)
        self._keep(round, result)
        changes = {"initial": result} if round.number == 0 else {"rounds": [*self.summary.rounds, result]}
        self._update(**changes)
        self.view.round_done(result, self.summary.initial)
        self.tracker.round(result)
        if round.number and self.examples_shown:
            rows = shown_examples(round, str(shard_file(self.ledger.root, "prompts", 0, 0)), self.examples_shown)
            self.tracker.examples(round.number, rows)

    def first_token(self) -> None:
        """Called when the first shard of responses is there."""
        if self.summary.seconds_to_first_token is None:
            self._update(seconds_to_first_token=time.monotonic() - self.started)

    def finish(self) -> RunSummary:
        """The run is complete."""
        self._update(finished=True)
        self.tracker.finish(self.summary)
        return self.summary

    def stop(self, reason: str) -> None:
        """The run ends early; the summary says why."""
        self._update(stopped_because=reason)
        self.tracker.finish(self.summary)

    def _update(self, **changes: object) -> None:
        told = {"seconds_total": time.monotonic() - self.started, "peak_memory_gib": self.peak_memory(), **changes}
        self.summary = dataclasses.replace(self.summary, **told)  # type: ignore[arg-type]
        write_summary(self.folder, self.summary)

    def _keep(self, round: Recorder, result: RoundSummary) -> None:
        timeless = dataclasses.replace(result, seconds={}, checkpoint=None)
        row = RoundRow(round.number, result.policy, json.dumps(timeless.to_json(), sort_keys=True))
        self.ledger.append("rounds", round.number, [row])
        seconds = [Telemetry(round.number, phase, spent) for phase, spent in result.seconds.items()]
        self.ledger.append("telemetry", round.number, seconds)


def summarise(round: Recorder, policy: PolicyVersion) -> RoundSummary:
    """A round's numbers from its counts."""
    report = round.report
    responses, tokens = round.count("responses"), round.count("responses", "tokens")
    answers = round.count("evaluation_responses")
    judged = round.count("evaluation_judgements") - round.count("evaluation_judgements", "failed")
    right = round.count("evaluation_judgements", "value")
    # answers to the same prompt are not independent: the interval counts prompts
    prompts = round.count("evaluation_responses", "prompts")
    low, high = wilson(round_half(right / judged * prompts), int(prompts)) if judged else (None, None)
    kl = None
    if round.count("evaluation_anchors"):
        sampled = round.count("evaluation_responses", "logprob")
        kl = (sampled - round.count("evaluation_anchors", "logprob")) / answers
    learnt = report is not None and report.steps > 0
    return RoundSummary(
        round=round.number,
        policy=str(policy),
        gold_score=right / judged if judged else None,
        gold_low=low,
        gold_high=high,
        prompts=int(round.count("examples", "groups")),
        responses=int(responses),
        examples=int(round.count("examples")),
        ties=int(round.count("examples", "ties")),
        failed_judgements=int(round.count("judgements", "failed")),
        judgements=int(round.count("judgements")),
        truncated=int(round.count("responses", "truncated")),
        response_tokens_mean=tokens / responses if responses else None,
        loss=report.loss if report and learnt else None,
        margin=report.terms["margin"] if report and learnt else None,
        accuracy=report.terms["accuracy"] if report and learnt else None,
        grad_norm=report.grad_norm if report and learnt else None,
        kl=kl,
        steps=report.steps if report else 0,
        skipped_steps=report.skipped_steps if report else 0,
        push_gap=round.push_gap,
        notes=round.notes,
        seconds={**round.seconds, "round": time.monotonic() - round.started},
        checkpoint=str(round.checkpoint) if round.checkpoint else None,
    )


def round_half(value: float) -> int:
    """Graded scores as a whole number of successes, for the interval."""
    return int(value + 0.5)


def shown_examples(round: Recorder, prompts_path: str, most: int) -> list[dict[str, object]]:
    """The first examples of a round as text, for people: the only rows that the driver reads."""
    shown: list[dict[str, object]] = []
    messages = dict(zip(*_columns(prompts_path, "prompt_id", "messages"), strict=True))
    shards = zip(round.shards("examples"), round.shards("responses"), round.shards("judgements"), strict=True)
    for examples, responses, judgements in shards:
        if len(shown) >= most:
            break
        texts = dict(zip(*_columns(responses.path, "response_id", "text"), strict=True))
        judge = _columns(judgements.path, "judge")[0][:1]
        shown += [
            {
                "prompt": json.loads(messages[e.prompt_id])[-1]["content"],
                "chosen": texts[e.chosen_id],
                "rejected": texts[e.rejected_id],
                "strength": e.strength,
                "margin": e.margin,
                "judge": judge[0],
            }
            for e in read_shard(examples, Example)
        ]
    return shown[:most]


def _columns(path: str, *names: str) -> list[list[Any]]:
    """Columns of one shard file."""
    table = pq.read_table(path, columns=list(names), partitioning=None)
    return [table.column(name).to_pylist() for name in names]

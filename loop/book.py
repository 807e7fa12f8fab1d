"""The book of a run: opens and closes rounds, and tells ledger, screen, tracker and `summary.json` what came out.

The ledger is the truth: after a restart the book is read back from it.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from loop.cadence import evaluates_in
from loop.commit_buffer import CommitBuffer
from loop.diagnostics.judged import diagnose, of_summary
from loop.errors import StoreFailed
from loop.exports import export_folder, retain_exports, stand
from loop.fleets import Lesson, Pushed
from loop.gate.standing import standing
from loop.gate.trial import Trial
from loop.learning import LearnReport
from loop.ledger import TABLES, Ledger
from loop.lessons import Gated, beginnings, lesson_of, replays, rounds_needed
from loop.pulse import Pulse
from loop.recorder import Recorder
from loop.records import INITIAL, PolicyVersion, RoundRow, ShardRef, Telemetry
from loop.requests import Moment
from loop.shards import from_table, is_damaged, write_shard
from loop.status import State, Status, write_status
from loop.summarising import summarise
from loop.summary import RoundSummary, RunSummary, read_summary_if_any, write_summary
from loop.task import Task
from loop.tracking import Tracker
from loop.tracking.details import tell_details
from loop.view import View

BEFORE_LEARNING = (
    "judge_checks",
    "drafts",
    "draft_judgements",
    "draft_anchors",
    "responses",
    "judgements",
    "anchors",
)
"""Tables that a round fills with the weights before its learning."""

OTHER_WEIGHTS = (
    "The weights of {policy} are not to the last bit those that the ledger knows: they were learnt again, and the "
    "number of ranks, of threads or the micro-batches differ."
)


class Book:
    """Keeps a run's record up to date. `blank` is the summary before the first round; `peak_memory` gives GiB;
    `driver` is the number under which the ledger knows this driver; `publish` shows the run to people, whenever a round
    that was measured is closed and when the run ends."""

    def __init__(
        self,
        task: Task,
        blank: RunSummary,
        ledger: Ledger,
        driver: int,
        view: View,
        tracker: Tracker,
        peak_memory: Callable[[], float | None],
        started: float,
        examples_shown: int,
        publish: Callable[[RunSummary], object] = lambda summary: None,
    ) -> None:
        self.task = task
        self.folder = task.folder
        self.ledger = ledger
        self.buffer = CommitBuffer(ledger, task.config.ledger.min_rows, task.config.ledger.max_s)
        self.driver = driver
        self.view = view
        self.tracker = tracker
        self.peak_memory = peak_memory
        self.started = started
        self.examples_shown = examples_shown
        self.publish = publish
        self.pulse = Pulse()
        view.live(self.pulse)
        tracker.watch(self.pulse)
        self._open: Recorder | None = None
        self._events: list[Telemetry] = []
        self.summary, self._seconds_before = self._read_back(blank)
        self._digests: dict[str, str] = dict(
            zip(*self.ledger.read("policies", ["version", "digest"]).to_pydict().values(), strict=True)
        )

    @property
    def rounds_closed(self) -> int:
        """How many rounds are in the ledger with all that belongs to them, round 0 included: the number of the next."""
        return len(self.summary.rounds) + 1 if self.summary.initial.policy else 0

    @property
    def policy(self) -> PolicyVersion:
        """The version with which the last closed round ended."""
        return PolicyVersion.parse(self.summary.last.policy)

    def round(self, number: int) -> Recorder:
        """A recorder for one round."""
        self._open = Recorder(number, self.ledger, self.buffer, self.view, self.status, self.made, self.learnt)
        return self._open

    def lesson(self, number: int) -> Lesson:
        """What a round learns from, or learnt from if it is closed."""
        recipe = self.task.config.algorithm
        if replays(recipe):
            self.buffer.flush()  # what waits for company belongs to earlier rounds, too
        before = self.summary.rounds[: number - 1]
        gate = Gated(standing(before), self.task.config.gate.shrink) if self.task.config.gate.enabled else None
        return lesson_of(recipe, number, self._shards, self._history(), self._digests, self.task.identity, gate)

    def _shards(self, table: str, round: int) -> list[ShardRef]:
        if self._open is not None and round == self._open.number:
            return self._open.shards(table)
        return list(self.ledger.committed(table, round).values())

    def _history(self) -> list[PolicyVersion]:
        """The version with which each round began, that of the next one included."""
        return beginnings(self.task.config.algorithm, [self.ended(one.round) for one in self.summary.rounds])

    def ended(self, number: int) -> PolicyVersion:
        """The version with which a closed round ended."""
        return PolicyVersion.parse([self.summary.initial, *self.summary.rounds][number].policy)

    def came_to(self, number: int) -> PolicyVersion:
        """The version to which a closed round's learning came, which the gate may have rejected."""
        one = [self.summary.initial, *self.summary.rounds][number]
        return PolicyVersion.parse(one.candidate or one.policy)

    def rejected(self, number: int) -> bool:
        """Whether the gate rejected what a closed round's learning came to."""
        gate = self.summary.rounds[number - 1].gate
        return gate is not None and gate.decision == "rejected"

    @property
    def trial(self) -> Trial:
        """What the open round's candidate is tried with."""
        return Trial(self.task, self.ledger, self.summary)

    def moment(self, number: int) -> Moment:
        """Where the round to come stands."""
        history = self._history()
        return Moment(number, history[number - 1], self.policy, history[:number])

    def damaged(self) -> bool:
        """Whether a committed shard of the open round, made with the weights before, is not what it was."""
        refs = [ref for table in BEFORE_LEARNING for ref in self.ledger.committed(table, self.rounds_closed).values()]
        return any(is_damaged(ref) for ref in refs)

    def pushed_again(self, policy: PolicyVersion, pushed: Pushed) -> None:
        """Compare what the engines hold now with what the ledger knows of the policy."""
        if self._digests.get(str(policy), pushed.digest) != pushed.digest:
            self.view.notice(OTHER_WEIGHTS.format(policy=policy))

    def close(self, round: Recorder, policy: PolicyVersion) -> None:
        """Summarise a round and tell everybody; the ledger comes first, `summary.json` last."""
        result = summarise(self.task, round, policy)
        closed = [self.summary.initial, *self.summary.rounds] if round.number else []
        if round.figures:
            said = diagnose({**round.figures, **of_summary(result)}, closed)
            result = dataclasses.replace(result, diagnostics=said)
        timeless = dataclasses.replace(result, seconds={}, checkpoint=None, hook={})
        row = RoundRow(round.number, result.policy, json.dumps(timeless.to_json(), sort_keys=True))
        self._append("rounds", round.number, [row])
        self._write_events(round)
        self.ledger.tidy(round.number)
        self.view.round_done(result, self.summary.initial if round.number else result)
        self.pulse.closed(result)
        self.tracker.round(result)
        self._tell_details(round.number, round.shards)
        self._open = None
        self._digests |= round.digests
        if not round.number:
            self._update(initial=result)
            return
        rounds = [*self.summary.rounds, result]
        self._update(rounds=rounds)
        needed = rounds_needed(self.task.config.algorithm, round.number + 1, self._history())
        self._let_stand(self.trial.standing.incumbent)
        stands = self.trial.standing
        needed |= {stands.best.round}
        gone = retain_exports(self.folder, self.task.config.export.keep, rounds, stands.incumbent.round, needed)
        self._update(rounds=[dataclasses.replace(r, checkpoint=None) if r.round in gone else r for r in rounds])
        if evaluates_in(self.task.config, round.number):
            self.publish(self.summary)

    def _let_stand(self, policy: PolicyVersion) -> None:
        """The policy is what has come of the run so far. `checkpoints/best` leads to it: an exported checkpoint, or the
        model with which the run began."""
        self._update(stands=str(policy))
        made = [one.round for one in reversed(self.summary.rounds) if one.policy == str(policy)]
        places = [*(export_folder(self.folder, number) for number in made), Path(self.task.config.model.path)]
        if policy != INITIAL:
            places.pop()
        if exported := next((place for place in places if place.is_dir()), None):
            stand(self.folder, exported)

    def _tell_details(self, number: int, shards_of: Callable[[str], list[ShardRef]]) -> None:
        if self.examples_shown:
            tell_details(self.tracker, number, shards_of, self.task.prompts_path, self.examples_shown)

    def told(self, event: Telemetry) -> None:
        """What befell an actor; kept for the round that is open."""
        self.pulse.happened(event)
        number = self._open.number if self._open else self.rounds_closed
        self._events.append(dataclasses.replace(event, round=number))

    def status(self, round: int, phases: list[str], state: State = "running") -> None:
        """Tell whoever looks into the folder what is going on, where it can be told."""
        self.pulse.phases(phases)
        with suppress(StoreFailed):
            write_status(self.folder, Status.now(self.driver, round, phases, state))

    def learnt(self, round: int, report: LearnReport) -> None:
        """Called when a learn phase ended."""
        self.pulse.learnt(report)
        self.tracker.learnt(round, self.moment(round).policy.step, report)

    def made(self, phase: str, ref: ShardRef) -> None:
        """Called when a shard was made: the first one shows how long the start took."""
        self.pulse.made(phase, ref)
        if self.summary.seconds_to_first_token is None:
            self._update(seconds_to_first_token=time.monotonic() - self.started)

    def finish(self) -> RunSummary:
        """The run is complete. Of the policies that were promoted, the best one came of it: a gate that tolerates a
        little lets a run end below that."""
        self.buffer.flush()
        if self.task.config.gate.enabled:
            self._let_stand(self.trial.standing.best)
        self._update(finished=True, stopped_because=None)
        self.publish(self.summary)
        self.tracker.finish(self.summary)
        self.status(self.summary.last.round, [], "finished")
        return self.summary

    def stop(self, reason: str, state: State) -> None:
        """The run ends early; the summary says why. What waits to be committed is not: the caller flushes where the
        ledger can still be written."""
        if self.summary.finished:
            return
        self._update(stopped_because=reason)
        self.publish(self.summary)
        self.tracker.finish(self.summary)
        self.status(self.rounds_closed, [], state)

    def flush(self) -> None:
        """Commit whatever waits for company, and what befell the actors in the round that is open."""
        if self._open is not None:
            self._write_events(self._open)
        self.buffer.flush()

    def _read_back(self, blank: RunSummary) -> tuple[RunSummary, float]:
        """The closed rounds from the ledger, with the times that `summary.json` remembers; seconds spent before."""
        rows: list[RoundRow] = sorted(from_table(self.ledger.read("rounds"), RoundRow), key=lambda row: row.round)
        if not rows:
            return blank, 0.0
        before = read_summary_if_any(self.folder) or blank
        timed = {r.round: r for r in (before.initial, *before.rounds) if r.policy}
        closed = []
        for row in rows:
            told = RoundSummary.from_json(json.loads(row.summary))
            if (known := timed.get(row.round)) is not None:
                told = dataclasses.replace(told, seconds=known.seconds, hook=known.hook)
            export = export_folder(self.folder, row.round)
            closed.append(dataclasses.replace(told, checkpoint=str(export) if export.is_dir() else None))
            self.tracker.round(closed[-1])
        self._tell_details(closed[-1].round, lambda table: [*self.ledger.committed(table, closed[-1].round).values()])
        summary = dataclasses.replace(
            blank,
            initial=closed[0],
            rounds=closed[1:],
            seconds_to_first_token=before.seconds_to_first_token,
            peak_memory_gib=before.peak_memory_gib,
            stands=before.stands,
        )
        return summary, before.seconds_total

    def _append(self, table: str, round: int, rows: list[Any], shard: int = 0) -> None:
        self.buffer.add(write_shard(self.ledger.root, table, round, shard, rows, TABLES[table]))

    def _write_events(self, round: Recorder) -> None:
        """Telemetry of a round by this driver; another driver of the same round writes a shard of its own."""
        now = time.time()
        spent = [Telemetry(round.number, phase, "phase", now, seconds) for phase, seconds in round.seconds.items()]
        rows, self._events = [*spent, *self._events], []
        self._append("telemetry", round.number, rows, self.driver)

    def _update(self, **changes: object) -> None:
        peaks = [gib for gib in (self.peak_memory(), self.summary.peak_memory_gib) if gib is not None]
        told = {
            "seconds_total": self._seconds_before + time.monotonic() - self.started,
            "peak_memory_gib": max(peaks, default=None),
            **changes,
        }
        self.summary = dataclasses.replace(self.summary, **told)  # type: ignore[arg-type]
        write_summary(self.folder, self.summary)

"""What there is of a run, read from its folder and ledger while it runs or after; nothing is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from loop.checkpoints import find
from loop.config import RunConfig
from loop.difference import held_config
from loop.disk import bytes_below
from loop.exports import export_folder
from loop.extent import Extent, PhaseState, extents, planned_phases
from loop.finding import find_run, store_of
from loop.folder import LOCK, read_mark
from loop.ledger import Ledger
from loop.lock import lock_holder
from loop.query import select
from loop.status import Status, read_status
from loop.summary import RoundSummary, RunSummary, read_summary_if_any

__all__ = ["RoundState", "RunInspection", "find_run", "inspect_run", "store_of"]

RunState = Literal["not begun", "starting", "running", "finished", "stopped", "interrupted", "failed", "died"]

HAPPENINGS = 8
"""Newest events of a run that are told one by one."""

COUNTED = """
select round, event, count(*)::int as n from telemetry where event not in ('phase', 'shard', 'usage') group by all
"""
NEWEST = """
select round, phase, event, "at", actor, detail from telemetry where event not in ('phase', 'shard', 'usage')
order by "at" desc limit ?
"""


@dataclass(frozen=True, slots=True)
class RoundState:
    """One round. A complete one has its summary, another one its phases; `events` counts what befell the actors."""

    round: int
    state: Extent
    summary: RoundSummary | None
    phases: tuple[PhaseState, ...]
    events: dict[str, int]


@dataclass(frozen=True, slots=True)
class Export:
    """A policy exported as a Hugging Face checkpoint."""

    round: int
    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class LearnerCheckpoint:
    """A whole checkpoint of the learners: after `position` of `steps` steps of the round's learn phase."""

    name: str
    round: int
    position: int
    steps: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that befell an actor; `at` is seconds since 1970."""

    round: int
    phase: str
    event: str
    at: float
    actor: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class RunInspection:
    """A run as its folder and ledger tell it. `parent` is IDENTITY@VERSION in the run that it was forked from."""

    run: str
    folder: str
    store: str
    identity: str
    parent: str | None
    state: RunState
    status: Status | None
    locked_by: int | None
    stopped_because: str | None
    experiment: str
    algorithm: str
    judge: str
    model: str
    seed: int
    rounds_planned: int
    rounds: tuple[RoundState, ...]
    events: dict[str, int]
    happenings: tuple[Happening, ...]
    exports: tuple[Export, ...]
    checkpoints: tuple[LearnerCheckpoint, ...]


def inspect_run(folder: Path) -> RunInspection:
    """Everything about a run that can be told without its rows. Raises: Refused for a folder that holds none."""
    mark, config, ledger = read_mark(folder), held_config(folder), Ledger(store_of(folder))
    status, holder, summary = read_status(folder), lock_holder(folder / LOCK), read_summary_if_any(folder)
    state = state_of(status, holder, summary)
    events = select(ledger, "telemetry", COUNTED)
    return RunInspection(
        run=folder.name,
        folder=str(folder),
        store=str(ledger.root),
        identity=mark["identity"],
        parent=mark.get("parent"),
        state=state,
        status=status,
        locked_by=holder,
        stopped_because=summary.stopped_because if summary is not None else None,
        experiment=config.name,
        algorithm=config.algorithm.name,
        judge=config.judge.name,
        model=config.model.label,
        seed=config.seed,
        rounds_planned=config.rounds,
        rounds=tuple(_rounds(ledger, config, status if state == "running" else None, summary, events)),
        events=_counted(events),
        happenings=tuple(_happenings(ledger)),
        exports=tuple(_exports(folder, config.rounds)),
        checkpoints=tuple(_checkpoints(folder / "learner")),
    )


def state_of(status: Status | None, holder: int | None, summary: RunSummary | None) -> RunState:
    """How a run stands: what its driver said last, unless another process holds the folder already."""
    if holder is not None and (status is None or status.state != "running"):
        return "starting"
    if status is not None:
        return status.state
    return "finished" if summary is not None and summary.finished else "not begun"


def _rounds(
    ledger: Ledger,
    config: RunConfig,
    status: Status | None,
    summary: RunSummary | None,
    events: Sequence[Mapping[str, Any]],
) -> list[RoundState]:
    """The closed rounds, and the open one."""
    closed = closed_rounds(ledger, summary)
    rounds = [RoundState(one.round, "complete", one, (), _counted(events, one.round)) for one in closed]
    number = len(closed)
    if number <= config.rounds:
        phases = tuple(_phases(ledger, config, number, status, summary))
        begun = any(phase.state != "not begun" for phase in phases)
        rounds.append(RoundState(number, "under way" if begun else "not begun", None, phases, _counted(events, number)))
    return rounds


def closed_rounds(ledger: Ledger, summary: RunSummary | None) -> list[RoundSummary]:
    """The rounds that the ledger has closed, with the times that `summary.json` remembers."""
    rows = select(ledger, "rounds", "select round, summary from rounds order by round")
    known = {one.round: one for one in (summary.initial, *summary.rounds)} if summary is not None else {}
    told = [RoundSummary.from_json(json.loads(row["summary"])) for row in rows]
    return [known[one.round] if one.round in known and known[one.round].policy else one for one in told]


def _phases(
    ledger: Ledger, config: RunConfig, number: int, status: Status | None, summary: RunSummary | None
) -> list[PhaseState]:
    """How far the phases of the open round are."""
    planned = planned_phases(config, number, summary.prompts if summary is not None else None)
    committed = {
        one.table: {shard: ref.rows for shard, ref in ledger.committed(one.table, number).items()}
        for one in planned
        if one.table is not None
    }
    done = {"learn", "push", "probe"} if ledger.committed("policies", number) else set()
    return extents(planned, committed, status.phases if status is not None and status.round == number else (), done)


def _counted(events: Sequence[Mapping[str, Any]], number: int | None = None) -> dict[str, int]:
    """How often each event happened, in one round or in all."""
    counts: Counter[str] = Counter()
    for row in events:
        if number in (None, row["round"]):
            counts[row["event"]] += row["n"]
    return dict(sorted(counts.items()))


def _happenings(ledger: Ledger) -> list[Happening]:
    """The newest events, the oldest of them first."""
    rows = select(ledger, "telemetry", NEWEST, [HAPPENINGS])
    return [Happening(**row) for row in reversed(rows)]


def _exports(folder: Path, rounds: int) -> list[Export]:
    places = [(number, export_folder(folder, number)) for number in range(rounds + 1)]
    return [Export(number, str(place), bytes_below(place)) for number, place in places if place.is_dir()]


def _checkpoints(folder: Path) -> list[LearnerCheckpoint]:
    """The learners' whole checkpoints, the oldest first."""
    return [
        LearnerCheckpoint(
            marker.name,
            marker.round,
            marker.progress.position,
            marker.progress.steps,
            sum(part.size for part in marker.parts),
        )
        for marker in reversed(find(folder))
    ]

"""`ratchet bench chaos`: a run whose processes are killed again and again, compared with one that nobody disturbed."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from actors.bench.chaos_check import counts, differences, digest, read_tables
from actors.bench.chaos_deaths import noticed, unexplained
from actors.bench.chaos_plan import schedule
from actors.bench.chaos_process import RunProcess
from actors.bench.chaos_report import Report, report_lines
from actors.bench.chaos_run import Disturbed, Disturber
from actors.launch import prepare
from loop.composition import compose
from loop.describe import versions
from loop.errors import InfrastructureFailed, Refused
from loop.ledger import Ledger
from loop.records import Telemetry
from loop.shards import from_table
from loop.summary import read_summary
from loop.task import Task
from loop.validation import validate
from loop.view import PLAIN_WIDTH
from loop.view.inspection import portable, show

ROUNDS = 4
"""Kills are planned for all but the last, which takes those for which no occasion came before."""

OVERRIDES = (
    "experiment=demo",
    "name=chaos",
    f"rounds={ROUNDS}",
    "prompts.per_round=64",
    "prompts.held_out=[]",
    "prompts.held_out_size=96",
    "gate=strict",  # of so few prompts it promotes some candidates and rejects others
    "gate.max_rejections=9",
    "algorithm.anchors=[initial]",  # from the second round on, anchors are computed
    "rollout.replicas=2",
    "rollout.shard_prompts=8",
    "rollout.prefix_caching=false",  # what a cache holds depends on what an engine did before
    "judge.replicas=2",
    "learner.ranks=2",
    "learner.batch_examples=8",
    "checkpoint.steps=2",
    "ledger.min_rows=128",
    "fleet.max_restarts=1000",
)
"""A small run with several shards, optimiser steps and checkpoints in each round; its batches never depend on time."""

LONGEST_S = 3600.0
"""Within so long the undisturbed run has ended."""

PATIENCE_S = 600.0
"""Without any step for so long, the disturbed run counts as hanging."""


def bench_chaos(kills: int, seed: int, folder: str | None, as_json: bool) -> int:
    """Kill processes of a run (0: one for every phase and kind of process), compare it with one left in peace, and
    print what was found; the exit status, 1 when something is not so.

    Raises: InfrastructureFailed when one of the runs cannot be brought to its end, Refused for a folder in use.
    """
    work = Path(folder).absolute() if folder is not None else Path(tempfile.mkdtemp(prefix="ratchet-chaos-"))
    if (work / "disturbed").exists():
        raise Refused(f"folder={work} holds a disturbed run already: name another, or remove {work / 'disturbed'}")
    work.mkdir(parents=True, exist_ok=True)
    overrides = {name: [*OVERRIDES, f"folder={work / name}"] for name in ("undisturbed", "disturbed")}
    machine: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "load before": round(os.getloadavg()[0], 1)}
    clock = [time.monotonic()]
    run_in_peace(overrides["undisturbed"], work / "undisturbed.log")
    clock.append(time.monotonic())
    calm, rough = work / "undisturbed", work / "disturbed"
    strikes = schedule(kills, seed, ROUNDS - 1)
    disturbed = Disturber(
        overrides["disturbed"], rough, ROUNDS, strikes, usual(calm), seed, work, PATIENCE_S, _tell
    ).run()
    clock.append(time.monotonic())
    machine |= {"load after": round(os.getloadavg()[0], 1), **versions()}
    seconds = {"undisturbed": clock[1] - clock[0], "disturbed": clock[2] - clock[1]}
    task = prepare(validate(compose(overrides["disturbed"])))
    report = compared(task, calm, rough, disturbed, seed, seconds, machine)
    told = json.dumps(portable(report.to_json()), indent=2)
    (work / "chaos.json").write_text(told + "\n")
    if as_json:
        print(told)
    else:
        show(report_lines(report, shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns), sys.stdout)
    return 1 if report.faults else 0


def run_in_peace(overrides: Sequence[str], log: Path) -> None:
    """One run to its end. Raises: InfrastructureFailed when it does not get there."""
    process = RunProcess(overrides, log)
    try:
        status = process.wait(LONGEST_S)
    finally:
        process.end()
    if status:
        raise InfrastructureFailed(f"the undisturbed run ended with status {status}: see {log}")


def usual(folder: Path) -> dict[str, float]:
    """Seconds that each phase of a finished run took (median), `start` included."""
    rows = from_table(Ledger(folder / "ledger").read("telemetry"), Telemetry)
    spent = [(row.phase, row.seconds) for row in rows if row.event == "phase" and row.seconds is not None]
    lengths = {name: median(s for phase, s in spent if phase == name) for name, _ in spent}
    return lengths | {"start": read_summary(folder).seconds_to_first_token or 0.0}


def compared(
    task: Task,
    calm: Path,
    rough: Path,
    disturbed: Disturbed,
    seed: int,
    seconds: dict[str, float],
    machine: dict[str, Any],
) -> Report:
    """The report of a disturbed run (`rough`) and of one of the same identity that nobody disturbed (`calm`)."""
    ledger = Ledger(rough / "ledger")
    left, right = read_tables(Ledger(calm / "ledger")), read_tables(ledger)
    events = from_table(ledger.read("telemetry"), Telemetry)
    return Report(
        seed=seed,
        rounds=task.config.rounds,
        folder=str(rough.parent),
        disturbed=disturbed,
        noticed=noticed(disturbed.kills, events, task.config.rounds),
        unexplained=unexplained(disturbed.kills, events),
        counts=counts(right, task),
        differences=differences(left, right),
        digest=digest(right),
        seconds=seconds,
        machine=machine,
    )


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)

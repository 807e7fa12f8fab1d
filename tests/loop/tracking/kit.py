"""Rounds in which everything was measured, and small runs that are tracked offline."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from loop.config import TrackerConfig, TrackerKind
from loop.diagnostics.diagnostic import Colour, Diagnostic
from loop.evaluation.comparison import Comparison, Opponent
from loop.gate.result import Decision, GateResult
from loop.learning import LearnReport, StepOutcome
from loop.summary import RoundSummary
from loop.tracking.wandb_tracker import WandbTracker
from tests.loop.stub_fleets import drive

GOOD = StepOutcome(4, (2.0, 6.0, 3.0), 120, 0.7, (), 0.5)
BAD = StepOutcome(5, (0.0, 0.0, 0.0), 80, None, ("e1",), 0.25)
REPORT = LearnReport(steps=2, skipped_steps=1, terms={"margin": 1.5, "accuracy": 0.75}, outcomes=(GOOD, BAD, GOOD))


def compared(against: Opponent, at: float) -> Comparison:
    """A comparison whose numbers go on from `at`."""
    return Comparison(against, "r0-s0", int(at), at + 0.1, at + 0.2, at + 0.3, at + 0.4)


def gate(decision: Decision, at: float = 1000.0) -> GateResult:
    """The gate's decision about a candidate."""
    versus = [compared("incumbent", at + 10), compared("best", at + 20)]
    return GateResult(decision, "r3-s9", "r2-s6", "CANARY won too little", at + 1, at + 2, at + 3, versus)


def diagnosed(name: str, value: float, colour: Colour) -> Diagnostic:
    """A diagnostic."""
    return Diagnostic(name, value, colour, f"CANARY: {name} is {colour}")


def full_round(number: int, **others: Any) -> RoundSummary:
    """A round in which everything was measured; no two of its numbers are the same."""
    told = {"round", "policy", "candidate", "notes", "seconds", "checkpoint", "hook", "gate", "versus", "diagnostics"}
    numbers = itertools.count(10_000 * number + 1)
    values: dict[str, Any] = {one.name: next(numbers) for one in fields(RoundSummary) if one.name not in told}
    one = RoundSummary(
        round=number,
        policy=f"r{number}-s{3 * number}",
        seconds={"generate": 0.5 + number, "learn": 0.25 + number},
        hook={"mmlu": 0.0625 + number},
        gate=gate("promoted", 10_000.0 * number + 1000),
        versus=[compared("initial", 10_000.0 * number + 2000), compared("incumbent", 10_000.0 * number + 3000)],
        diagnostics=[
            diagnosed("kl_growth", number + 0.125, "green"),
            diagnosed("hacking", number + 0.375, "red"),
            diagnosed("ties", number + 0.625, "grey"),
        ],
        **values,
    )
    return replace(one, **others)


def alone(home: Path) -> dict[str, str | None]:
    """The environment in which wandb has a home of its own and no login; None: unset."""
    gone = ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_DATA_DIR")
    homes = {name: str(home) for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR")}
    return {**dict.fromkeys(gone), **homes, "NETRC": str(home / "netrc"), "WANDB_ERROR_REPORTING": "false"}


def tracked_run(folder: Path, dies_at: int = -1) -> list[str]:
    """Three rounds with stub fleets, or up to a call in which the driver is killed, tracked into the folder; the calls
    of the fleets."""
    tracker = WandbTracker(TrackerConfig(kind=TrackerKind.wandb), lambda sentence: None, sample_s=0.05)
    tracker.start({}, "demo", "1" * 32, folder)
    driven = drive(folder, "rounds=3", "rollout.shard_prompts=1", tracker=tracker, dies_at=dies_at)
    return driven.fleets.calls


def killed_run() -> None:
    """The program of a process that is killed in the middle of a run, one second after what it logged last."""
    folder, dies_at = Path(sys.argv[1]), int(sys.argv[2])
    tracked_run(folder, dies_at)
    time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGKILL)

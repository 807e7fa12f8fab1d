"""Whether what the run's telemetry tells of deaths is what was done to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.bench.chaos_run import Kill
from loop.records import Telemetry


@dataclass(frozen=True, slots=True)
class Noticed:
    """What became of one kill in the eyes of the run.

    `how`: `told` by it; `forgotten` with a driver that was killed before it had written it down; `starting`, the
    successor of another that was killed, before it had answered; `unneeded`, since the last round asked nothing more of
    the process; `driver`, which no driver can tell; otherwise `unnoticed`. `back_s`: seconds until the process had a
    successor that answered.
    """

    how: str
    back_s: float | None = None


def noticed(kills: Sequence[Kill], rows: Sequence[Telemetry], rounds: int) -> list[Noticed]:
    """What the run noticed of each kill. The learners' ranks die and come back together, so their deaths go by time."""
    seen = [_noticed(kill, kills, rows, rounds) for kill in kills]
    away = [(k.actor, k.at, k.at + one.back_s) for k, one in zip(kills, seen, strict=True) if one.back_s is not None]
    return [
        Noticed("starting")
        if one.how == "unnoticed" and any(actor == k.actor and gone < k.at < back for actor, gone, back in away)
        else one
        for k, one in zip(kills, seen, strict=True)
    ]


def unexplained(kills: Sequence[Kill], rows: Sequence[Telemetry]) -> list[str]:
    """Deaths in the run's telemetry that no kill explains, as sentences."""
    killed = {kill.pid for kill in kills}
    ranks = [kill.at for kill in kills if kill.actor == "learner"]
    told, last = [], 0.0
    for row in sorted(_deaths(rows), key=lambda row: row.at):
        if row.actor == "learners":
            if not any(last < at <= row.at for at in ranks):
                told.append(f"learners in round {row.round}: {row.detail}")
            last = row.at
        elif row.pid not in killed:
            told.append(f"{row.actor} (process {row.pid}) in round {row.round}: {row.detail}")
    return told


def _noticed(kill: Kill, kills: Sequence[Kill], rows: Sequence[Telemetry], rounds: int) -> Noticed:
    if kill.actor == "driver":
        return Noticed("driver", kill.goes_on_s)
    drivers = [other.at for other in kills if other.actor == "driver" and other.at > kill.at]
    until = min(drivers, default=float("inf"))
    deaths = [row for row in _deaths(rows) if kill.at <= row.at <= until]
    mine = [row for row in deaths if _is_of(row, kill)]
    if mine:
        back = [row for row in rows if row.event == "restarted" and row.actor == mine[0].actor and row.at >= mine[0].at]
        ready = min((row.at for row in back), default=None)
        return Noticed("told", ready - kill.at if ready is not None and ready < until else None)
    if any(other.actor == "driver" and other.at > kill.at and other.round <= kill.round + 1 for other in kills):
        return Noticed("forgotten")
    return Noticed("unneeded" if kill.round == rounds else "unnoticed")


def _is_of(row: Telemetry, kill: Kill) -> bool:
    return row.actor == "learners" if kill.actor == "learner" else row.pid == kill.pid


def _deaths(rows: Sequence[Telemetry]) -> list[Telemetry]:
    return [row for row in rows if row.event == "died"]

"""A run that is disturbed: its processes are killed at the moments planned, and the same command is given again
whenever the run's own process died of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from actors.bench.chaos_hold import Held, Holds
from actors.bench.chaos_plan import Strike, due, missed, timed
from actors.bench.chaos_process import RunProcess
from loop.errors import InfrastructureFailed
from loop.status import Status, read_status

POINTS = (
    *(f"phase/{name}" for name in ("evaluate", "score", "probe", "check", "generate", "judge", "aggregate", "pair")),
    *(f"phase/{name}" for name in ("anchor", "learn", "push", "kl", "gate", "gate score", "diagnose", "export")),
    *(f"shard/{name}" for name in ("evaluate", "score", "generate", "judge", "aggregate", "pair")),
    *("shard/gate", "shard/gate score"),
    *("commit/before", "commit/after"),
    *("push/begun", "push/loading", "push/engine", "push/finished"),
    *("learn/step", "checkpoint/parts", "checkpoint/marker", "checkpoint/renamed"),
)
"""Where processes are held for a moment, so that a kill can be placed there."""

OWN = {"learn/step": "learner", "checkpoint": "learner", "push/engine": "rollout"}
"""Points reached by other processes than the driver, by how they begin."""

LOOK_S = 0.01
FIND_S = 5.0
"""How long to look for a process of the kind that is to be killed; it may just be starting again."""

ORPHANS_S = 3.0
"""How long processes may outlive their driver before they are ended."""

MOST_FAILURES = 5
"""Ends of the command that nobody caused, before the run is given up."""


@dataclass
class Kill:
    """One kill, with what the run said of itself just before and after. `moment` is a point or `random`; `goes_on_s`
    are the seconds until the run made its next step, None when the driver was killed before it did or none was left.
    `alive` are the run's processes at that moment, `watched` says whether the next step is still waited for."""

    actor: str
    pid: int
    at: float
    round: int
    phase: str
    moment: str
    before: list[str]
    after: str
    goes_on_s: float | None = None
    alive: frozenset[int] = frozenset()
    watched: bool = True


@dataclass
class Start:
    """One start of the command: how it ended (exit status, negative: a signal), how many seconds the processes that it
    left took to be gone, and those that had to be ended since they did not go."""

    at: float
    pid: int
    status: int | None = None
    orphans_s: float = 0.0
    orphans: list[str] = field(default_factory=list)


@dataclass
class Disturbed:
    """What was done to a run and what became of it. `missed` are planned kills for which no occasion came, `failures`
    sentences about ends that nobody caused."""

    kills: list[Kill] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    missed: list[Strike] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    finished: bool = False


def owner(point: str) -> str:
    """The kind of the process that reaches a point."""
    return next((kind for begins, kind in OWN.items() if point.startswith(begins)), "driver")


def gets_over(kill: Kill, held: Held) -> bool:
    """Whether a process that comes to a point shows that the run goes on after a kill: after a driver's, when a phase
    begins or brings something; otherwise when the driver makes a step, or a process that is younger than the kill."""
    if held.at <= kill.at:
        return False
    if kill.actor == "driver":
        return held.point.startswith(("phase/", "shard/"))
    return owner(held.point) == "driver" or held.pid not in kill.alive


class Disturber:
    """Runs a command to its end and makes the strikes meanwhile.

    Args:
        overrides: of `ratchet run`; they name the run's `folder`.
        rounds: how many the run has.
        usual: seconds that each phase takes when nobody disturbs it, `start` included.
        work: a folder for the plan and the log.
        patience_s: the run counts as hanging after so many seconds without any step.
    """

    def __init__(
        self,
        overrides: Sequence[str],
        folder: Path,
        rounds: int,
        strikes: Sequence[Strike],
        usual: Mapping[str, float],
        seed: int,
        work: Path,
        patience_s: float,
        told: Callable[[str], None],
    ) -> None:
        self.overrides = overrides
        self.folder = folder
        self.rounds = rounds
        self.usual = usual
        self.log = work / "disturbed.log"
        self.plan = work / "plan.jsonl"
        self.patience_s = patience_s
        self.told = told
        self.record = Disturbed()
        self._pending = list(strikes)
        self._timers: list[tuple[float, Strike]] = []
        self._rng = random.Random(f"victims {seed}")
        self._holds = Holds(self.plan, POINTS)
        self._heard = time.time()

    def run(self) -> Disturbed:
        """Raises: InfrastructureFailed when the run hangs, or ends again and again without being killed."""
        self._start()
        try:
            while not self.record.finished:
                while (held := self._holds.next()) is not None:
                    self._passed(held)
                self._strike_in_time()
                if (status := self._process.status()) is not None:
                    self._ended(status)
                elif time.time() - self._heard > self.patience_s:
                    raise InfrastructureFailed(
                        f"the disturbed run made no step for {self.patience_s:.0f} s, in {self._said()}: see {self.log}"
                    )
                time.sleep(LOOK_S)
        finally:
            self._process.end()
        self.record.missed = self._pending
        return self.record

    def _start(self) -> None:
        self._process = RunProcess(self.overrides, self.log, self.plan)
        self._heard = time.time()
        self.record.starts.append(Start(self._process.began, self._process.pid))
        for strike in timed(self._pending, "start", 0, self.rounds):
            self._set_timer(strike)

    def _passed(self, held: Held) -> None:
        """A process came to a point: kill what is due there, and let it go on."""
        if not self._process.holds(held.pid):  # it was killed while it waited
            return
        self._heard = time.time()
        self._went_on(held)
        status = self._status()
        if status is not None:
            now, self._pending = due(self._pending, held.point, status.phases, status.round, self.rounds)
            for strike in now:
                self._strike(strike, held)
            if held.point.startswith("phase/"):
                for strike in timed(self._pending, held.point.removeprefix("phase/"), status.round, self.rounds):
                    self._set_timer(strike)
        held.release()

    def _set_timer(self, strike: Strike) -> None:
        self._pending.remove(strike)
        self._timers.append((time.time() + strike.share * self.usual.get(strike.phase, 0.0), strike))
        self._timers.sort(key=lambda timer: timer[0])

    def _strike_in_time(self) -> None:
        """Make the kills whose drawn moment has come; those whose phase is over already wait for the next time."""
        while self._timers and self._timers[0][0] <= time.time():
            at, strike = self._timers.pop(0)
            status = self._status()
            phases = status.phases if status is not None else ["start"]
            if strike.phase not in phases:
                self._pending.append(missed(strike))
            elif strike.phase == "start" and not self._process.actors(strike.actor):
                self._timers.insert(0, (at, strike))  # it is not there yet
                return
            else:
                self._strike(strike, None)

    def _strike(self, strike: Strike, held: Held | None) -> None:
        """Kill a process of the strike's kind: the one that is held where it is of that kind, else a drawn one."""
        own = held is not None and owner(held.point) == strike.actor != "driver"
        victims = [held.pid] if held is not None and own else self._victims(strike.actor)
        if not victims or self._process.status() is not None:
            self._pending.append(strike)
            return
        pid, before = self._rng.choice(victims), self._status()
        alive = frozenset(process.pid for process in self._process.others())
        kill = Kill(
            actor=strike.actor,
            pid=pid,
            at=time.time(),
            round=before.round if before is not None else 0,
            phase=strike.phase,
            moment=strike.moment,
            before=before.phases if before is not None else ["start"],
            after="",
            alive=alive,
        )
        self._process.kill(pid)
        after = self._status()
        kill.after = f"{after.state}: {', '.join(after.phases)}" if after is not None else "start"
        if strike.actor == "driver":
            for earlier in self.record.kills:  # their time cannot be told apart any more
                earlier.watched = False
        self.record.kills.append(kill)
        self.told(
            f"kill {len(self.record.kills)}: {kill.actor}, process {pid}, {kill.phase} of round {kill.round}, "
            f"{'at ' if strike.point else ''}{kill.moment}"
        )

    def _victims(self, kind: str) -> list[int]:
        deadline = time.monotonic() + FIND_S
        while not (victims := self._process.actors(kind)) and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        return victims

    def _went_on(self, held: Held) -> None:
        """Note which kills the run has got over with this step."""
        for kill in self.record.kills:
            if kill.goes_on_s is None and kill.watched and gets_over(kill, held):
                kill.goes_on_s = held.at - kill.at

    def _ended(self, status: int) -> None:
        """The command ended: complete, killed, or by itself. Unless it is complete, it is given again."""
        start = self.record.starts[-1]
        start.status = status
        start.orphans_s, start.orphans = self._process.clear(ORPHANS_S)
        if status == 0:
            self.record.finished = True
            return
        killed = any(kill.pid == self._process.pid for kill in self.record.kills)
        if not killed:
            self.record.failures.append(
                f"the command ended with status {status} in {self._said()}: {self._last_line()}"
            )
            self.told(self.record.failures[-1])
            if len(self.record.failures) == MOST_FAILURES:
                raise InfrastructureFailed(f"the disturbed run failed {MOST_FAILURES} times: see {self.log}")
        self._pending += [strike for _, strike in self._timers]
        self._timers = []
        self._start()

    def _status(self) -> Status | None:
        """What the present driver said last; None as long as it has said nothing."""
        status = read_status(self.folder)
        return status if status is not None and status.pid == self._process.pid else None

    def _said(self) -> str:
        status = self._status()
        if status is None:
            return "its start"
        return f"{', '.join(status.phases) or 'no phase'} of round {status.round}"

    def _last_line(self) -> str:
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"

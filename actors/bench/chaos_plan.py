"""Which processes `ratchet bench chaos` kills, and at which moments: pure decisions, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

ACTORS = ("driver", "rollout", "judge", "learner")
"""Kinds of processes of a run."""

POINTS: dict[str, tuple[str, ...]] = {
    "start": (),
    "evaluate": ("shard/evaluate",),
    "score": ("shard/score",),
    "probe": ("phase/probe",),
    "check": ("phase/check",),
    "generate": ("shard/generate",),
    "judge": ("shard/judge",),
    "aggregate": ("shard/aggregate",),
    "pair": ("shard/pair",),
    "anchor": ("phase/anchor",),
    "learn": ("learn/step", "checkpoint/parts"),
    "push": ("push/begun", "push/loading", "push/engine", "push/finished"),
    "kl": ("phase/kl",),
    "gate": ("shard/gate",),
    "gate score": ("shard/gate score",),
    "diagnose": ("phase/diagnose",),
    "export": ("phase/export",),
}
"""The phases of a run, `start` included, with the points of each at which a process can be killed."""

TIMED = ("start", "evaluate", "score", "generate", "judge", "anchor", "learn", "push", "kl")
"""Phases long enough for a moment that is drawn."""

REPEATED = tuple(phase for phase in POINTS if phase not in ("start", "probe", "check"))
"""Phases that each round of training goes through."""

NAMED: tuple[tuple[str, str, str], ...] = (
    ("generate", "driver", "commit/before"),
    ("judge", "driver", "commit/after"),
    ("learn", "learner", "learn/step"),
    ("learn", "learner", "checkpoint/parts"),
    ("push", "driver", "push/begun"),
    ("push", "rollout", "push/engine"),
    ("learn", "learner", "checkpoint/marker"),
    ("learn", "driver", "checkpoint/renamed"),
    ("push", "learner", "push/loading"),
    ("push", "driver", "push/finished"),
)
"""Phase, actor and point of the kills that are always among the first: in a commit, a push, a checkpoint."""

MOST_SKIPPED = 2
"""Passes of a point before the kill, at most."""

LATEST = 0.6
"""The latest drawn moment, as a share of the phase's usual length: some are shorter."""


@dataclass(frozen=True, slots=True)
class Strike:
    """A kill to be made: in a phase of `round`, or of a later one where that round had no occasion. At a named point,
    after `skip` passes of it; or, without a point, after `share` of the phase's usual length."""

    phase: str
    actor: str
    round: int
    point: str | None = None
    skip: int = 0
    share: float = 0.0

    @property
    def moment(self) -> str:
        """The moment in words."""
        return self.point or "random"


def schedule(kills: int, seed: int, rounds: int) -> list[Strike]:
    """The kills of one run, in no particular order of time: those of `NAMED`, then one for every pair of phase and
    actor that these leave out, in an order drawn from the seed, then drawn ones. `kills` of 0: one for every pair."""
    rng = random.Random(f"chaos {seed}")
    done = {(phase, actor) for phase, actor, _ in NAMED}
    cells = [cell for cell in product(POINTS, ACTORS) if cell not in done]
    rng.shuffle(cells)
    wanted: list[tuple[str, str, str | None]] = [*NAMED]
    wanted += [(phase, actor, _drawn_point(rng, phase)) for phase, actor in cells]
    while len(wanted) < kills:
        wanted.append((rng.choice([phase for phase in TIMED if phase != "start"]), rng.choice(ACTORS), None))
    chosen = wanted[: kills if kills > 0 else None]
    turns = {phase: rng.randrange(rounds) for phase in POINTS}
    strikes = []
    for phase, actor, point in chosen:
        turns[phase] += 1
        skip = rng.randint(0, MOST_SKIPPED) if point is not None and not point.startswith("phase/") else 0
        share = rng.uniform(0, LATEST) if point is None else 0.0
        strikes.append(Strike(phase, actor, _round(phase, actor, turns[phase], rounds), point, skip, share))
    return strikes


def _drawn_point(rng: random.Random, phase: str) -> str | None:
    """A named point of a phase; in half of the cases none, where a moment can be drawn as well."""
    if phase in TIMED and (not POINTS[phase] or rng.random() < 0.5):
        return None
    return rng.choice(POINTS[phase])


def _round(phase: str, actor: str, turn: int, rounds: int) -> int:
    """The round of a phase's next kill: they take turns. Anchors are computed from the second round on. Drivers die in
    the earlier rounds, others in the later ones: what a round's telemetry has of deaths goes with its driver."""
    if phase not in REPEATED:
        return 0
    middle = (rounds + 1) // 2
    first = 2 if phase == "anchor" and rounds > 1 else 1
    low, high = (first, max(first, middle)) if actor == "driver" else (max(first, middle), rounds)
    return low + turn % (high - low + 1)


def due(
    pending: Sequence[Strike], point: str, phases: Sequence[str], round: int, rounds: int
) -> tuple[list[Strike], list[Strike]]:
    """What is to be killed now that a process of the run is held at a point, and what stays pending.

    A driver dies alone: after its restart the same point comes again. Where a phase passes a point once, all others die
    together; where it does so often, one at a time. In the last round no occasion is passed over.
    """
    here = [s for s in pending if s.point == point and s.phase in phases and s.round <= round]
    waiting = [] if round == rounds else [s for s in here if s.skip]
    ready = [s for s in here if s not in waiting]
    drivers = [s for s in ready if s.actor == "driver"]
    now = drivers[:1] or (ready if point.startswith("phase/") else ready[:1])
    left = list(pending)
    for strike in now:
        left.remove(strike)
    return now, [replace(s, skip=s.skip - 1) if s in waiting else s for s in left]


def timed(pending: Sequence[Strike], phase: str, round: int, rounds: int) -> list[Strike]:
    """The drawn moments that begin to count when a phase begins: one at a time, all of them in the last round."""
    here = [s for s in pending if s.point is None and s.phase == phase and s.round <= round]
    return here if round == rounds else here[:1]


def missed(strike: Strike) -> Strike:
    """A strike whose phase was over before its moment came: it is made earlier the next time, when the phase begins."""
    return replace(strike, share=0.0, point=None if strike.phase == "start" else f"phase/{strike.phase}")

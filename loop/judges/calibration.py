"""The check of a judge before a run trusts it: its questions, what its replies come to, and the levels it must reach.

`loop.judges.calibration_pairs` makes the pairs. Both orders of each are asked, as pairwise questions; a judge that
scores single responses is asked through `loop.judges.comparing`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loop.errors import nearest
from loop.judge_config import CheckConfig
from loop.judges.calibration_pairs import GENERAL, IDENTICAL, KINDS, CalibrationPair, calibration_pairs, pairs_from_file
from loop.judges.judge import Asked, Reply
from loop.records import Prompt, Question, digest_of

CONSISTENT = "consistent"
LEVELS = (*(kind for kind in KINDS if kind != IDENTICAL), CONSISTENT)


@dataclass(frozen=True, slots=True)
class KindReport:
    """What the replies about one kind of pair come to; fractions of 1, None where there is nothing to take them of.

    `accuracy`: questions whose verdict names the better response; a tie is half right, a failed judgement wrong (None
    for identical texts). `consistency`: pairs, of those judged in both orders, whose verdicts do not contradict each
    other. `first_shown`: verdicts that name the response shown first, a tie half. `failed`: failed judgements.
    """

    kind: str
    pairs: int
    accuracy: float | None
    consistency: float | None
    first_shown: float | None
    failed: float


@dataclass(frozen=True, slots=True)
class CheckReport:
    """`consistent` is the consistency over all pairs of different texts, `identical_gap` the mean distance of P(first
    is better) from one half where both texts are the same; None where no judgement tells."""

    kinds: tuple[KindReport, ...]
    consistent: float | None
    identical_gap: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain data: `consistent`, `identical_gap`, and `kinds` by name."""
        kinds = {each.kind: {k: v for k, v in dataclasses.asdict(each).items() if k != "kind"} for each in self.kinds}
        return {"kinds": kinds, "consistent": self.consistent, "identical_gap": self.identical_gap}


def pairs_for(check: CheckConfig, prompts: Sequence[Prompt], seed: int) -> list[CalibrationPair]:
    """The pairs that a configuration asks for: from its file, else from the pool's reference answers, else general
    ones, whose better response is the reference answer. Raises: Refused for a bad file."""
    if check.file is not None:
        return pairs_from_file(check.file, check.prompts, seed)
    if found := calibration_pairs(prompts, check.prompts, seed):
        return found
    general = pairs_from_file(str(GENERAL), check.prompts, seed)
    return [dataclasses.replace(pair, answer=pair.better) for pair in general]


def questions(pairs: Sequence[CalibrationPair]) -> list[Asked]:
    """Two questions a pair, the better response shown first and shown second. The group that goes with them holds the
    better response twice, so that a judge which counts responses has a majority to find."""
    return [_asked(pair, swapped) for pair in pairs for swapped in (False, True)]


def _asked(pair: CalibrationPair, swapped: bool) -> Asked:
    worse = pair.worse[0 if swapped else 1]
    better_id, worse_id = (
        digest_of("calibration", pair.pair_id, role, text) for role, text in (("better", pair.better), ("worse", worse))
    )
    ids, texts = [better_id, worse_id], [pair.better, worse]
    if swapped:
        ids, texts = ids[::-1], texts[::-1]
    question = Question(pair.pair_id, ids)
    return Asked(question, pair.conversation, tuple(texts), pair.answer, (pair.better, pair.better, worse))


def report(kinds: Sequence[str], replies: Sequence[Reply]) -> CheckReport:
    """What the replies to `questions(pairs)`, in that order, come to; `kinds` are those of the pairs."""
    first_shown = [_first_share(reply) for reply in replies]
    both = dict(enumerate(zip(first_shown[::2], first_shown[1::2], strict=True)))
    by_kind = {kind: [at for at, one in enumerate(kinds) if one == kind] for kind in KINDS}
    told = tuple(_of_kind(kind, [both[at] for at in places]) for kind, places in by_kind.items() if places)
    gaps = [abs(value - 0.5) for at in by_kind[IDENTICAL] for reply in replies[2 * at : 2 * at + 2]
            if (value := _value(reply)) is not None]  # fmt: skip
    different = [both[at] for at, kind in enumerate(kinds) if kind != IDENTICAL]
    return CheckReport(told, _consistency(different), _mean(gaps))


Both = tuple[float | None, float | None]
"""Whether the first shown is better (1, 0, or 0.5 for a tie; None: failed): better response first, and second."""


def _value(reply: Reply) -> float | None:
    if reply.status == "failed":
        return None
    return 0.5 if reply.status == "undecided" else reply.value


def _first_share(reply: Reply) -> float | None:
    value = _value(reply)
    return None if value is None else 0.5 * ((value > 0.5) - (value < 0.5)) + 0.5


def _of_kind(kind: str, both: Sequence[Both]) -> KindReport:
    judged = [share for pair in both for share in pair if share is not None]
    right = [share for pair in both for share in _right(pair)]
    return KindReport(
        kind=kind,
        pairs=len(both),
        accuracy=None if kind == IDENTICAL else _mean(right),
        consistency=_consistency(both),
        first_shown=_mean(judged),
        failed=1 - len(judged) / (2 * len(both)),
    )


def _right(both: Both) -> tuple[float, float]:
    first, second = both
    return 0.0 if first is None else first, 0.0 if second is None else 1 - second


def _consistency(both: Sequence[Both]) -> float | None:
    """A pair is contradicted if the same position wins in both orders; a tie contradicts nothing."""
    return _mean([float({*pair} not in ({0.0}, {1.0})) for pair in both if None not in pair])


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def level_problem(levels: Mapping[str, float]) -> str | None:
    """What is wrong with `judge.check.levels`, in a sentence; None if nothing is."""
    for name, level in levels.items():
        if name not in LEVELS:
            return f"judge.check.levels has no {name!r}{nearest(name, LEVELS)}; it knows {', '.join(LEVELS)}."
        if not 0.0 <= level <= 1.0:
            return f"judge.check.levels.{name} is {level}, but a level lies between 0 and 1."
    return None


def shortfalls(report: CheckReport, levels: Mapping[str, float]) -> list[str]:
    """One clause for each level that the judge does not reach, and one for its failed judgements; what was never judged
    reaches none above 0."""
    reached = {each.kind: each.accuracy for each in report.kinds} | {CONSISTENT: report.consistent}
    missed = {name: level for name, level in levels.items() if (reached.get(name) or 0.0) < level}
    short = [
        f"the judge's {'consistency' if name == CONSISTENT else f'accuracy on {name} pairs'} is "
        f"{_shown(reached.get(name))}, below judge.check.levels.{name}={level:g}"
        for name, level in missed.items()
    ]
    failed = sum(each.failed * 2 * each.pairs for each in report.kinds)
    if short and failed:
        asked = sum(2 * each.pairs for each in report.kinds)
        short.append(f"{failed:.0f} of {asked} judgements failed (the table judge_checks says why)")
    return short


def sentence(report: CheckReport) -> str:
    """The report in one line."""
    right = [f"{each.kind} {_percent(each.accuracy)}" for each in report.kinds if each.kind != IDENTICAL]
    same = _percent(report.consistent)
    return f"The judge's check: right on pairs of kind {', '.join(right)}; the same in both orders {same}."


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def table(report: CheckReport) -> list[str]:
    """The report as aligned lines of plain text."""
    rows = [("pairs of kind", "pairs", "accuracy", "consistent", "first shown", "failed")]
    for each in report.kinds:
        shares = (each.accuracy, each.consistency, each.first_shown, each.failed)
        rows.append((each.kind, str(each.pairs), *map(_shown, shares)))  # type: ignore[arg-type]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return [
        *lines,
        f"verdicts that the order does not change: {_shown(report.consistent)}",
        f"mean distance from one half where both texts are the same: {_shown(report.identical_gap)}",
    ]


def _shown(share: float | None) -> str:
    return "-" if share is None else f"{share:.3f}"

"""What belongs to a group besides the policy's samples: samples of frozen policies, and texts of the prompts' files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loop.anchors import Resolved, anchor_options, resolve
from loop.errors import Refused
from loop.records import PolicyVersion, Purpose

POLICIES = ("initial", "previous", "latest", "magnet", "random_past", "mixture")
"""Kinds of policies that others are sampled from: anchors (`loop.anchors`), and `latest`, with which the round before
ended. That is the policy with which this round begins, unless the round before only looked ahead."""

COLUMNS = ("answer", "completion", "chosen", "rejected", "teacher")
PURPOSES: tuple[Purpose, ...] = ("baseline", "opponent", "explored", "teacher", "chosen", "rejected")
"""What others may be for: a baseline or opponents that the policy's samples are compared with; samples of another
policy or a teacher's text that take part like them; the sides of pairs that are given."""

OPTIONS = {"magnet": ("k", "reset_every"), "mixture": ("k", "weight", "draws")}
"""What may be set of a kind of policy; of the others `k`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source: `k` samples of a kind of policy, or the text of a column, for a purpose. `draws` samples of the
    policy with which the round begins are what a mixture's are chosen from (`loop.sampling.Mixture`)."""

    purpose: Purpose
    policy: str = ""
    column: str = ""
    k: int = 1
    weight: float = 0.125
    draws: int = 8
    reset_every: float = 2.0

    def resolved(self, round: int, history: Sequence[PolicyVersion], latest: PolicyVersion, seed: int) -> Resolved:
        """Which policies these samples come from in a round; `history[i]` is the version with which round i + 1
        began."""
        if self.policy == "latest":
            return Resolved((str(latest),), (1.0,))
        kind, options = self.anchor
        return resolve(kind, round, history, options, seed)

    @property
    def anchor(self) -> tuple[str, Mapping[str, float]]:
        """Kind and options of the anchor whose checkpoints these samples need."""
        options = {"magnet": {"reset_every": self.reset_every}, "mixture": {"weight": self.weight}}
        return "previous" if self.policy == "latest" else self.policy, options.get(self.policy, {})


def source_of(entry: Any) -> Source:
    """An entry of `algorithm.others`. Raises: Refused where it is none."""
    known = "as in {policy: initial, as: opponent} or {column: completion, as: chosen}"
    if not isinstance(entry, Mapping) or ("policy" in entry) == ("column" in entry):
        raise Refused(f"algorithm.others: {entry} must name a policy or a column, {known}")
    given = dict(entry)
    kind = "policy" if "policy" in given else "column"
    name, names = given.pop(kind), POLICIES if kind == "policy" else COLUMNS
    if name not in names:
        raise Refused(f"algorithm.others: there is no {kind} {name!r}; there are {', '.join(names)}")
    if (purpose := given.pop("as", None)) not in PURPOSES:
        raise Refused(f"algorithm.others: as={purpose} of {kind} {name} must be one of {', '.join(PURPOSES)}")
    allowed = OPTIONS.get(name, ("k",)) if kind == "policy" else ()
    if unknown := sorted(set(given) - set(allowed)):
        raise Refused(f"algorithm.others: {kind} {name} has no option {unknown[0]!r}")
    for option, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(f"algorithm.others: {kind} {name}: {option}={value} must be a number")
    source = Source(purpose=purpose, **{kind: name}, **given)
    if not (isinstance(source.k, int) and source.k >= 1 and isinstance(source.draws, int) and source.draws >= source.k):
        raise Refused(f"algorithm.others: {kind} {name}: k must be a whole number from 1, and draws no fewer")
    if source.policy:
        anchor_options(*source.anchor)
    return source

"""The parts that losses are composed of, and what each declares: its options with their defaults, and its needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from loop.losses.batch import PairBatch

Options = Mapping[str, float]
Kind = Literal["pair", "list", "single"]
Labels = Literal["", "win_rate", "skew", "score", "relevance", "desirable", "kept", "sample"]
"""What a response's label says: nothing; its win rate against the sampling policy, in [0, 1]; its mean skew-symmetric
score against it; a judge's score; a relevance, whose 2^label is meant: in [0, 1] or a small grade; 1 for desirable and
0 for not; 1 for a response that was kept, as all are; 1 for one of the policy's samples and 0 for the rejected one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a loss must be given. `anchors`: frozen policies whose log-probs enter it; `strengths`: it reads graded
    strengths, so that a tie is an example too; `margins`: it reads those; `certainty`: how certain each pair is, as an
    information gain; `labels`: the kind of label it reads, if any; `full_anchor`: full logits of an anchor, which stays
    resident; `alignment`: sums over the policy's own whole vocabulary; `common`: log-ratios up to the shorter side's
    length; `others`: further responses, by role."""

    anchors: int = 0
    strengths: bool = False
    margins: bool = False
    certainty: bool = False
    labels: Labels = ""
    full_anchor: bool = False
    alignment: bool = False
    common: bool = False
    others: tuple[str, ...] = ()

    def __or__(self, other: Needs) -> Needs:
        """What is needed by both together."""
        return Needs(
            anchors=max(self.anchors, other.anchors),
            strengths=self.strengths or other.strengths,
            margins=self.margins or other.margins,
            certainty=self.certainty or other.certainty,
            labels=self.labels or other.labels,
            full_anchor=self.full_anchor or other.full_anchor,
            alignment=self.alignment or other.alignment,
            common=self.common or other.common,
            others=tuple(dict.fromkeys((*self.others, *other.others))),
        )


NOTHING = Needs()
ANCHOR = Needs(anchors=1)


def given(field: Tensor | None) -> Tensor:
    """An optional field of a batch that a loss's needs name, and that is therefore there."""
    assert field is not None, "needs name every field that a loss reads"
    return field


@dataclass(frozen=True, slots=True)
class Part:
    """A score, a target, a shift, a factor or an add-on of a pairwise loss: a number per example, `[N]`."""

    of: Callable[[PairBatch, Options], Tensor]
    needs: Needs = NOTHING
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A function of a scaled score `z_N` and a target `[N]`, with its options."""

    of: Callable[[Tensor, Tensor, Options], Tensor]
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Domain:
    """Where an option makes sense: values for which `holds`, and the sentence about others, which follows
    `option=value`."""

    holds: Callable[[float], bool]
    sentence: str


Domains = Mapping[str, Domain]
"""By option."""

POSITIVE = Domain(lambda value: value > 0, "must be above 0")
NOT_NEGATIVE = Domain(lambda value: value >= 0, "must not be below 0")
SHARE = Domain(lambda value: 0 <= value <= 1, "must lie in [0, 1]")
TEMPERATURE = Domain(lambda value: value > 0, "is a temperature and must be above 0")
FEWER_THAN_HALF = Domain(lambda value: 0 <= value < 0.5, "must lie in [0, 0.5), where labels still say something")


@dataclass(frozen=True, slots=True)
class Statistics:
    """How a loss whose scope is the batch gets what it needs of the whole optimiser step, before any gradient.

    `read` takes from each example what matters, detached, `[N, R]`; `prepare` turns the readings of all examples of
    the step `[E, R]`, in the step's order, and the loss's state into constants for each example `[E, S]` and the next
    state. The formula then reads its examples' rows. How the step is split into micro-batches and ranks does not
    matter.
    """

    read: Callable[[Any, Options], Tensor]
    prepare: Callable[[Tensor, Mapping[str, float], Options], tuple[Tensor, dict[str, float]]]
    state: Options = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A named loss. `formula` gives the unweighted loss of each example `[N]` from a batch of its `kind`, the options,
    and (scope `batch` only) the constants `[N, S]` that `statistics` prepared. `score` is what a pairwise loss compares
    its two sides by, for metrics. `domains` tell which options make sense, besides those of options that mean the same
    in every loss (`loss.COMMON`). `source` is where it was published."""

    name: str
    source: str
    formula: Callable[[Any, Options, Tensor | None], Tensor]
    kind: Kind = "pair"
    needs: Needs = ANCHOR
    options: Options = field(default_factory=dict)
    domains: Domains = field(default_factory=dict)
    score: Part | None = None
    statistics: Statistics | None = None

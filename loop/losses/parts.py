"""The parts that losses are composed of, and what each declares: its options with their defaults, and its needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from loop.losses.batch import PairBatch

Options = Mapping[str, float]
Kind = Literal["pair", "list", "single"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a loss must be given. `anchors`: frozen policies whose log-probs enter it; `strengths`: it reads graded
    strengths, so that a tie is an example too; `margins`, `labels`: it reads those; `full_anchor`: full logits of an
    anchor, which stays resident; `alignment`: sums over the policy's own whole vocabulary; `common`: log-ratios up to
    the shorter side's length; `value_head`: an output per token besides the logits; `others`: further responses, by
    role."""

    anchors: int = 0
    strengths: bool = False
    margins: bool = False
    labels: bool = False
    full_anchor: bool = False
    alignment: bool = False
    common: bool = False
    value_head: bool = False
    others: tuple[str, ...] = ()

    def __or__(self, other: Needs) -> Needs:
        """What is needed by both together."""
        return Needs(
            anchors=max(self.anchors, other.anchors),
            strengths=self.strengths or other.strengths,
            margins=self.margins or other.margins,
            labels=self.labels or other.labels,
            full_anchor=self.full_anchor or other.full_anchor,
            alignment=self.alignment or other.alignment,
            common=self.common or other.common,
            value_head=self.value_head or other.value_head,
            others=tuple(dict.fromkeys((*self.others, *other.others))),
        )


NOTHING = Needs()
ANCHOR = Needs(anchors=1)


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
    """Where a loss is defined: options for which `holds`, and the sentence for the others, options in braces."""

    holds: Callable[[Options], bool]
    sentence: str


EVERYWHERE = Domain(lambda o: True, "")


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
    and (scope `batch` only) the constants `[N, S]` that `statistics` prepared. `domain` tells which options make sense.
    `source` is where it was published."""

    name: str
    source: str
    formula: Callable[[Any, Options, Tensor | None], Tensor]
    kind: Kind = "pair"
    needs: Needs = ANCHOR
    options: Options = field(default_factory=dict)
    domain: Domain = EVERYWHERE
    statistics: Statistics | None = None

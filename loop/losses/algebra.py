"""Pairwise losses as `scale * factor * kernel(stretch * (beta * score + shift), target) + add-ons`: one call composes a
row. A loss that treats its two sides differently is a function of its own, and carries the same add-ons."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from loop.losses.add_ons import ADD_ONS
from loop.losses.batch import PairBatch
from loop.losses.kernels import LOGISTIC
from loop.losses.parts import ANCHOR, Domains, Kernel, Needs, Options, Part, Row
from loop.losses.scores import LOG_RATIO, MEAN_LOG_PROB
from loop.losses.targets import ONE, ZERO


def pair_function(
    name: str,
    source: str,
    of: Callable[[PairBatch, Options], Tensor],
    needs: Needs = ANCHOR,
    domains: Domains | None = None,
    score: Part | None = None,
    **options: float,
) -> Row:
    """A row whose formula is a function of both sides, `[N]`; `options` are its own and the add-ons it carries.

    Without a `score` of its own its metrics are of log-ratios, or of log-probs per token where there is no anchor.
    """

    def formula(pairs: PairBatch, o: Options, _: Tensor | None = None) -> Tensor:
        return of(pairs, o)

    return Row(
        name=name,
        source=source,
        formula=formula,
        needs=needs,
        options={**dict.fromkeys(ADD_ONS, 0.0), **options},
        domains=domains or {},
        score=score or (LOG_RATIO if needs.anchors else MEAN_LOG_PROB),
    )


def pair_row(
    name: str,
    source: str,
    score: Part,
    kernel: Kernel = LOGISTIC,
    target: Part = ONE,
    shift: Part = ZERO,
    stretch: Part = ONE,
    factor: Part = ONE,
    domains: Domains | None = None,
    beta: float | None = 0.1,
    **defaults: float,
) -> Row:
    """A row composed of parts. `stretch` multiplies an example's whole score, `factor` its kernel.

    Without `beta` (None) the score stands as it is and no such option exists. `defaults` override those of the parts,
    and name add-ons that the published method carries (`nll=1.0`).
    """
    parts = (score, target, shift, stretch, factor)
    options: dict[str, float] = {"scale": 1.0, **kernel.options}
    needs = Needs()
    for part in parts:
        options |= part.options
        needs |= part.needs
    if beta is not None:
        options["beta"] = beta
    assert defaults.keys() <= options.keys() | ADD_ONS.keys(), f"{name}: no part reads one of {sorted(defaults)}"

    def of(pairs: PairBatch, o: Options) -> Tensor:
        score_N = score.of(pairs, o) if beta is None else o["beta"] * score.of(pairs, o)
        z_N = stretch.of(pairs, o) * (score_N + shift.of(pairs, o))
        return o["scale"] * factor.of(pairs, o) * kernel.of(z_N, target.of(pairs, o), o)

    return pair_function(name, source, of, needs, domains, score, **{**options, **defaults})

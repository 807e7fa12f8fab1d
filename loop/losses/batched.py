"""Pairwise losses of a whole optimiser step: what an example needs of the others is prepared before any gradient.

`_E` runs over the step's examples in the step's order; ties are broken by that order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from loop.losses.add_ons import ADD_ONS
from loop.losses.batch import PairBatch
from loop.losses.kernels import logistic
from loop.losses.parts import NOT_NEGATIVE, SHARE, Domain, Domains, Options, Row, Statistics
from loop.losses.scores import LOG_RATIO

_REMEMBERED = 50  # margins whose tenth percentile spa compares with

State = dict[str, float]
Formula = Callable[[PairBatch, Options, Tensor], Tensor]


def batched_row(
    name: str, source: str, of: Formula, statistics: Statistics, domains: Domains | None = None, **options: float
) -> Row:
    """A row of scope batch: `of` gives the loss of each example `[N]` from its prepared constants `[N, S]`."""

    def formula(pairs: PairBatch, options: Options, prepared_NS: Tensor | None) -> Tensor:
        assert prepared_NS is not None, "scope batch"
        return of(pairs, options, prepared_NS)

    own = {"beta": 0.1, **dict.fromkeys(ADD_ONS, 0.0), **options}
    return Row(
        name=name,
        source=source,
        formula=formula,
        options=own,
        domains=domains or {},
        score=LOG_RATIO,
        statistics=statistics,
    )


def at_same_rank(values_E: Tensor, of_E: Tensor) -> Tensor:
    """For each example, the entry of `of_E` whose rank there is the example's rank in `values_E`, `[E]`."""
    partner_E = torch.empty_like(of_E)
    partner_E[values_E.argsort(stable=True)] = of_E.sort(stable=True).values
    return partner_E


def _won(z_N: Tensor) -> Tensor:
    """-log sigmoid(z)."""
    return logistic(z_N, torch.ones_like(z_N))


def _margins(pairs: PairBatch, options: Options) -> Tensor:
    return pairs.h[:, None]


# AOT: the distributions over the step are compared quantile by quantile, not example by example.


def _read_paired(pairs: PairBatch, options: Options) -> Tensor:
    return torch.stack((pairs.chosen.lp - pairs.rejected.lp, pairs.chosen.rf - pairs.rejected.rf), -1)


def _prepare_paired(readings_ER: Tensor, state: Mapping[str, float], options: Options) -> tuple[Tensor, State]:
    policy_E, anchor_E = readings_ER.unbind(1)
    return at_same_rank(policy_E, anchor_E)[:, None], {}


def _aot(pairs: PairBatch, options: Options, anchor_NS: Tensor) -> Tensor:
    """The policy's margin against the anchor's margin of the same rank."""
    return _won(options["beta"] * (pairs.chosen.lp - pairs.rejected.lp - anchor_NS[:, 0]))


def _read_unpaired(pairs: PairBatch, options: Options) -> Tensor:
    return torch.stack((pairs.chosen.ratio, pairs.rejected.ratio), -1)


def _prepare_unpaired(readings_ER: Tensor, state: Mapping[str, float], options: Options) -> tuple[Tensor, State]:
    chosen_E, rejected_E = readings_ER.unbind(1)
    partners = (at_same_rank(chosen_E, rejected_E), at_same_rank(rejected_E, chosen_E))
    return torch.stack(partners, -1), {}


def _aot_unpaired(pairs: PairBatch, options: Options, partners_NS: Tensor) -> Tensor:
    """The k-th chosen log-ratio of the step against its k-th rejected one, usually of another example.

    Both carry gradient: an example's value is half of the two terms that it is in, its gradient the whole of them, so
    that both add up to those of the step. Weights belong to examples, not to matched terms: an example's weight
    multiplies the gradients of its own two sides, whatever those that they meet weigh.
    """
    rejected_N, chosen_N = partners_NS.unbind(1)
    terms_N = _won(options["beta"] * (pairs.chosen.ratio - rejected_N))
    terms_N = terms_N + _won(options["beta"] * (chosen_N - pairs.rejected.ratio))
    return terms_N - terms_N.detach() / 2


def _prepare_beta(readings_ER: Tensor, state: Mapping[str, float], options: Options) -> tuple[Tensor, State]:
    """beta of the step, and what multiplies each example's loss: kept ones make up the mean.

    Kept are the pairs nearest to the moving mean, the likeliest of those that the paper draws from a normal
    distribution around it: the same pairs whenever the step is done again. The mean moves first, as in the authors'
    code, and has seen all pairs of the step.
    """
    h_E = readings_ER[:, 0]
    mean = options["momentum"] * state["mean"] + (1 - options["momentum"]) * h_E.mean().item()
    kept_E = (h_E - mean).abs().argsort(stable=True)[: max(1, round(options["keep"] * len(h_E)))]
    beta = options["beta"] * (1 + options["sensitivity"] * (h_E[kept_E].mean().item() - mean))
    factor_E = torch.zeros_like(h_E)
    factor_E[kept_E] = len(h_E) / len(kept_E)
    return torch.stack((torch.full_like(h_E, max(beta, 1e-3)), factor_E), -1), {"mean": mean}


def _beta_dpo(pairs: PairBatch, options: Options, prepared_NS: Tensor) -> Tensor:
    beta_N, factor_N = prepared_NS.unbind(1)
    return factor_N * _won(beta_N * pairs.h)


def _prepare_labels(readings_ER: Tensor, state: Mapping[str, float], options: Options) -> tuple[Tensor, State]:
    """Target 1 for the pairs that the policy is sure of, 1 - alpha for those whose margin is not above the tenth
    percentile of the last 50 margins before this step (hard labels until there are 50)."""
    margins_E = options["beta"] * readings_ER[:, 0]
    last = [state[name] for name in sorted(state)]
    doubted_E = torch.zeros_like(margins_E)
    if len(last) == _REMEMBERED:
        doubted_E = (margins_E <= tenth_percentile(last)).to(margins_E.dtype)
    remembered = [*last, *margins_E.tolist()][-_REMEMBERED:]
    following = {f"margin_{index:02}": margin for index, margin in enumerate(remembered)}
    return (1 - options["alpha"] * doubted_E)[:, None], following


def tenth_percentile(margins: list[float]) -> float:
    """The mean of the sixth and seventh smallest of 50 margins, as the authors take it."""
    return sum(sorted(margins)[5:7]) / 2


def _spa(pairs: PairBatch, options: Options, target_NS: Tensor) -> Tensor:
    return logistic(options["beta"] * pairs.h, target_NS[:, 0])


BATCHED: tuple[Row, ...] = (
    batched_row(
        "aot", "Melnyk et al. 2024, arXiv:2406.05882", _aot, Statistics(_read_paired, _prepare_paired), beta=0.01
    ),
    batched_row(
        "aot_unpaired",
        "Melnyk et al. 2024, arXiv:2406.05882",
        _aot_unpaired,
        Statistics(_read_unpaired, _prepare_unpaired),
        beta=0.01,
    ),
    batched_row(
        "beta_dpo",
        "Wu et al. 2024, arXiv:2407.08639",
        _beta_dpo,
        Statistics(_margins, _prepare_beta, {"mean": 0.0}),
        {
            "sensitivity": NOT_NEGATIVE,
            "momentum": Domain(lambda past: 0 <= past < 1, "is the weight of the past and must lie in [0, 1)"),
            "keep": Domain(lambda share: 0 < share <= 1, "must lie in (0, 1]"),
        },
        sensitivity=0.6,
        momentum=0.9,
        keep=0.8,
    ),
    batched_row(
        "spa",
        "Kim et al. 2024, arXiv:2406.04412",
        _spa,
        Statistics(_margins, _prepare_labels),
        {"alpha": SHARE},
        alpha=0.1,
    ),
)

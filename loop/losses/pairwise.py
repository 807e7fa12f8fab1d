"""Losses of the margin between both sides' log-ratios: DPO and its variants."""

from __future__ import annotations

from loop.losses import scores, targets
from loop.losses.algebra import pair_row
from loop.losses.kernels import HINGE, MODULATED, REVERSE_KL
from loop.losses.parts import FEWER_THAN_HALF, NOT_NEGATIVE, SHARE, Domain, Row
from loop.losses.scores import LOG_RATIO

HARD = (
    pair_row("dpo", "Rafailov et al. 2023, arXiv:2305.18290, eq. 7", LOG_RATIO),
    pair_row("hinge", "RSO's hinge-norm, Liu et al. 2023, arXiv:2309.06657", LOG_RATIO, HINGE),
    pair_row(
        "discopop",
        "log-ratio modulated loss, Lu et al. 2024, arXiv:2406.08414",
        LOG_RATIO,
        MODULATED,
        beta=0.05,
        domains={"tau": Domain(lambda tau: 0 < tau < 1, "must lie in (0, 1), where the exponential is bounded")},
    ),
    pair_row("ln_dpo", "Tulu 3, Lambert et al. 2024, arXiv:2411.15124", scores.MEAN_LOG_RATIO, beta=5.0),
    pair_row(
        "r_dpo",
        "Park et al. 2024, arXiv:2403.19159, eq. 9",
        LOG_RATIO,
        shift=targets.LENGTH,
        domains={"alpha": NOT_NEGATIVE},
    ),
    pair_row("ld_dpo", "Liu et al. 2024, arXiv:2409.06411", scores.DESENSITISED, domains={"alpha": SHARE}),
    pair_row(
        "dpop",
        "Smaug, Pal et al. 2024, arXiv:2402.13228, eq. 3",
        scores.PENALISED,
        domains={"lambda": NOT_NEGATIVE},
        beta=0.3,
    ),
    pair_row(
        "flex_dpo",
        "3D-properties, Yan et al. 2024, arXiv:2406.07327",
        scores.OF_TWO_BETAS,
        domains={"beta_rejected": NOT_NEGATIVE},
        beta=None,
    ),
    pair_row(
        "npo",
        "negative preference optimisation, Zhang et al. 2024, arXiv:2404.05868, eq. 3",
        scores.FALL,
        factor=targets.TWO_PER_BETA,
    ),
)
"""A hard label; only the score or the kernel differs."""

DIVERGENCES = (
    pair_row("f_jsd", "f-DPO with Jensen-Shannon, Wang et al. 2023, arXiv:2309.16240", scores.JENSEN_SHANNON),
    pair_row("f_forward_kl", "f-DPO with forward KL, Wang et al. 2023, arXiv:2309.16240", scores.FORWARD_KL),
    pair_row(
        "f_alpha",
        "f-DPO with the paper's alpha-divergence, Wang et al. 2023, arXiv:2309.16240",
        scores.ALPHA_DIVERGENCE,
        domains={"alpha": SHARE},
    ),
    pair_row("chi_po", "Huang et al. 2024, arXiv:2407.13399, without its clip", scores.CHI_SQUARED),
)
"""Other divergences from the anchor than reverse KL."""

GRADED = (
    pair_row(
        "spce",
        "soft-preference cross-entropy, Zhai et al. 2024, arXiv:2405.14103",
        LOG_RATIO,
        target=targets.STRENGTH,
    ),
    pair_row(
        "cdpo",
        "conservative DPO, Mitchell 2023, ericmitchell.ai/cdpo.pdf",
        LOG_RATIO,
        target=targets.SMOOTHED,
        domains={"eps": FEWER_THAN_HALF},
    ),
    pair_row(
        "rdpo",
        "provably robust DPO, Chowdhury et al. 2024, arXiv:2403.00409",
        LOG_RATIO,
        target=targets.UNBIASED,
        domains={"eps": FEWER_THAN_HALF},
    ),
    pair_row(
        "exo",
        "EXO-pref, Ji et al. 2024, arXiv:2402.00856",
        LOG_RATIO,
        REVERSE_KL,
        target=targets.SMOOTHED,
        eps=1e-3,
        domains={"eps": Domain(lambda eps: 1e-6 <= eps < 0.5, "must lie in [1e-6, 0.5): its logarithm is taken")},
    ),
    pair_row(
        "upo",
        "uncertainty-enhanced, Wang et al. 2024, arXiv:2409.11212, with its smoothing repaired",
        LOG_RATIO,
        target=targets.CERTAINTY,
        domains={"mu": targets.RIGHT_WAY},
        nll=1.0,  # no weight is published
    ),
    pair_row(
        "gdpo",
        "geometric averaging, Furuta et al. 2024, arXiv:2409.06691",
        LOG_RATIO,
        stretch=targets.SHARPNESS,
    ),
    pair_row(
        "odpo",
        "DPO with an offset, Amini et al. 2024, arXiv:2402.10571",
        LOG_RATIO,
        shift=targets.OFFSET,
        domains={"alpha": NOT_NEGATIVE},
    ),
    pair_row(
        "mm_dpo",
        "MM-RLHF, Zhang et al. 2025, arXiv:2502.10391",
        LOG_RATIO,
        stretch=targets.GROWING,
        domains={"w": NOT_NEGATIVE, "k": NOT_NEGATIVE},
    ),
    pair_row("rdo", "reward difference, Wang et al. 2024, arXiv:2408.09385", LOG_RATIO, factor=targets.MARGIN),
    pair_row(
        "modpo",
        "multi-objective DPO, Zhou et al. 2023, arXiv:2310.03708",
        LOG_RATIO,
        shift=targets.OTHER_OBJECTIVES,
        stretch=targets.PER_WEIGHT,
        domains={"w0": Domain(lambda w0: 0.1 <= w0 <= 1, "must lie in [0.1, 1]: gradients grow with 1/w0")},
    ),
)
"""The target, the shift or the weight depends on how sure the label is, or how large its gap."""

WITH_ADD_ONS = (
    pair_row("rpo", "Liu et al. 2024, arXiv:2405.16436", LOG_RATIO, beta=0.01, nll_sum=0.005),
    pair_row("iterative_rpo", "Pang et al. 2024, arXiv:2404.19733, eq. 1", LOG_RATIO, nll=1.0),
    pair_row("xpo", "Xie et al. 2024, arXiv:2405.21046", LOG_RATIO, optimism=1e-5),
    pair_row("hypo", "hybrid preference optimisation, Song et al. 2024, arXiv:2406.01462", LOG_RATIO, kl=1e-4),
)
"""DPO and a further term."""

PAIRWISE: tuple[Row, ...] = (*HARD, *DIVERGENCES, *GRADED, *WITH_ADD_ONS)

"""What a learn phase came to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LearnReport:
    """What a learn phase did, the same on every rank.

    `steps` were applied, `skipped_steps` were not because a loss or gradient was not finite (`bad_examples` names
    whose). `loss`, `terms` (by the loss's names) and `grad_norm` (before clipping) are means over applied steps'
    examples and over applied steps; `lr` is that of the last step. `tokens` counts prompt and response tokens passed
    through the model, without padding. Log-ratios are in nats.
    """

    steps: int = 0
    skipped_steps: int = 0
    examples: int = 0
    bad_examples: tuple[str, ...] = ()
    loss: float = 0.0
    terms: dict[str, float] = field(default_factory=dict)
    grad_norm: float = 0.0
    lr: float = 0.0
    tokens: int = 0
    seconds: float = 0.0

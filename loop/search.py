"""Tree search over answers (MCTS-DPO, arXiv:2405.00451): which child to visit next, and how sure visits make us."""

from __future__ import annotations

import math


def prior_of(logprob: float, tokens: int, exponent: float = 1.25) -> float:
    """exp(logprob / tokens ** exponent), a length-shifted mean of a step's summed `logprob` (nats) over its `tokens`;
    an exponent above 1 keeps long steps from being starved."""
    return math.exp(logprob / tokens**exponent)


def puct(
    q: float, logprob: float, tokens: int, parent_visits: int, visits: int, weight: float = 1.0, exponent: float = 1.25
) -> float:
    """The value of visiting a child next: Q + weight * p * sqrt(N_parent) / (1 + N), p its prior."""
    return q + weight * prior_of(logprob, tokens, exponent) * math.sqrt(parent_visits) / (1 + visits)


def sibling_confidence(best_visits: int, worst_visits: int) -> float:
    """How sure the visits are that the best sibling beats the worst: N_best / (N_best + N_worst), one half when neither
    was visited. As a pair's strength it is floored at one half: visits may leave a label open, but not turn it."""
    visits = best_visits + worst_visits
    return 0.5 if visits == 0 else best_visits / visits

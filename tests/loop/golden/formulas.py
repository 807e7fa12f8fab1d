"""The published formulas in numpy: `h` is the margin of log-ratios, `rho` a log-ratio, `mean` a log-prob per token, `t`
a target probability. Nothing here reads `loop`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def sigmoid(z: float) -> float:
    """1 / (1 + exp(-z))."""
    return float(1 / (1 + np.exp(-z)))


def soft(beta: float, h: float, t: float) -> float:
    """Soft cross-entropy: SPCE (arXiv 2405.14103), UPO, MCTS-DPO."""
    return float(t * np.log1p(np.exp(-beta * h)) + (1 - t) * np.log1p(np.exp(beta * h)))


def dpo(beta: float, h: float) -> float:
    """-ln sigmoid(beta * h) (arXiv 2305.18290)."""
    return soft(beta, h, 1.0)


def squared(g: float, c: float) -> float:
    """Regression of a margin to a number of nats."""
    return (g - c) ** 2


def inpo(policy: float, initial: float, previous: float) -> float:
    """arXiv 2407.00617, eq. 8, with eta 0.005 and tau = eta / 3, from the margins of log-probs under each policy."""
    eta, tau = 0.005, 0.005 / 3
    return squared(policy - tau / eta * initial - (eta - tau) / eta * previous, 1 / (2 * eta))


def each_side(rho_w: float, rho_l: float, gain_w: float, gain_l: float) -> float:
    """Regression of each side, beta 0.001: SPPO (arXiv 2405.00675) with q - 1/2, GPO (arXiv 2410.02197) with scores."""
    return 0.5 * ((rho_w - gain_w / 1e-3) ** 2 + (rho_l - gain_l / 1e-3) ** 2)


def simpo(mean_w: float, mean_l: float) -> float:
    """arXiv 2405.14734, eq. 6, with beta 2.5 and gamma 1.4."""
    return dpo(1.0, 2.5 * (mean_w - mean_l) - 1.4)


def orpo(mean_w: float, mean_l: float) -> float:
    """arXiv 2403.07691, eq. 6: NLL of the chosen answer, and 0.1 times -ln sigmoid of the log odds ratio."""
    odds_w, odds_l = (np.exp(mean) / (1 - np.exp(mean)) for mean in (mean_w, mean_l))
    return float(-mean_w + 0.1 * dpo(1.0, float(np.log(odds_w / odds_l))))


def information_gain(*p: float) -> float:
    """arXiv 2409.11212: H(mean p) - mean H(p), in nats."""
    entropy = [-(x * np.log(x) + (1 - x) * np.log(1 - x)) for x in (*p, float(np.mean(p)))]
    return float(entropy[-1] - np.mean(entropy[:-1]))


def searched(nodes: Mapping[str, tuple[str, float, float]], visits: int) -> tuple[dict[str, float], dict[str, int]]:
    """arXiv 2405.00451: Q and visits of each node after so many visits, by PUCT with weight 1. `nodes`: parent, value
    and prior; the root is the empty name. The first visits make children of one parent each, in the order given."""
    value = {"": float(np.mean([v for parent, v, _ in nodes.values() if not parent]))}
    value |= {name: v for name, (_, v, _) in nodes.items()}
    counts, future = dict.fromkeys(value, 0), dict.fromkeys(value, 0.0)
    made = list(dict.fromkeys(parent for parent, *_ in nodes.values()))

    def q(name: str) -> float:
        return value[name] - value[nodes[name][0]] + future[name]

    def best(parent: str) -> str:
        below = [name for name, (above, *_) in nodes.items() if above == parent]
        return max(below, key=lambda name: q(name) + nodes[name][2] * np.sqrt(counts[parent]) / (1 + counts[name]))

    for visit in range(visits):
        line = [""]
        while line[-1] in made[: visit + 1]:
            line.append(best(line[-1]))
        for name in reversed(line):
            below = [child for child, (parent, *_) in nodes.items() if parent == name and name in made[: visit + 1]]
            if below:
                future[name] = float(np.average([q(one) for one in below], weights=[max(1, counts[x]) for x in below]))
            counts[name] += 1
    return {name: q(name) for name in nodes}, counts

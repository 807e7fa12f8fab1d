"""Conditions of more than one figure, for rules that a threshold does not tell."""

from __future__ import annotations

from statistics import median

from loop.diagnostics.rules import Case

FALL = 0.1
"""Nats per token by which a log-prob must have moved to count as fallen or risen."""

SURE = 1.96 * 2**0.5
"""Standard errors of a mean between two rounds that chance does not explain (95 %)."""


def falls(case: Case, name: str) -> bool:
    """Whether a side's log-prob fell in the round."""
    return case.now.get(name, 0.0) < -FALL


def both_fall(case: Case) -> bool:
    """Likelihood displacement: chosen and rejected answers both became less likely (arXiv:2410.08847)."""
    return falls(case, "chosen_change") and falls(case, "rejected_change")


def displaced(case: Case) -> bool:
    """Likelihood displacement that is not known to have done good: the gold score did not clearly rise (the intervals
    of this round and the one before overlap), or there is none."""
    last = case.before[-1] if case.before else {}
    rose = case.now.get("gold_low", 0.0) > last.get("gold_high", 1.0)
    return both_fall(case) and not rose


def rejected_rises_more(case: Case) -> bool:
    """The rejected answers became likelier, and by more than the chosen ones."""
    return case.value > FALL and case.value > case.now["chosen_change"]


def suppression(case: Case) -> bool:
    """The rejected answers fall by more than a nat per token and the chosen ones do not rise: all that is learnt is
    what not to say (3D-properties, arXiv:2406.07327)."""
    return case.value < -1.0 and case.now["chosen_change"] <= 0


def dispersion(case: Case) -> bool:
    """Answers of the same groups on neither side rise while both sides fall: the probability goes elsewhere."""
    return case.value > FALL and both_fall(case)


def third_falls_most(case: Case) -> bool:
    """They fall, and by more than the rejected answers."""
    return case.value < -FALL and case.value < case.now["rejected_change"]


def entropy_reversed(case: Case) -> bool:
    """Entropy rose above the initial policy's in an earlier round and has turned since (arXiv:2410.11677)."""
    start, peak = case.before[0].get(case.name, case.earlier[0]), max(case.earlier)
    return peak > 1.1 * start and case.value < 0.9 * peak


def entropy_rises_as_mass_falls(case: Case) -> bool:
    """Probability spreads over tokens that were hardly ever sampled (arXiv:2410.11677)."""
    last = case.last or {}
    return case.value > last[case.name] + 0.05 and case.now["top_mass"] < last.get("top_mass", 0.0) - 0.02


def entangled_and_fallen(case: Case) -> bool:
    """The gradients go together, and the chosen answers have indeed become less likely."""
    return case.value > 1 and falls(case, "chosen_change")


def times_median(case: Case) -> float | None:
    """The figure as a multiple of its median over the rounds before."""
    usual = median(case.earlier) if case.earlier else 0.0
    return case.value / usual if usual else None


def times_first_gap(case: Case) -> float | None:
    """The gap as a multiple of the one with which the run began, of at least a thousandth of a nat."""
    return None if case.initial is None else case.value / max(case.initial, 1e-3)


def over_initial(case: Case) -> float | None:
    """The length as a multiple of the initial policy's."""
    return case.value / case.initial if case.initial else None


def fallen(case: Case) -> float | None:
    """By how much the figure fell since the initial policy."""
    return None if case.initial is None else case.initial - case.value


def length_bias(case: Case) -> float | None:
    """How much more the judge's score goes with length than right answers do, where they are known."""
    return case.value - max(case.now.get("length_correlation_gold", 0.0), 0.0)


def moved(case: Case, name: str, error: str, direction: int, against: dict[str, float]) -> bool:
    """Whether a mean moved in a direction since the figures `against`, by more than chance explains."""
    if name not in case.now or name not in against:
        return False
    return direction * (case.now[name] - against[name]) > SURE * case.now.get(error, 0.0)


def gold_falls_as_score_rises(case: Case) -> bool:
    """The judge's mean score rises while the share of right answers among the same responses falls, since the round
    before or since the first one."""
    rounds = [dict(one) for one in case.before if case.name in one]
    return any(
        moved(case, "judge_score", "judge_score_error", +1, one)
        and moved(case, "train_gold", "train_gold_error", -1, one)
        for one in (rounds[0], rounds[-1])
    )


def score_rises_alone(case: Case) -> bool:
    """The judge's mean score rises since the round before, and the share of right answers does not."""
    last = dict(case.last or {})
    known = "train_gold" in case.now and "train_gold" in last
    return (
        known
        and moved(case, "judge_score", "judge_score_error", +1, last)
        and not (case.now["train_gold"] > last["train_gold"])
    )


def below_best(case: Case) -> bool:
    """Below the interval of the best earlier policy."""
    return case.value < _best_low(case)


def clearly_below_best(case: Case) -> bool:
    """The whole interval lies below that of the best earlier policy."""
    return case.now["gold_high"] < _best_low(case)


def _best_low(case: Case) -> float:
    return max(one.get("gold_low", 0.0) for one in case.before)

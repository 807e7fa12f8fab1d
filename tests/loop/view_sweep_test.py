from __future__ import annotations

from loop.summary import RoundSummary, RunSummary
from loop.view.sweep import sweep_lines


def summary(seed: int, *scores: float | None) -> RunSummary:
    initial, *rounds = (RoundSummary(i, f"r{i}", gold_score=score) for i, score in enumerate(scores))
    return RunSummary(f"run-{seed}", "i", "e", "a", "j", "m", seed, True, initial, rounds, 1.0)


def test_each_run_is_one_line_with_all_of_its_scores() -> None:
    head, one, two = sweep_lines([summary(0, 0.42, 0.8, 0.9), summary(11, 0.4, None)])
    assert head.split() == ["run", "seed", "initial", "rounds", "change"]
    assert one.split() == ["run-0", "0", "42.0%", "80.0%", "90.0%", "+48.0"]
    assert two.split() == ["run-11", "11", "40.0%", "-", "-"]
    assert one[head.index("seed")] == "0" and two[head.index("seed")] == "1"

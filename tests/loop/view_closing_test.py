"""The final summary: the change, honestly, and the places."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loop.evaluation.comparison import Comparison
from loop.gate.result import GateResult
from loop.summary import RoundSummary
from loop.view.closing import closing
from loop.view.text import plain
from tests.loop.view_rounds import FIRST, RUN, SECOND


def test_the_closing_tells_the_change_and_the_places() -> None:
    text = "\n".join(plain(line) for line in closing(RUN, Path("/runs/demo"), 100))
    assert "demo-dpo-verifier-12345678  finished: 1 round in 2 min 41 s" in text
    assert "40.0% (33.5 to 46.9)  ->  65.0% (58.2 to 71.3)  +25.0 points" in text
    assert "better: the 95% intervals do not overlap" in text
    assert "the first token after 31.0 s" in text and "3.41 GiB" in text
    assert "path = '/runs/demo/checkpoints/round-000001'" in text
    assert "/runs/demo/summary.json" in text
    assert "best round" not in text


def test_the_closing_is_honest() -> None:
    worse = replace(RUN, finished=False, stopped_because="the judge failed too often", rounds=[FIRST, SECOND])
    text = "\n".join(plain(line) for line in closing(worse, Path("/runs/demo"), 100))
    assert "not finished: 2 rounds" in text
    assert "stopped: the judge failed too often" in text
    assert "not clear: the 95% intervals overlap" in text
    assert "best round  1 with 65.0%" in text
    assert "round 2: every group was [bold]tied" in text


def test_the_closing_of_a_run_without_rounds() -> None:
    text = "\n".join(plain(line) for line in closing(replace(RUN, rounds=[]), Path("/runs/demo"), 80))
    assert "no trained round was measured" in text
    assert "from_pretrained" not in text


def test_the_closing_leaves_out_what_the_losss_kind_does_not_tell() -> None:
    def headers(rounds: list[RoundSummary]) -> set[str]:
        lines = [plain(line) for line in closing(replace(RUN, rounds=rounds), Path("/runs/demo"), 120)]
        (names,) = [line.split() for line in lines if line.strip().startswith("round  ")]
        return set(names) & {"accuracy", "margin", "loss"}

    assert headers([replace(FIRST, accuracy=0.75, margin=1.5)]) == {"accuracy", "margin", "loss"}
    assert headers([replace(FIRST, accuracy=0.75)]) == {"accuracy", "loss"}
    assert headers([FIRST]) == {"loss"}
    assert headers([]) == {"accuracy", "margin", "loss"}


def test_the_closing_says_which_policy_stands_and_how_sure_it_is_better() -> None:
    promoted = GateResult("promoted", "r1-s4", "r0-s0", "", 0.48, 0.05, 0.5)
    won = Comparison("initial", "r0-s0", 512, 0.712, 0.668, 0.755, 0.69)
    first = replace(FIRST, policy="r1-s4", gate=promoted, versus=[won])
    lost = replace(won, win_rate=0.2, low=0.1, high=0.3)
    second = replace(SECOND, policy="r1-s4", gate=replace(promoted, decision="rejected"), versus=[lost])
    lines = closing(replace(RUN, rounds=[first, second]), Path("/runs/demo"), 80)
    text = "\n".join(plain(line) for line in lines)
    assert "40.0% (33.5 to 46.9)  ->  65.0% (58.2 to 71.3)  +25.0 points" in text, "of the policy that stands"
    assert "win rate    71.2% (66.8 to 75.5), 69.0% at equal length\n" in text
    assert "            better than the initial policy on 512 test prompts\n" in text
    assert "policy      r1-s4 stands; the gate promoted 1 of 2 candidates" in text
    assert "rejected" in text and max(len(plain(line)) for line in lines[:12]) <= 80


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.3, 0.45, "worse than the initial policy"), (0.45, 0.55, "not clear: as good as the initial policy")],
)
def test_the_closing_does_not_claim_more_than_the_interval(low: float, high: float, said: str) -> None:
    told = Comparison("initial", "r0-s0", 10, (low + high) / 2, low, high)
    run = replace(RUN, rounds=[replace(FIRST, versus=[told])])
    text = "\n".join(plain(line) for line in closing(run, Path("/r"), 120))
    assert said in text and "better than" not in text and "stands" not in text and "equal length" not in text

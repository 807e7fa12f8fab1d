from __future__ import annotations

from dataclasses import replace

import pytest

from loop.report.headline import headline, named
from loop.report.standing import spaced
from loop.summary import RunSummary
from tests.loop.report.made import RUN, scored, trained, versus


def run(*rights: int, **changes: object) -> RunSummary:
    """A run without a gate that began with 80 of 200 right."""
    rounds = [scored(at + 1, right) for at, right in enumerate(rights)]
    return replace(RUN, rounds=rounds, **changes)  # type: ignore[arg-type]


def test_better() -> None:
    told = headline(run(100, 140))
    assert told.verdict == "better"
    assert told.sentence == "Better: on prompts kept apart from training the model now scores 70.0%, up from 40.0%."
    assert told.sure == "The gain of +30.0 points (95% interval +20.4 to +38.8) is more than chance explains."
    assert (told.gate, told.state) == (None, "The run is finished, after 2 rounds.")


def test_worse() -> None:
    told = headline(run(100, 50))
    assert told.verdict == "worse"
    assert told.sentence == "Worse: on prompts kept apart from training the model now scores 25.0%, down from 40.0%."
    assert told.sure is not None and told.sure.startswith("The loss of -15.0 points (95% interval -23.8 to ")


def test_unclear() -> None:
    told = headline(run(84))
    assert told.verdict == "unclear"
    assert told.sentence.startswith("Not clearly better or worse: ") and "scores 42.0%, after 40.0%" in told.sentence
    assert told.sure is not None and told.sure.startswith("A difference of +2.0 points") and "chance" in told.sure


def test_a_rejected_candidate_is_not_what_the_run_stands_at() -> None:
    told = headline(RUN)
    assert RUN.standing.round == 4
    assert "now scores 70.0%" in told.sentence  # the 140 of round 4, not the 132 of the rejected round 5
    assert told.gate == "The gate rejected 2 of 5 candidates (rounds 3 and 5); the run stands at round 4 (r4-s80)."


def test_where_all_were_rejected_nothing_changed() -> None:
    rejected = replace(RUN, rounds=[trained(1, 150, "r0-s0"), trained(2, 60, "r0-s0")])
    told = headline(rejected)
    assert (told.verdict, told.gain) == ("unchanged", None)
    assert told.sentence.startswith("Unchanged: no round made the model better")
    assert told.gate == (
        "The gate rejected all 2 candidates; the run stands at the policy that the run began with (r0-s0)."
    )


def test_where_all_were_kept() -> None:
    told = headline(replace(RUN, rounds=[trained(1, 110)]))
    assert told.gate == "The gate kept its one candidate; the run stands at round 1 (r1-s20)."


def test_a_stopped_run_says_why() -> None:
    told = headline(run(140, finished=False, stopped_because="round 2: 9 of 10 judgements failed."))
    assert told.verdict == "better"
    assert told.state == "Stopped after 1 round: round 2: 9 of 10 judgements failed."
    assert told.text().endswith(told.state)


def test_a_run_under_way_says_so() -> None:
    assert headline(run(140, finished=False)).state == "The run is not finished: 1 round so far."


@pytest.mark.parametrize(
    ("rate", "verdict", "begin"),
    [
        (0.6, "better", "Better: its"),
        (0.4, "worse", "Worse: its"),
        (0.52, "unclear", "Not clearly better or"),
    ],
)
def test_without_reference_answers_win_rates_speak(rate: float, verdict: str, begin: str) -> None:
    bare = replace(scored(1, 100), gold_score=None, gold_low=None, gold_high=None, versus=[versus("initial", rate)])
    initial = replace(RUN.initial, gold_score=None, gold_low=None, gold_high=None)
    told = headline(replace(RUN, initial=initial, rounds=[bare]))
    assert told.verdict == verdict
    assert told.sentence.startswith(begin) and f"{100 * rate:.1f}% of the comparisons" in told.sentence
    assert told.sure is not None and f"{100 * (rate - 0.05):.1f}% to {100 * (rate + 0.05):.1f}%" in told.sure


def test_what_was_not_measured_is_not_judged() -> None:
    bare = replace(scored(1, 100), gold_score=None, gold_low=None, gold_high=None)
    assert headline(replace(RUN, rounds=[bare])).verdict == "unmeasured"
    assert "no round is complete" in headline(replace(RUN, rounds=[])).sentence


def test_many_rounds_are_not_all_named() -> None:
    assert named([3]) == "round 3"
    assert named([1, 2, 5]) == "rounds 1, 2 and 5"
    assert named(list(range(1, 10))) == "rounds 1, 2, 3, 4, 5, 6 and 3 more"


def test_spaced_numbers_keep_both_ends() -> None:
    assert spaced([1, 2, 3], 3) == [1, 2, 3]
    assert spaced(list(range(11)), 3) == [0, 5, 10]

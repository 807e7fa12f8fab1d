"""Whether the model got better, by how much and how sure that is, in sentences."""

from __future__ import annotations

from dataclasses import dataclass

from loop.evaluation.comparison import Comparison
from loop.report.gains import Gain, Verdict, gain
from loop.report.standing import is_rejected
from loop.summary import RoundSummary, RunSummary
from loop.view.text import percent, points

CHANCE = 0.5
LISTED = 6
"""Rounds spelled out in a sentence."""


@dataclass(frozen=True, slots=True)
class Headline:
    """`sentence` is for everybody, `sure` says how sure it is, `gate` what the gate did, `state` how far the run is.
    `gain` is of the gold score, None where that was not measured."""

    verdict: Verdict
    sentence: str
    sure: str | None
    gate: str | None
    state: str
    gain: Gain | None

    def text(self) -> str:
        """All of it."""
        return " ".join(part for part in (self.sentence, self.sure, self.gate, self.state) if part)


def headline(run: RunSummary) -> Headline:
    """The headline of a run, finished or not."""
    now = run.standing
    change = gain(run.initial, now) if now is not run.initial else None
    verdict, sentence, sure = _change(run, now, change)
    return Headline(verdict, sentence, sure, _gate(run, now), _state(run), change)


def against(round: RoundSummary, opponent: str) -> Comparison | None:
    """The round's comparison with an opponent."""
    return next((one for one in round.versus if one.against == opponent), None)


def _change(run: RunSummary, now: RoundSummary, change: Gain | None) -> tuple[Verdict, str, str | None]:
    if now is run.initial:
        return _nothing_kept(run)
    if change is not None:
        return _gold(run.initial, now, change)
    if (won := against(now, "initial")) is not None:
        return _won(won)
    return "unmeasured", "Nobody can say yet whether the model got better: it was not measured.", None


def _nothing_kept(run: RunSummary) -> tuple[Verdict, str, str | None]:
    if run.rounds and all(is_rejected(one) for one in run.rounds):
        said = "Unchanged: no round made the model better, so the one that the run began with was kept."
        return "unchanged", said, None
    if run.rounds:
        return "unmeasured", "Nobody can say yet whether the model got better: no trained round was measured.", None
    return "unmeasured", "Nobody can say yet whether the model gets better: no round is complete.", None


def _gold(before: RoundSummary, now: RoundSummary, change: Gain) -> tuple[Verdict, str, str | None]:
    was, is_now = percent(before.gold_score), percent(now.gold_score)
    size = f"{points(change.difference)} points (95% interval {points(change.low)} to {points(change.high)})"
    if change.verdict == "better":
        said = f"Better: on prompts kept apart from training the model now scores {is_now}, up from {was}."
        return "better", said, f"The gain of {size} is more than chance explains."
    if change.verdict == "worse":
        said = f"Worse: on prompts kept apart from training the model now scores {is_now}, down from {was}."
        return "worse", said, f"The loss of {size} is more than chance explains."
    said = f"Not clearly better or worse: on prompts kept apart from training the model scores {is_now}, after {was}."
    return (
        "unclear",
        said,
        f"A difference of {size} may be chance: more test prompts or more rounds would tell.",
    )


def _won(won: Comparison) -> tuple[Verdict, str, str | None]:
    often = f"its answers win {percent(won.win_rate)} of the comparisons with the model that the run began with"
    span = f"95% interval {percent(won.low)} to {percent(won.high)}, ties count half"
    if won.low > CHANCE:
        return "better", f"Better: {often}.", f"The judge of the test is sure of it ({span})."
    if won.high < CHANCE:
        return "worse", f"Worse: {often}.", f"The judge of the test is sure of it ({span})."
    return "unclear", f"Not clearly better or worse: {often}.", f"That may be chance ({span})."


def _gate(run: RunSummary, now: RoundSummary) -> str | None:
    asked = [one for one in run.rounds if one.gate is not None]
    if not asked:
        return None
    where = "the policy that the run began with" if now is run.initial else f"round {now.round}"
    stands = f"the run stands at {where} ({run.stands or run.last.policy})"
    rejected = [one.round for one in asked if is_rejected(one)]
    if not rejected:
        return f"The gate kept {_all_of(len(asked))}; {stands}."
    if len(rejected) == len(asked):
        return f"The gate rejected {_all_of(len(asked))}; {stands}."
    return f"The gate rejected {len(rejected)} of {len(asked)} candidates ({named(rejected)}); {stands}."


def _all_of(n: int) -> str:
    return "its one candidate" if n == 1 else f"all {n} candidates"


def named(rounds: list[int]) -> str:
    """Round numbers as words: round 3, rounds 3 and 5."""
    shown = [str(one) for one in rounds[:LISTED]]
    if len(rounds) > LISTED:
        return f"rounds {', '.join(shown)} and {len(rounds) - LISTED} more"
    return f"round {shown[0]}" if len(shown) == 1 else f"rounds {', '.join(shown[:-1])} and {shown[-1]}"


def _state(run: RunSummary) -> str:
    done = f"{len(run.rounds)} round{'' if len(run.rounds) == 1 else 's'}"
    if run.stopped_because is not None:
        return f"Stopped after {done}: {run.stopped_because.rstrip('.')}."
    return f"The run is finished, after {done}." if run.finished else f"The run is not finished: {done} so far."

"""What is given, alone (supervised fine-tuning)."""

from __future__ import annotations

from loop.config import Plan
from loop.pairing.candidates import by_number, distinct
from loop.pairing.found import Found, Options, Rule, may_win, single_of
from loop.verdict import Group, Verdict


def given_answer(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """Every response of purpose `chosen` alone, with label 1; of responses with the same tokens one. One that the token
    limit cut is left out unless it may win."""
    texts = distinct(group, by_number(group, "chosen"))
    return [single_of(i, 1.0) for i in texts if may_win(group, i, truncated_may_win)]


GIVEN_ANSWER = Rule(
    name="given_answer",
    source="supervised fine-tuning, as in Ouyang et al. 2022 (InstructGPT), arXiv:2203.02155",
    of=given_answer,
    reads="nothing",
    gives="single",
    plans=(Plan.none,),
    labels="kept",
)

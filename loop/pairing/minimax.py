"""Codes paired by the tests that were written with them (DSTC): a choice that survives wrong tests."""

from __future__ import annotations

from collections.abc import Mapping

from loop.pairing.candidates import extremes, known_objectives
from loop.pairing.found import Found, Options, Rule, pair_of
from loop.verdict import Group, Verdict

Passes = Mapping[int, tuple[float, ...]]
"""Of each code, by position: 1 for each test that it passes and 0 for the others, `[M]`."""


def minimax(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """At most one pair, of strength 1: the code that passes most tests against the one that passes fewest. Objectives
    are tests. The margin is the gap as a share of the sound tests.

    A test that no code passes is suspected to be wrong and does not count. No pair when all codes pass as many.
    """
    passed = known_objectives(group, verdict)
    sound = sound_tests(passed)
    shares = {i: sum(row[m] == 1 for m in sound) / len(sound) for i, row in passed.items()} if sound else {}
    pair = extremes(group, shares, truncated_may_win)
    return [pair_of(*pair, 1.0, shares[pair[0]] - shares[pair[1]])] if pair else []


def sound_tests(passed: Passes) -> list[int]:
    """The tests that some code passes."""
    tests = range(len(next(iter(passed.values()), ())))
    return [m for m in tests if any(row[m] == 1 for row in passed.values())]


def telling_tests(passed: Passes, chosen: int, rejected: int) -> tuple[int, int]:
    """The test to show with the chosen code, of those that it passes the one that fewest codes pass; and with the
    rejected one, of the sound ones that it fails the one that most codes pass. Among equals the first."""
    count = {m: sum(row[m] == 1 for row in passed.values()) for m in sound_tests(passed)}
    hardest = min((m for m in count if passed[chosen][m] == 1), key=lambda m: count[m])
    easiest = max((m for m in count if passed[rejected][m] != 1), key=lambda m: count[m])
    return hardest, easiest


MINIMAX = Rule(
    name="minimax",
    source="Liu et al. 2024 (DSTC), arXiv:2411.13611; its choice of tests is a reconstruction",
    of=minimax,
    reads="objectives",
)

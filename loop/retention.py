"""Which checkpoints are kept. A pure rule, the same for learners' checkpoints and for exports."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def kept(
    rounds: Sequence[int], newest: int, best: int | None, incumbent: int | None, referenced: Collection[int] = ()
) -> set[int]:
    """The rounds, of those that have a checkpoint, whose checkpoint stays.

    These are the `newest` latest ones (0: all), the `best` round's, the `incumbent`'s, and any that an example still
    refers to. With a checkpoint for one of `rounds` at least one is always kept.
    """
    have = set(rounds)
    return set(sorted(have)[-newest:]) | (have & {best, incumbent, *referenced})

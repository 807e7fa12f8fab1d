"""Which prompts a round uses: a pure function of pool, round and seed, so that a resumed run needs no earlier round."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from loop.errors import Refused
from loop.prompts.mixing import cumulative_counts, most_per_round
from loop.prompts.pool import PromptPool


@dataclass(frozen=True, slots=True)
class Draw:
    """The prompts of one round, all different, in the order of their use; `notices` are sentences for a person."""

    prompt_ids: tuple[str, ...]
    notices: tuple[str, ...]


def draw(pool: PromptPool, round: int, per_round: int, seed: int) -> Draw:
    """The prompts of a round (counted from 1).

    Sources are mixed by their weights. Each source is used up in a random order before it starts again in another
    one: an *epoch*. The order of rows and sources does not matter. Raises `Refused` if the pool is too small for such
    rounds.
    """
    refuse_small_pool(pool, per_round)
    names = sorted(pool.train, key=lambda name: min(prompt.prompt_id for prompt in pool.train[name]))
    taken = cumulative_counts([pool.weights[name] for name in names], per_round, round)
    drawn: list[str] = []
    notices: list[str] = []
    for name, counts in zip(names, taken, strict=True):
        ids = [prompt.prompt_id for prompt in pool.train[name]]
        drawn += _take(ids, counts, seed)
        epoch = _epoch_begun(len(ids), counts)
        if epoch:
            notices.append(
                f"Round {round} begins epoch {epoch + 1} of {name}: all {len(ids):,} prompts were used {_times(epoch)}."
            )
    return Draw(tuple(_shuffled(drawn, seed, "round", round)), tuple(notices))


def refuse_small_pool(pool: PromptPool, per_round: int) -> None:
    """Raise `Refused` unless every source can give its share of every round without repeating a prompt."""
    most = most_per_round(list(pool.weights.values()), per_round)
    for name, needed in zip(pool.weights, most, strict=True):
        if needed > (size := len(pool.train[name])):
            raise Refused(
                f"{name} gives {needed} of prompts.per_round={per_round} prompts, but has only {size} for rounds, "
                "and no round uses a prompt twice."
            )


def _take(ids: Sequence[str], counts: Sequence[int], seed: int) -> list[str]:
    """What the last round of `counts` (cumulative) takes: the end of one epoch, the beginning of the next, or both."""
    start, stop = counts[-2], counts[-1]
    if start == stop:
        return []
    epoch, at = divmod(start, len(ids))
    order = _epoch(ids, epoch, counts, seed)[at : at + stop - start]
    missing = stop - start - len(order)
    return order + _epoch(ids, epoch + 1, counts, seed)[:missing] if missing else order


def _epoch(ids: Sequence[str], epoch: int, counts: Sequence[int], seed: int) -> list[str]:
    """The order of a source in an epoch.

    It is random, except that a round which ends one epoch and begins this one must not meet a prompt twice: prompts
    that the round took from the end of the last epoch are passed over at the beginning of this one. So the order
    depends on the end of the order before, and so on, back to an epoch whose end no such exception can reach.
    """
    first = epoch
    while first and (tail := _parts(len(ids), first, counts)[0]):
        first -= 1
        if sum(_parts(len(ids), first, counts)) + tail <= len(ids):
            break
    order = _shuffled(ids, seed, "epoch", first)
    for number in range(first + 1, epoch + 1):
        tail, head = _parts(len(ids), number, counts)
        order = _passing_over(set(order[len(ids) - tail :]), head, _shuffled(ids, seed, "epoch", number))
    return order


def _parts(size: int, epoch: int, counts: Sequence[int]) -> tuple[int, int]:
    """What the round in which an epoch begins takes from the end of the last epoch and from this one.

    Two numbers of prompts; zeros where every round takes from one of the two only.
    """
    begin = epoch * size
    round = bisect_left(counts, begin)
    return (begin - counts[round - 1], counts[round] - begin) if counts[round] > begin else (0, 0)


def _passing_over(avoided: Collection[str], head: int, order: Sequence[str]) -> list[str]:
    """The order with its first `head` prompts outside of `avoided` moved to the front."""
    front = [prompt_id for prompt_id in order if prompt_id not in avoided][:head]
    chosen = set(front)
    return front + [prompt_id for prompt_id in order if prompt_id not in chosen]


def _epoch_begun(size: int, counts: Sequence[int]) -> int:
    """The epoch (from 1) that begins in the last round of `counts`; 0 if none does, or only the first."""
    epoch = (counts[-1] - 1) // size
    return epoch if counts[-1] > counts[-2] and epoch * size >= counts[-2] else 0


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _shuffled(ids: Iterable[str], *salt: object) -> list[str]:
    """A random order that depends on the salt and on which ids there are, not on how they came."""
    prefix = hashlib.sha256(repr(salt).encode())

    def key(prompt_id: str) -> bytes:
        keyed = prefix.copy()
        keyed.update(prompt_id.encode())
        return keyed.digest()

    return sorted(ids, key=key)

"""Work that the engines do with the weights of one policy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TypeVar

from loop.fleets import Fleets
from loop.records import PolicyVersion, ShardRef

Item = TypeVar("Item")


def served(
    fleets: Fleets, policy: PolicyVersion, work: Callable[[Iterable[Item]], Iterable[ShardRef]]
) -> Callable[[Iterable[Item]], Iterator[ShardRef]]:
    """The work, before which the engines are brought a policy. Where nothing is left to do they keep what they hold:
    its weights may be nowhere any more."""

    def working(items: Iterable[Item]) -> Iterator[ShardRef]:
        items = iter(items)
        for first in items:
            fleets.serve(policy)
            yield from work(chain([first], items))

    return working

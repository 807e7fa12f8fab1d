"""A fleet: equal actors that take items as they become free."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import ray

from actors.calls import wait
from loop.errors import InfrastructureFailed

Item = TypeVar("Item")
Result = TypeVar("Result")


class Fleet(Generic[Item, Result]):
    """Dispatches items to actors with back-pressure: each holds at most `in_flight` of them, so it never waits for the
    next one."""

    def __init__(self, name: str, handles: Sequence[Any], timeout_s: float, in_flight: int = 2) -> None:
        self.name = name
        self.handles = list(handles)
        self.timeout_s = timeout_s
        self.in_flight = in_flight

    def map(self, call: Callable[[Any, Item], Any], items: Iterable[Item]) -> Iterator[Result]:
        """Results as they are completed. `call(handle, item)` starts the work on one actor and returns its reference.

        Raises: InfrastructureFailed when nothing completes within the time-out, or an actor died.
        """
        free = deque(self.handles * self.in_flight)
        pending: dict[Any, Any] = {}
        waiting = iter(items)
        more = True
        while more or pending:
            while more and free:
                try:
                    item = next(waiting)
                except StopIteration:
                    more = False
                    break
                handle = free.popleft()
                pending[call(handle, item)] = handle
            if not pending:
                break
            done, _ = ray.wait(list(pending), num_returns=1, timeout=self.timeout_s)
            if not done:
                raise InfrastructureFailed(f"{self.name}: nothing finished within {self.timeout_s:g} s")
            free.append(pending.pop(done[0]))
            yield wait(done, self.timeout_s, self.name)[0]

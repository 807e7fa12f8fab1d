"""A server that keeps failing is left alone for a while."""

from __future__ import annotations

from collections.abc import Callable


class Breaker:
    """Closed: requests pass. `failures` failed requests in a row open it for `pause_s`; then one attempt at a time (one
    per pause) tries whether the server is back. `clock` gives seconds."""

    def __init__(self, failures: int, pause_s: float, clock: Callable[[], float]) -> None:
        self.failures = failures
        self.pause_s = pause_s
        self.clock = clock
        self._in_a_row = 0
        self._closed = True
        self._until = 0.0

    @property
    def open(self) -> bool:
        """Whether no attempt may be made now."""
        return not self._closed and self.clock() < self._until

    def passes(self) -> bool:
        """Whether the caller may make an attempt; after a pause, the one that tries."""
        if self._closed:
            return True
        if self.open:
            return False
        # If the one that tries is never heard of again, another follows after a pause.
        self._until = self.clock() + self.pause_s
        return True

    def answered(self) -> None:
        """The server answered: whatever it said, it is there."""
        self._in_a_row = 0
        self._closed = True

    def attempt_failed(self) -> None:
        """An attempt failed; while the breaker is not closed, that begins its pause again."""
        if not self._closed:
            self._until = self.clock() + self.pause_s

    def request_failed(self) -> None:
        """A request failed with its last attempt."""
        self._in_a_row += 1
        if self._in_a_row >= self.failures:
            self._closed = False
            self._until = self.clock() + self.pause_s

"""Shards wait for each other, so that small rounds and many small shards share commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from loop.ledger import TABLES, Ledger
from loop.records import ShardRef

_ORDER = {table: place for place, table in enumerate(TABLES)}


class CommitBuffer:
    """Handles on their way to the ledger: committed together once they hold `min_rows` rows or the oldest waits longer
    than `max_s` seconds, which is looked at whenever one is added.

    They are committed table by table, in the order in which a round fills them: wherever a run breaks off, no row that
    is committed refers to one of its round that is not. What could not be committed stays, for another `flush`.
    """

    def __init__(
        self, ledger: Ledger, min_rows: int, max_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ledger = ledger
        self._min_rows = min_rows
        self._max_s = max_s
        self._clock = clock
        self._waiting: list[ShardRef] = []
        self._since = 0.0

    def add(self, ref: ShardRef) -> None:
        """Take a shard that was written; it may be committed at once. Raises: as `Ledger.commit`."""
        if not self._waiting:
            self._since = self._clock()
        self._waiting.append(ref)
        if sum(r.rows for r in self._waiting) >= self._min_rows or self._clock() - self._since > self._max_s:
            self.flush()

    def add_together(self, refs: Sequence[ShardRef]) -> None:
        """Commit shards of one table now, all or none, after everything that came before."""
        self.flush()
        self._ledger.commit(refs)

    def flush(self) -> None:
        """Commit everything that waits."""
        if self._waiting:
            self._ledger.commit(sorted(self._waiting, key=lambda ref: _ORDER[ref.table]))
            self._waiting.clear()

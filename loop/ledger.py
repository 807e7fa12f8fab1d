"""The ledger: the run's record as Delta Lake tables, in a folder or an object store. Workers write shard files; only
the driver commits them.

Each kind of row is a table, cut by epochs of rounds: `responses/000000`, `responses/001000`, ... A commit carries an
application transaction per shard. Delta accepts the same transaction twice unless it is checked, so a shard whose
transaction is already set is skipped, and the commit goes through the very handle that was checked. It also carries the
driver's number, which `claim` makes larger than any before: a replaced driver is fenced.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable

from loop import compaction
from loop.crash import reached
from loop.errors import Damaged
from loop.ledger_tables import (
    SCHEMA_VERSION,
    TABLES,
    TableFile,
    adding,
    change,
    claim_table,
    driver_of,
    epochs,
    files_of,
    open_table,
    properties,
    removing,
    require_driver,
    told_by_delta,
)
from loop.records import ShardRef
from loop.shards import STATS, epoch_of, measure, named, parquet, read_arrow, schema_of, write_shard
from loop.store import open_store, split

__all__ = ["SCHEMA_VERSION", "TABLES", "Ledger"]


class Ledger:
    """The tables of one run, rooted at a folder or URL. Reading needs nothing else; writing needs `claim` first.

    Every call may raise StoreFailed, and Refused where another version of this program wrote a table. Any Delta reader
    opens the folders. Not for several threads at once.
    """

    def __init__(self, root: str | Path) -> None:
        self._store = open_store(root)
        self.root = self._store.root
        self._driver = 0
        self._claimed: dict[str, set[str]] = {}
        self._unmerged: Counter[tuple[str, str]] = Counter()

    def claim(self) -> int:
        """Take the run over as its driver. Returns the driver's number; no commit of an earlier driver to any table
        succeeds afterwards.

        Raises: Fenced when another driver takes it over at the same moment or later.
        """
        with ThreadPoolExecutor(len(TABLES)) as pool:
            driver = 1 + max(pool.map(self._newest_driver, TABLES))
            # who gets this one has won against drivers that claim at the same moment
            decider = next(iter(TABLES))
            claim_table(self._store, decider, epoch_of(0), driver)
            self._claimed = {name: set() for name in TABLES}
            self._claimed[decider].add(epoch_of(0))
            list(pool.map(lambda name: self._claim(name, driver), TABLES))
        self._driver = driver
        return driver

    def commit(self, refs: Sequence[ShardRef]) -> None:
        """Record written shards: one commit per table, in the order in which the tables first appear. The shards of one
        table are recorded all or none, and one that is there already is skipped.

        Raises: Fenced when a newer driver has taken the run over, Damaged when a file is not what its handle tells.
        """
        if not self._driver:
            raise RuntimeError("a ledger is written only after claim()")
        groups: dict[tuple[str, str], dict[str, ShardRef]] = {}
        for ref in refs:
            groups.setdefault((ref.table, epoch_of(ref.round)), {}).setdefault(_transaction(ref), ref)
        for (name, epoch), shards in groups.items():
            table = self._table(name, epoch)
            with told_by_delta(table.table_uri):
                new = {key: ref for key, ref in shards.items() if table.transaction_version(key) is None}
            if new:
                added = [adding(self._file_of(ref)) for ref in new.values()]
                reached("commit/before")
                change(self._store, table, self._driver, added, list(new))
                reached("commit/after")
                self._unmerged[name, epoch] += len(new)

    def append(self, table: str, round: int, rows: Sequence[Any], shard: int = 0) -> ShardRef:
        """Write and commit rows of the driver's own. Returns the handle of what is committed under these numbers, which
        an earlier call may have done."""
        ref = write_shard(self.root, table, round, shard, rows, TABLES[table])
        self.commit([ref])
        return self.committed(table, round).get(shard, ref)

    def committed(self, table: str, round: int) -> dict[int, ShardRef]:
        """The committed shards of a round by number. Where a closed round's files were merged, the handles count from
        0, have no stats, and read the round's rows only."""
        handle = open_table(self._store, table, epoch_of(round))
        shards: dict[int, ShardRef] = {}
        merged: list[ShardRef] = []
        for file in files_of(handle) if handle else []:
            path = f"{self.root}/{table}/{epoch_of(round)}/{file.name}"
            if (shard := named(file.name)) and shard[0] == round:
                shards[shard[1]] = ShardRef(table, round, shard[1], path, file.rows, shard[2], _stats(path))
            elif (known := compaction.merged_name(file.name)) and known[0] <= round <= known[1]:
                with parquet(path) as source:
                    rows = compaction.rounds_in(source, file.name).get(round)
                if rows is not None:
                    merged.append(ShardRef(table, round, len(merged), path, rows, known[2], {}))
        for number in sorted(shards) if merged else ():
            merged.append(dataclasses.replace(shards[number], shard=len(merged)))
        return dict(enumerate(merged)) if merged else dict(sorted(shards.items()))

    def read(self, table: str, columns: Sequence[str] | None = None, round: int | None = None) -> pa.Table:
        """All committed rows of a table, or those of one round's shards."""
        schema = schema_of(TABLES[table])
        names = schema.names if columns is None else list(columns)
        empty = schema.empty_table().select(names)
        if round is not None:
            found = [read_arrow(ref, names) for ref in self.committed(table, round).values()]
        else:
            found = [part.to_table(columns=names) for part in self._parts(table)]
        return pa.concat_tables([empty, *found])

    def dataset(self, table: str) -> ds.Dataset:
        """All committed rows of a table as something that DuckDB and others query without loading it whole."""
        return ds.dataset(self._parts(table) or [ds.dataset(schema_of(TABLES[table]).empty_table())])

    def tidy(self, round: int) -> None:
        """At a round's end: merge small files where many have come together, and remove files that no table has named
        for a day. Only rounds up to this one whose row in `rounds` is committed are touched. Costs nothing as long as
        there is nothing to do; checkpoints are made by the commits themselves.

        Raises: Fenced.
        """
        due = [key for key, files in self._unmerged.items() if files >= compaction.MIN_FILES]
        due = [(name, epoch) for name, epoch in due if "round" in schema_of(TABLES[name]).names]
        if not due:
            return
        ended = self.read("rounds", ["round"])["round"].to_pylist()
        closed = min(round, max(ended, default=-1))
        for name, epoch in due:
            self._unmerged[name, epoch] = 0
            self._merge(name, epoch, closed)

    def _merge(self, name: str, epoch: str, closed: int) -> None:
        table = open_table(self._store, name, epoch)
        assert table is not None, "it was claimed"
        files = files_of(table)
        self._unmerged[name, epoch] = sum(compaction.mergeable_later(file, closed) for file in files)
        merges = compaction.plan(files, closed)
        for merge in merges:
            if (made := compaction.merge(self._store, f"{name}/{epoch}", merge)) is not None:
                file, parts = made
                change(self._store, table, self._driver, [adding(file, new=False), *map(removing, parts)])
                with told_by_delta(table.table_uri):
                    table.update_incremental()
        older = [other for other in self._claimed[name] if other <= epoch]
        for other in sorted(older)[-2:] if merges else ():
            self._sweep(name, other)

    def _sweep(self, name: str, epoch: str) -> None:
        """Remove what no version of the last day names, from a table's folder."""
        if (table := open_table(self._store, name, epoch)) is not None:
            require_driver(self._store, table, self._driver)
            with told_by_delta(table.table_uri):
                table.vacuum(
                    compaction.SAFE_AGE_H,
                    dry_run=False,
                    enforce_retention_duration=False,
                    full=True,
                    commit_properties=properties(self._driver),
                )

    def _claim(self, name: str, driver: int) -> None:
        """Claim every epoch of a table, and look again: a driver that is being replaced may just have made one."""
        claimed = self._claimed[name]
        while new := {epoch_of(0), *epochs(self._store, name)} - claimed:
            for epoch in sorted(new):
                self._unmerged[name, epoch] = claim_table(self._store, name, epoch, driver)
            claimed |= new

    def _newest_driver(self, name: str) -> int:
        tables = [open_table(self._store, name, epoch) for epoch in epochs(self._store, name)]
        return max((driver_of(table) for table in tables if table), default=0)

    def _table(self, name: str, epoch: str) -> DeltaTable:
        """A table as it is now, if it is still this driver's; the first commit to an epoch makes its table."""
        if epoch not in self._claimed[name]:
            claim_table(self._store, name, epoch, self._driver)
            # a driver that took over before this table was made has not seen it, but has claimed the ones before
            older = open_table(self._store, name, max(self._claimed[name]))
            assert older is not None, "it was claimed"
            change(self._store, older, self._driver)
            self._claimed[name].add(epoch)
        table = open_table(self._store, name, epoch)
        assert table is not None, "it was claimed"
        require_driver(self._store, table, self._driver)
        return table

    def _parts(self, name: str) -> list[ds.Dataset]:
        tables = [open_table(self._store, name, epoch) for epoch in epochs(self._store, name)]
        return [table.to_pyarrow_dataset() for table in tables if table is not None]

    def _file_of(self, ref: ShardRef) -> TableFile:
        """What the table must know of a shard's file, from the file itself."""
        name = split(ref.path)[1]
        if named(name) != (ref.round, ref.shard, ref.digest):
            raise ValueError(f"{ref.path} is not the file of shard {ref.shard} of round {ref.round}")
        size, rows, low, high = measure(f"{self.root}/{ref.table}/{epoch_of(ref.round)}/{name}")
        if rows != ref.rows:
            raise Damaged(f"{ref.path} holds {rows} rows, not the {ref.rows} that its handle tells.")
        return TableFile(name, size, rows, low, high)


def _transaction(ref: ShardRef) -> str:
    return f"round-{ref.round}-shard-{ref.shard}"


def _stats(path: str) -> dict[str, float]:
    """The sums in a shard's footer; none when the file is damaged, which whoever reads it is told."""
    with contextlib.suppress(Damaged), parquet(path) as file:
        stats: dict[str, float] = json.loads((file.metadata.metadata or {}).get(STATS, b"{}"))
        return stats
    return {}

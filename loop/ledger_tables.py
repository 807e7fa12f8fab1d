"""The Delta tables of a ledger: which there are, how one is opened, made, and changed by the driver that owns the run.

A driver owns the run while no newer one has committed ("driver", n) with a larger n. Every commit carries that
application transaction, so a commit of a driver that was replaced conflicts, whatever it knew: it is fenced.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import (
    DeltaError,
    DeltaProtocolError,
    SchemaMismatchError,
    TableNotFoundError,
)
from deltalake.transaction import AddAction, CommitProperties, RemoveAction, Transaction

from loop import records
from loop.errors import Fenced, Refused, StoreFailed
from loop.shards import schema_of
from loop.store import Store, store_failed

SCHEMA_VERSION = "6"

TABLES: dict[str, type] = {
    "prompts": records.Prompt,
    "judge_checks": records.CheckRow,
    "drafts": records.Response,
    "draft_judgements": records.Judgement,
    "draft_anchors": records.AnchorLogProbs,
    "responses": records.Response,
    "judgements": records.Judgement,
    "verdicts": records.VerdictRow,
    "examples": records.Example,
    "anchors": records.AnchorLogProbs,
    "policies": records.Policy,
    "evaluation_responses": records.Response,
    "evaluation_judgements": records.Judgement,
    "evaluation_comparisons": records.Judgement,
    "evaluation_anchors": records.AnchorLogProbs,
    "gate_responses": records.Response,
    "gate_judgements": records.Judgement,
    "gate_comparisons": records.Judgement,
    "incumbent_responses": records.Response,
    "incumbent_judgements": records.Judgement,
    "retention_responses": records.Response,
    "retention_judgements": records.Judgement,
    "retention_comparisons": records.Judgement,
    "rounds": records.RoundRow,
    "telemetry": records.Telemetry,
}
"""In the order in which a round fills them: no row refers to a row of its round in a later table."""

DRIVER = "driver"
CHECKPOINT_COMMITS = 50
"""Commits between checkpoints: with 100 a commit costs up to 20 ms more, with 10 the log grows to three times the
size."""

CLAIM_ATTEMPTS = 20
"""Commits of the driver that is being replaced, and that may come between, before the store is called faulty."""

_EPOCH = re.compile(r"\d{6,}")


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of a table: its name, size in bytes, rows, and the least and largest round of its rows."""

    name: str
    size: int
    rows: int
    low: int | None
    high: int | None


def open_table(store: Store, name: str, epoch: str = "") -> DeltaTable | None:
    """A table's newest version; None when it was not made yet.

    Raises: Refused when another version of this program wrote it, StoreFailed.
    """
    url = "/".join(part for part in (store.root, name, epoch) if part)
    with told_by_delta(url):
        try:
            table = DeltaTable(url)
        except TableNotFoundError:
            return None
        found = str(table.metadata().description).removeprefix("schema_version=")
    if found != SCHEMA_VERSION:
        raise Refused(
            f"The ledger in {store.root} has schema version {found}, this program reads version {SCHEMA_VERSION}: "
            "use the version of ratchet that wrote it, or start another run (fresh=true)."
        )
    return table


def epochs(store: Store, name: str) -> list[str]:
    """The epoch folders of a table, oldest first, whether their tables were made yet or not. Raises: as `open_table`"""
    found = store.list(name)
    if "_delta_log" in found:
        open_table(store, name)  # of a version without epochs: refused
    return [epoch for epoch in found if _EPOCH.fullmatch(epoch)]


def make_table(store: Store, name: str, epoch: str, driver: int) -> None:
    """Make a table that its driver has claimed from its first version on. Raises: StoreFailed, also when another was
    quicker."""
    url = f"{store.root}/{name}/{epoch}"
    with told_by_delta(url):
        DeltaTable.create(
            url,
            schema_of(TABLES[name]),
            name=name,
            description=f"schema_version={SCHEMA_VERSION}",
            configuration=configuration_of(TABLES[name]),
            commit_properties=properties(driver),
        )


def configuration_of(row_type: type) -> dict[str, str]:
    """What a table's properties say: rows are only added, and of their columns only `round` has its least and largest
    value told (deltalake takes a column whose values it expects to be told, and are not, for empty)."""
    told = "round" in schema_of(row_type).names
    return {
        "delta.appendOnly": "true",
        "delta.checkpointInterval": str(CHECKPOINT_COMMITS),
        **({"delta.dataSkippingStatsColumns": "round"} if told else {}),
    }


def driver_of(table: DeltaTable) -> int:
    """The number of the newest driver that committed to a table, 0 for none."""
    return int(table.transaction_version(DRIVER) or 0)


def change(
    store: Store, table: DeltaTable, driver: int, actions: Sequence[Any] = (), transactions: Sequence[str] = ()
) -> None:
    """Commit files added and removed, and shards' transactions, through the very handle on which they were checked.

    Raises: Fenced when a newer driver has claimed the table, StoreFailed when the store refuses.
    """
    require_driver(store, table, driver)
    try:
        _commit(table, driver, actions, transactions)
    except StoreFailed:
        # a conflict is told as any other failure, and a commit may have been made whose answer was lost
        with told_by_delta(table.table_uri):
            table.update_incremental()
        require_driver(store, table, driver)
        if not transactions or any(table.transaction_version(name) is None for name in transactions):
            raise


def require_driver(store: Store, table: DeltaTable, driver: int) -> None:
    """Raises: Fenced when a table shows a newer driver."""
    if (newer := driver_of(table)) > driver:
        raise Fenced(f"The run in {store.root} was taken over by another driver (epoch {newer}); this one stops.")


def claim_table(store: Store, name: str, epoch: str, driver: int) -> int:
    """Make a driver the owner of a table, which is made where it is missing. Returns how many files it has.

    Raises: Fenced when another driver claimed it with this number or a larger one, StoreFailed.
    """
    for attempt in range(CLAIM_ATTEMPTS):
        table = open_table(store, name, epoch)
        if table is not None and (found := driver_of(table)) >= driver:
            raise Fenced(f"The run in {store.root} was taken over by another driver (epoch {found}); this one stops.")
        try:
            if table is None:
                make_table(store, name, epoch, driver)
                return 0
            _commit(table, driver)
            return len(files_of(table))
        except StoreFailed as error:
            if not isinstance(error.__cause__, DeltaError) or attempt == CLAIM_ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _commit(table: DeltaTable, driver: int, actions: Sequence[Any] = (), transactions: Sequence[str] = ()) -> None:
    with told_by_delta(table.table_uri):
        table.create_write_transaction(
            list(actions), "append", table.schema(), commit_properties=properties(driver, transactions)
        )


def files_of(table: DeltaTable) -> list[TableFile]:
    """The files of a table's version at hand, by name."""
    added = pa.table(table.get_add_actions(flatten=True)).to_pydict()
    nothing = [None] * len(added["path"])
    columns = (added.get(name, nothing) for name in ("path", "size_bytes", "num_records", "min.round", "max.round"))
    return sorted((TableFile(*values) for values in zip(*columns, strict=True)), key=lambda file: file.name)


def properties(driver: int, transactions: Sequence[str] = ()) -> CommitProperties:
    """What every commit of a driver carries: its number, and the shards that are committed with it."""
    return CommitProperties(app_transactions=[Transaction(DRIVER, driver), *(Transaction(t, 0) for t in transactions)])


def adding(file: TableFile, new: bool = True) -> AddAction:
    """The action that adds a file; `new` when its rows were not in the table before."""
    stats: dict[str, Any] = {"numRecords": file.rows}
    if file.low is not None:
        stats |= {"minValues": {"round": file.low}, "maxValues": {"round": file.high}, "nullCount": {"round": 0}}
    return AddAction(file.name, file.size, {}, int(time.time() * 1000), new, json.dumps(stats))


def removing(file: TableFile) -> RemoveAction:
    """The action that takes a file away whose rows stand in another."""
    return RemoveAction(file.name, False, int(time.time() * 1000), file.size, {})


@contextlib.contextmanager
def told_by_delta(path: str) -> Iterator[None]:
    """Turns deltalake's complaints about a store into StoreFailed; mistakes of this program stay what they are."""
    try:
        yield
    except (DeltaProtocolError, SchemaMismatchError):
        raise
    except (DeltaError, OSError) as error:
        raise store_failed(path, error) from error

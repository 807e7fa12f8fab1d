"""The ledger: one Delta Lake table per kind of row in the run's store. Workers write shard files; only the driver
commits them.

A commit carries an application transaction per shard. Delta accepts the same transaction twice unless it is checked, so
a shard whose transaction is already set is skipped, and the commit goes through the very handle that was checked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction, CommitProperties, Transaction

from loop import records
from loop.records import ShardRef
from loop.shards import schema_of, write_shard

SCHEMA_VERSION = "1"

TABLES: dict[str, type] = {
    "prompts": records.Prompt,
    "responses": records.Response,
    "judgements": records.Judgement,
    "examples": records.Example,
    "anchors": records.AnchorLogProbs,
    "policies": records.Policy,
    "evaluation_responses": records.Response,
    "evaluation_judgements": records.Judgement,
    "evaluation_anchors": records.AnchorLogProbs,
    "rounds": records.RoundRow,
    "telemetry": records.Telemetry,
}


class Ledger:
    """The tables of one run, rooted at a folder. Reading returns Arrow tables; any Delta reader opens the folders."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def commit(self, ref: ShardRef) -> bool:
        """Record a written shard. Returns False when it was there already; never doubles rows."""
        table = self._table(ref.table)
        transaction = f"round-{ref.round}-shard-{ref.shard}"
        if table.transaction_version(transaction) is not None:
            return False
        size = Path(ref.path).stat().st_size
        added = AddAction(
            Path(ref.path).name, size, {}, int(time.time() * 1000), True, json.dumps({"numRecords": ref.rows})
        )
        properties = CommitProperties(
            custom_metadata={"digest": ref.digest}, app_transactions=[Transaction(transaction, 0)]
        )
        table.create_write_transaction([added], "append", table.schema(), commit_properties=properties)
        return True

    def append(self, table: str, round: int, rows: Sequence[Any], shard: int = 0) -> ShardRef:
        """Write and commit rows of the driver's own: rounds, policies, telemetry."""
        ref = write_shard(self.root, table, round, shard, rows, TABLES[table])
        self.commit(ref)
        return ref

    def read(self, table: str) -> pa.Table:
        """All committed rows of a table."""
        return self._table(table).to_pyarrow_table()

    def _table(self, name: str) -> DeltaTable:
        folder = self.root / name
        if not DeltaTable.is_deltatable(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
            configuration = {"delta.appendOnly": "true"}
            description = f"schema_version={SCHEMA_VERSION}"
            DeltaTable.create(
                str(folder), schema_of(TABLES[name]), name=name, description=description, configuration=configuration
            )
        return DeltaTable(str(folder))

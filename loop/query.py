"""SQL over a run's ledger: its tables are views, nothing else can be reached, nothing can be changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from loop.errors import Refused, StoreFailed
from loop.finding import store_of
from loop.ledger import TABLES, Ledger

LOCKED = (
    "set enable_external_access = false",  # neither files, nor the network, nor extensions
    "set python_enable_replacements = false",  # nor this program's variables
    "set lock_configuration = true",
)


def query(folder: Path, sql: str) -> pa.Table:
    """The rows that one SELECT gives over the tables of a run. Raises: Refused with DuckDB's own words."""
    with connect(Ledger(store_of(folder)), list(TABLES)) as connection:
        try:
            statements = connection.extract_statements(sql)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise Refused("--sql takes one SELECT: the tables of a run are only read")
            return connection.sql(statements[0].query).to_arrow_table()
        except duckdb.Error as error:
            raise Refused(f"--sql: {str(error).splitlines()[0]}") from error


def select(ledger: Ledger, table: str, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows of a query over one table, with `?` for each of the values. Raises: StoreFailed for a table that cannot
    be read."""
    with connect(ledger, [table]) as connection:
        try:
            cursor = connection.execute(sql, list(values))
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except duckdb.Error as error:
            raise StoreFailed(f"{table} in {ledger.root} cannot be read: {str(error).splitlines()[0]}") from error


def connect(ledger: Ledger, tables: Sequence[str]) -> duckdb.DuckDBPyConnection:
    """A database in memory that holds the tables as views."""
    connection = duckdb.connect()
    for table in tables:
        connection.register(table, ledger.dataset(table))
    for setting in LOCKED:
        connection.execute(setting)
    return connection

"""Reading a run's tables for a report: a few queries that give counts or a handful of rows, however large the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb

from loop.errors import StoreFailed
from loop.ledger import Ledger
from loop.query import connect

NEEDED = (
    "prompts",
    "responses",
    "judgements",
    "verdicts",
    "examples",
    "evaluation_responses",
    "evaluation_judgements",
)


class Tables:
    """The tables that a report reads, as views of one database in memory."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, root: str) -> None:
        self._connection = connection
        self._root = root

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query, with `?` for each of the values. Raises: StoreFailed."""
        try:
            cursor = self._connection.execute(sql, list(values))
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except duckdb.Error as error:
            raise StoreFailed(f"{self._root} cannot be read: {str(error).splitlines()[0]}") from error

    def newest(self, table: str) -> int | None:
        """The newest round of which the table holds rows."""
        newest: int | None = self.rows(f"select max(round) as newest from {table}")[0]["newest"]
        return newest


@contextmanager
def tables(ledger: Ledger) -> Iterator[Tables]:
    """The tables of a ledger for as long as they are read."""
    with connect(ledger, NEEDED) as connection:
        yield Tables(connection, str(ledger.root))


def listed(rounds: Sequence[int]) -> str:
    """Round numbers inside a query. As constants they let whole files be left out, which values to bind do not."""
    return f"({', '.join(str(int(one)) for one in rounds)})"

"""A table that does not exist yet, and its rows once it does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from practicus_assets.lake.delta.table import Table

Rows = list[dict[str, Any]]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table.at(str(tmp_path / "lake"), ["t"])


@pytest.fixture
def rows() -> Callable[[Table], Rows]:
    """Return a function that reads a table's newest version with delta-rs alone, rows in a stable order."""

    def read(table: Table) -> Rows:
        query = QueryBuilder().register("t", DeltaTable(table.uri)).execute("SELECT * FROM t")
        found: Rows = pa.table(query).to_pylist()
        return sorted(found, key=repr)

    return read


@pytest.fixture
def parquet_files() -> Callable[[Table], set[str]]:
    """Return a function that lists every Parquet file below a table's folder, committed or not."""

    def listed(table: Table) -> set[str]:
        root = Path(table.uri)
        return {
            str(path.relative_to(root)) for path in root.rglob("*.parquet") if "_delta_log" not in path.parts
        }

    return listed

"""What the tests of the lake share: scopes, rows, one way to write a table, and one to read it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from practicus_assets.lake.delta.record import RECORD
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Key, Scope
from practicus_assets.lake.rows.fingerprints.fingerprint import Fingerprint
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction

Row = dict[str, Any]


def partitions(*keys: str, column: str = "p") -> Scope:
    """Return the scope of these keys of one partition column."""
    return Scope((column,), tuple((Key(key),) for key in keys))


def table_of(p: str | None, *numbers: int, **columns: Any) -> pa.Table:
    """Return rows of one partition: their partition `p`, their number `n`, and further columns."""
    keys = pa.array([p] * len(numbers), pa.string())
    return pa.table({"p": keys, "n": pa.array(numbers, pa.int64()), **columns})


def write(table: Table, p: str, *numbers: int, mode: Mode = "replace", **columns: Any) -> Commit:
    """Write rows of one partition in a transaction whose scope is that partition."""
    transaction = Transaction(table, partitions(p), WriteOptions(partition_by=["p"], mode=mode))
    return transaction.write(table_of(p, *numbers, **columns))


def read(table: Table | DeltaTable | Path | str, columns: str = "*") -> list[Row]:
    """Return the rows that delta-rs alone reads, in a stable order.

    Args:
        table: a table, of which the newest version is read, or a handle on one version.
        columns: the columns to read, as SQL lists them.

    """
    if isinstance(table, Table):
        handle = DeltaTable(table.uri, storage_options=dict(table.storage_options))
    else:
        handle = table if isinstance(table, DeltaTable) else DeltaTable(table)
    query = QueryBuilder().register("t", handle).execute(f"SELECT {columns} FROM t")
    return sorted(pa.table(query).to_pylist(), key=repr)


def log(table: Table, version: int) -> list[Row]:
    """Return the actions of one entry of a table's log in a folder."""
    text = (Path(table.uri) / "_delta_log" / f"{version:020}.json").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


def commit_info(table: Table, version: int) -> Mapping[str, Any]:
    """Return what one entry of a table's log says of its commit."""
    [info] = [action["commitInfo"] for action in log(table, version) if "commitInfo" in action]
    return dict(info)


def parquet_files(table: Table) -> set[str]:
    """Return every Parquet file below a table's folder, committed or not, but for its log's."""
    root = Path(table.uri)
    files = (path.relative_to(root) for path in root.rglob("*.parquet"))
    return {str(file) for file in files if "_delta_log" not in file.parts}


def as_of_an_older_release(table: Table, version: int, rows: pa.Table) -> None:
    """Rewrite a log entry with the fingerprint of rows by the first algorithm, for each partition of it."""
    fingerprint = Fingerprint(1)
    for batch in rows.to_batches():
        fingerprint.add_rows(batch, batch.schema.names)
    actions = log(table, version)
    [info] = [action["commitInfo"] for action in actions if "commitInfo" in action]
    record = json.loads(info[RECORD])
    record |= {"fingerprint": str(fingerprint)}
    record["fingerprints"] = dict.fromkeys(record["fingerprints"], str(fingerprint))
    info[RECORD] = json.dumps(record)
    path = Path(table.uri) / "_delta_log" / f"{version:020}.json"
    path.write_text("\n".join(map(json.dumps, actions)), encoding="utf-8")

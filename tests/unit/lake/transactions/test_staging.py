"""Files that wait for their commit."""

import itertools
import json
import signal
import threading
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from practicus_assets.errors import StoreFailed
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.values import split
from practicus_assets.lake.rows.fingerprints.hashes import hash_rows
from practicus_assets.lake.transactions import incoming as incoming_module
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.stage import staging as staging_module
from practicus_assets.lake.transactions.stage.parquet_sink import FolderWriter, ParquetSink
from practicus_assets.lake.transactions.stage.staging import Staging
from practicus_assets.lake.transactions.stage.writer_threads import WriterThreads
from practicus_assets.lake.transactions.transaction import Transaction

SCHEMA = pa.schema({"p": pa.string(), "n": pa.int64()})

times = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))  # noqa: DTZ001
VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(),
    pa.float32(): st.floats(width=32),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.text("aä\U0001f600", min_size=60, max_size=70),
    pa.date32(): st.dates(),
    pa.timestamp("us"): times,
    pa.timestamp("us", "UTC"): times.map(lambda moment: moment.replace(tzinfo=UTC)),
    pa.bool_(): st.booleans(),
    pa.binary(): st.binary(max_size=4),
    pa.decimal128(12, 3): st.decimals(-(10**8), 10**8, places=3),
}
TYPES = {f"c{n}": type_ for n, type_ in enumerate(VALUES)}


def sql(value: Any, type_: pa.DataType) -> str:  # noqa: PLR0911 a table of types
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime):
        zone = 'Some("UTC")' if value.tzinfo else "None"
        text = value.replace(tzinfo=None).isoformat()
        return f"arrow_cast('{text}', 'Timestamp(Microsecond, {zone})')"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, Decimal):
        return f"CAST('{value}' AS DECIMAL(12, 3))"
    if isinstance(value, float):
        return f"CAST('{value!r}' AS {'REAL' if type_ == pa.float32() else 'DOUBLE'})"
    return (
        f"CAST('{value}' AS BIGINT)" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    )


@st.composite
def files_and_a_question(draw: st.DrawFn) -> tuple[list[list[dict[str, Any]]], str, Any]:
    name = draw(st.sampled_from(sorted(TYPES)))
    row = st.fixed_dictionaries({c: st.none() | VALUES[TYPES[c]] for c in [name]})
    files = draw(st.lists(st.lists(row, min_size=1, max_size=4), min_size=1, max_size=3))
    values = [r[name] for rows in files for r in rows if r[name] is not None]
    asked = draw(st.sampled_from(values) if values else VALUES[TYPES[name]])
    return files, name, asked


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(drawn=files_and_a_question())
def test_statistics_hide_no_row(tmp_path_factory: pytest.TempPathFactory, drawn: Any) -> None:
    files, name, asked = drawn
    table = Table.at(str(tmp_path_factory.mktemp("lake")), ["t"])
    schema = pa.schema({name: TYPES[name]})
    for rows in files:
        Transaction(table, options=WriteOptions(mode="append")).write(pa.Table.from_pylist(rows, schema))
    snapshot = Snapshot.of(table)
    everything = snapshot.scan().read_all()
    column = f'"{name}"'
    for condition in ("=", "<=", ">=", "<", ">", "<>"):
        predicate = f"{column} {condition} {sql(asked, TYPES[name])}"
        pruned = snapshot.scan(predicate=predicate).read_all()
        full = without_statistics(everything, predicate)
        assert sorted(map(repr, pruned.to_pylist())) == sorted(map(repr, full)), predicate
    nulls = snapshot.scan(predicate=f"{column} IS NULL").read_all().num_rows
    assert nulls == everything[name].null_count
    assert sorted(map(repr, everything.to_pylist())) == sorted(
        repr(row) for rows in files for row in _stored(rows, schema)
    )


def _stored(rows: list[dict[str, Any]], schema: pa.Schema) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pa.Table.from_pylist(rows, schema).to_pylist()
    return found


def without_statistics(data: pa.Table, predicate: str) -> list[dict[str, Any]]:
    """Return the rows that delta-rs's engine selects from memory, where nothing is pruned."""
    import tempfile

    from deltalake import DeltaTable, QueryBuilder, Schema
    from deltalake.transaction import AddAction, create_table_with_add_actions

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f.parquet"
        pq.write_table(data, path, write_statistics=False)
        add = AddAction("f.parquet", path.stat().st_size, {}, 0, data_change=True, stats="{}")
        create_table_with_add_actions(folder, Schema.from_arrow(data.schema), [add])
        query = QueryBuilder().register("t", DeltaTable(folder)).execute(f"SELECT * FROM t WHERE {predicate}")
        batches = [pa.record_batch(batch) for batch in query]
        found = pa.Table.from_batches(batches) if batches else data.slice(0, 0)
        rows: list[dict[str, Any]] = found.cast(data.schema).to_pylist()
        return rows


def statistics(table: Table) -> dict[str, Any]:
    [path] = (Path(table.uri) / "_delta_log").glob("*.json")
    [add] = [
        json.loads(line)["add"] for line in path.read_text(encoding="utf-8").splitlines() if '"add"' in line
    ]
    found: dict[str, Any] = json.loads(add["stats"])
    return found


@pytest.mark.parametrize("thread", ["writer", "caller"])
def test_statistics_are_left_out_where_they_would_not_survive(
    table: Table, monkeypatch: pytest.MonkeyPatch, thread: str
) -> None:
    monkeypatch.setattr(WriterThreads, "is_behind", thread == "caller")
    data = {
        "n": [1, None],
        "nan": [1.0, float("nan")],
        "inf": [1.0, float("inf")],
        "zero": [0.0, -0.0],
        "long": ["x" * 65, "y"],
        "list": [[1], None],
        "late": pa.array([0, 2**60], pa.timestamp("us")),
    }
    data["nan"] = pa.array(data["nan"])
    rows = pa.table(data)
    monkeypatch.setattr(incoming_module, "BATCH_ROWS", 1)
    Transaction(table).write(rows)
    found = statistics(table)
    assert found["numRecords"] == 2
    assert found["minValues"] == {"n": 1, "zero": 0.0}
    assert str(found["minValues"]["zero"]) == "-0.0"
    assert str(found["maxValues"]["zero"]) == "0.0"
    assert found["nullCount"] == {"n": 1, "nan": 0, "inf": 0, "zero": 0, "long": 0, "late": 0}


def test_many_interleaved_partitions_are_one_file_each_and_few_are_open_at_once(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming_module, "BATCH_ROWS", 500)
    opened = most = 0
    real_flush, real_close = staging_module._File.flush, staging_module._File.close

    def flush(self: Any) -> Any:
        nonlocal opened, most
        opened += self._sink is None
        most = max(most, opened)
        return real_flush(self)

    def close(self: Any) -> Any:
        nonlocal opened
        opened -= 1
        return real_close(self)

    monkeypatch.setattr(staging_module._File, "flush", flush)
    monkeypatch.setattr(staging_module._File, "close", close)
    data = pa.table({"p": [str(n % 300) for n in range(3000)], "n": range(3000)})
    commit = Transaction(table, options=WriteOptions(partition_by=["p"])).write(
        iter(data.to_batches(max_chunksize=500))
    )
    assert commit.files == 300
    assert most < 100
    assert opened == 0
    monkeypatch.setattr(staging_module, "_BUFFERED_BYTES", 200_000)
    most = 0
    commit = Transaction(table, options=WriteOptions(partition_by=["p"])).write(
        iter(data.to_batches(max_chunksize=500))
    )
    assert commit.rows == 3000
    assert commit.files > 300
    assert most < 100


def test_a_file_that_grew_large_is_closed_and_another_begun(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming_module, "BATCH_ROWS", 700)
    monkeypatch.setattr(staging_module, "_ROW_GROUP_ROWS", 1000)
    monkeypatch.setattr(staging_module, "_FILE_BYTES", 3000)
    commit = Transaction(table).write(iter(pa.table({"n": range(20_000)}).to_batches(max_chunksize=700)))
    assert 2 < commit.files < 20
    assert sorted(Snapshot.of(table).scan().read_all()["n"].to_pylist()) == list(range(20_000))


@pytest.mark.parametrize(
    "value", ["\U00020000", "\U0010ffff", "\U0001f600", "\ue000", "\u2028", "\0", '"', "\\", "'"]
)
def test_statistics_of_any_character_hide_no_row(table: Table, value: str) -> None:
    # delta-rs reads the JSON escape of U+20000 as U+10000
    Transaction(table).write(pa.table({"x": [value]}))
    assert Snapshot.of(table).scan(predicate=f"x = {sql(value, pa.string())}").read_all()[
        "x"
    ].to_pylist() == [value]


def staged(table: Table) -> Staging:
    staging = Staging(table, SCHEMA, ["p"])
    for batch in pa.table({"p": ["a", "b", "a"], "n": [1, 2, 3]}, SCHEMA).to_batches():
        for values, positions in split(batch, ["p"]):
            rows = batch.take(pa.array(positions))
            staging.add(rows, values, hash_rows(rows, SCHEMA.names))
    return staging


@pytest.mark.parametrize("finished", [True, False])
def test_discarded_files_are_gone_with_their_folders_and_others_stay(
    table: Table,
    finished: bool,  # noqa: FBT001
    parquet_files: Any,
) -> None:
    Transaction(table, options=WriteOptions(partition_by=["p"])).write(pa.table({"p": ["a"], "n": [0]}))
    before = parquet_files(table)
    staging = staged(table)
    if finished:
        staging.finish()
        assert len(parquet_files(table)) == 3
    staging.discard()
    assert parquet_files(table) == before
    assert not (Path(table.uri) / "p=b").exists()
    staging.discard()


def test_a_file_that_cannot_be_closed_is_named_and_keeps_no_other_from_being_discarded(
    table: Table, monkeypatch: pytest.MonkeyPatch, parquet_files: Any
) -> None:
    real, real_sink, calls = pq.ParquetWriter.close, ParquetSink.close, itertools.count()
    failed: list[str] = []

    def full(self: Any) -> None:
        call = next(calls)
        if call == 7:
            raise OSError("no space left")
        if call > 7:
            time.sleep(0.1)
        real(self)

    def close(self: Any) -> Any:
        try:
            return real_sink(self)
        except StoreFailed:
            failed.append(self._what)
            raise

    monkeypatch.setattr(pq.ParquetWriter, "close", full)
    monkeypatch.setattr(ParquetSink, "close", close)
    staging = Staging(table, SCHEMA, ["p"])
    for name in map(str, range(40)):
        [rows] = pa.table({"p": [name], "n": [1]}, SCHEMA).to_batches()
        staging.add(rows, (name,), hash_rows(rows, SCHEMA.names))
    with pytest.raises(StoreFailed, match=r"staged file p=\d+/.* failed: no space left") as raised:
        staging.finish()
    assert next(calls) < 40, "others are closed after an error"
    [what] = failed
    assert what in str(raised.value)
    staging.discard()
    assert parquet_files(table) == set()


def test_no_file_is_left_by_an_interrupt_while_files_are_closed(
    table: Table, monkeypatch: pytest.MonkeyPatch, parquet_files: Any
) -> None:
    real = FolderWriter.begin

    def begin(self: Any, *arguments: Any) -> ParquetSink:
        time.sleep(0.2)
        return real(self, *arguments)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FolderWriter, "begin", begin)
    staging, before = staged(table), signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            staging.finish()
    finally:
        signal.signal(signal.SIGALRM, before)
    staging.discard()
    time.sleep(0.5)
    assert parquet_files(table) == set()
    assert not [thread.name for thread in threading.enumerate() if "writer" in thread.name]


def test_files_come_in_the_order_in_which_their_partitions_did(table: Table) -> None:
    staging, names = Staging(table, SCHEMA, ["p"]), [str(number * 7 % 50) for number in range(50)]
    for name in names:
        rows = pa.table({"p": [name] * (1 + int(name) * 40), "n": range(1 + int(name) * 40)}, SCHEMA)
        staging.add(rows.to_batches()[0], (name,))
    assert [file.values for file in staging.finish()] == [(name,) for name in names]

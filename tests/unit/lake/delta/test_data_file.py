"""Files of a scope: found by values of every type, without a look at those of other partitions."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, Schema, write_deltalake

from practicus_assets.lake.delta import data_file
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.bounds import Bounds, Range

NEW_YEAR, NEXT = datetime(2026, 1, 1), datetime(2026, 1, 2)  # noqa: DTZ001 as the column has it
CASES = {
    "text": (pa.string(), ["a", "b", "é/ %", None], "b", 1),
    "integer": (pa.int16(), [1, 2, -3, None], -3, 1),
    "boolean": (pa.bool_(), [True, False, None, True], False, 1),
    "day": (pa.date32(), [date(2026, 1, 1), date(2026, 1, 2), None, date(2026, 1, 4)], date(2026, 1, 2), 1),
    "days": (
        pa.date32(),
        [date(2026, 1, 1), date(2026, 1, 2), None, date(2026, 1, 4)],
        Range(date(2026, 1, 1), date(2026, 1, 3)),
        2,
    ),
    "instants": (
        pa.timestamp("us", "UTC"),
        [NEW_YEAR.replace(tzinfo=UTC), NEXT.replace(tzinfo=UTC), None, datetime(2027, 1, 1, tzinfo=UTC)],
        Range(NEW_YEAR.replace(tzinfo=UTC), NEXT.replace(tzinfo=UTC)),
        1,
    ),
    "local times": (pa.timestamp("us"), [NEW_YEAR, NEXT, None, NEXT], NEXT, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_the_files_of_a_scope_are_those_that_hold_its_values(tmp_path: Path, case: str) -> None:
    type_, values, wanted, count = CASES[case]
    rows = pa.table({"p": pa.array(values, type_), "n": range(len(values))})
    write_deltalake(tmp_path, rows, partition_by=["p"])
    bounds = Bounds(("p",), (type_,), ((wanted,),))
    looked_for, known = Table.from_uri(tmp_path).open(), Table.from_uri(tmp_path).open()
    every = known.files()
    assert len(every) == len(set(values))
    inside = [file.path for file in every if bounds.part_of(file.values) is not None]
    assert [file.path for file in known.files(bounds)] == inside
    assert [file.path for file in looked_for.files(bounds)] == inside
    assert len(inside) == count


def test_a_scope_on_a_column_that_is_no_partition_column_has_no_file(tmp_path: Path) -> None:
    write_deltalake(tmp_path, pa.table({"p": ["a"], "n": [1]}), partition_by=["p"])
    assert [*Table.from_uri(tmp_path).open().files(Bounds(("n",), (pa.int64(),), ((1,),)))] == []


def test_files_of_other_partitions_are_not_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_deltalake(tmp_path, pa.table({"p": range(50), "n": range(50)}), partition_by=["p"])
    seen: list[Any] = []
    described = data_file.described

    def counted(actions: Iterable[Any], gone: Any) -> Any:
        seen.extend(actions)
        return described(seen, gone)

    monkeypatch.setattr(data_file, "described", counted)
    parts: tuple[tuple[int], ...] = ((7,), (48,))
    assert len(Table.from_uri(tmp_path).open().files(Bounds(("p",), (pa.int64(),), parts))) == 2
    assert len(seen) == 2


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("has_checkpoint", [False, True], ids=["entry", "checkpoint"])
def test_a_partition_is_found_among_those_of_each_type_and_no_file_is_described_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, *, has_checkpoint: bool
) -> None:
    type_, values, _, _ = CASES[case]
    write_deltalake(tmp_path, pa.table({"p": pa.array(values, type_), "n": range(4)}), partition_by=["p"])
    if has_checkpoint:
        DeltaTable(tmp_path).create_checkpoint()
    monkeypatch.delattr(data_file, "described")
    assert Table.from_uri(tmp_path).open().present_values(["p"]) == {(value,) for value in values}
    for value in values:
        if value is not None:
            rows = Snapshot.open(tmp_path, partitions=[value]).to_arrow(["n"])["n"].to_pylist()
            assert sorted(rows) == [n for n, other in enumerate(values) if other == value]


def test_a_table_without_files_has_no_partition(tmp_path: Path) -> None:
    schema = pa.schema([("p", pa.string()), ("n", pa.int64())])
    DeltaTable.create(tmp_path, Schema.from_arrow(schema), partition_by=["p"])
    assert Table.from_uri(tmp_path).open().present_values(["p"]) == set()
    assert Snapshot.open(tmp_path, partitions=["a"]).to_arrow().num_rows == 0

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.errors import (
    DeclarationError,
    OutOfScope,
    SchemaMismatch,
    SourceChanged,
    SourceFailed,
)
from practicus_assets.lake.partitions.scope import Key, Scope
from practicus_assets.sources.files.delta_table import DeltaRelation
from practicus_assets.sources.files.store import Files
from practicus_assets.sources.relation import NO_ROWS
from tests.unit.sources.files.folder import rows_of


def of(*keys: str, column: str = "p") -> Scope:
    return Scope((column,), tuple((Key(key),) for key in keys))


@pytest.fixture
def relation(tmp_path: Path) -> DeltaRelation:
    """A table of two versions, by another writer."""
    store = Files(str(tmp_path))
    for p in ("a", "b"):
        add(store.delta("sales/orders"), p, 1)
    return store.delta("sales/orders")


def add(relation: DeltaRelation, p: str, n: int) -> None:
    rows = pa.table({"p": [p], "n": [n], "at": [dt.datetime(2013, 1, n, tzinfo=dt.UTC)]})
    write_deltalake(relation.name, rows, mode="append", partition_by=["p"])


def numbers(relation: DeltaRelation, session: Any, scope: Scope | None = None) -> list[tuple[str, int]]:
    rows = relation.read(session, scope or Scope(), ["p", "n"]).read_all().to_pylist()
    return sorted((row["p"], row["n"]) for row in rows)


def test_a_table_is_read_by_partition_or_column(relation: DeltaRelation) -> None:
    add(relation, "b", 2)
    assert [(row["p"], row["n"]) for row in rows_of(relation, of("a"))] == [("a", 1)]
    assert sorted(row["p"] for row in rows_of(relation, of("1", column="n"))) == ["a", "b"]
    assert rows_of(relation, of("none")) == []
    with pytest.raises(OutOfScope, match="the scope is on the column 'q'"):
        rows_of(relation, of("a", column="q"))
    with pytest.raises(SchemaMismatch, match=r"orders has no column 'm'"):
        rows_of(relation, columns=["m"])


def test_a_session_reads_one_version_and_so_do_others_of_its_run(relation: DeltaRelation) -> None:
    with relation.system.session() as first:
        assert numbers(relation, first) == [("a", 1), ("b", 1)]
        add(relation, "a", 2)
        assert numbers(relation, first) == [("a", 1), ("b", 1)]
        with relation.system.session(first.state) as second:
            assert numbers(relation, second) == [("a", 1), ("b", 1)]
        with relation.system.session() as third:
            assert len(numbers(relation, third)) == 3


def test_another_session_refuses_a_table_that_was_made_anew(relation: DeltaRelation, tmp_path: Path) -> None:
    with relation.system.session() as first:
        numbers(relation, first)
        (tmp_path / "sales").rename(tmp_path / "old")
        for p in ("a", "b"):
            add(relation, p, 1)
        with (
            relation.system.session(first.state) as second,
            pytest.raises(SourceChanged, match="was replaced by another table"),
        ):
            numbers(relation, second)


def test_a_version_can_be_declared_by_its_number_or_a_moment(relation: DeltaRelation) -> None:
    store = relation.store
    assert isinstance(store, Files)
    assert [row["p"] for row in rows_of(store.delta("sales/orders", 0))] == ["a"]
    assert len(rows_of(store.delta("sales/orders", dt.datetime.now(dt.UTC)))) == 2
    with pytest.raises(SourceFailed, match=r"no version 9 .*Read a later version"):
        rows_of(store.delta("sales/orders", 9))
    assert rows_of(Files(relation.name).delta("")) == rows_of(relation)


def test_versions_are_those_of_the_table_and_of_the_files_of_partitions(relation: DeltaRelation) -> None:
    scopes = [Scope(), of("a"), of("b"), of("c"), of("1", column="n")]

    def versions() -> list[str]:
        with relation.system.session() as session:
            return relation.versions(session, scopes)  # type: ignore[arg-type] # a session of files

    first = versions()
    add(relation, "b", 2)
    second = versions()
    assert [one == other for one, other in zip(first, second, strict=True)] == [
        False,
        True,
        False,
        True,
        False,
    ]
    assert first[3] == NO_ROWS


def test_late_rows_tell_their_partitions(relation: DeltaRelation) -> None:
    add(relation, "b", 3)
    with relation.system.session() as session:
        since = dt.datetime(2013, 1, 2, tzinfo=dt.UTC)
        late = relation.changed(session, ["p"], "at", since)  # type: ignore[arg-type] # a session of files
        assert late.read_all().to_pylist() == [{"p": "b"}]
        with pytest.raises(SourceFailed, match="is of type int64, which is no time"):
            relation.changed(session, ["p"], "n", since)  # type: ignore[arg-type]


def test_files_that_are_vacuumed_away_end_the_read(relation: DeltaRelation) -> None:
    table = DeltaTable(relation.name)
    table.delete("p = 'a'")
    with relation.system.session(None) as session:
        pinned = Files(relation.store.address).delta("sales/orders", 1)
        table.vacuum(0, dry_run=False, enforce_retention_duration=False)
        with pytest.raises(SourceFailed, match="Read a later version"):
            numbers(pinned, session)


def test_no_table_and_no_folder_are_told_apart(tmp_path: Path) -> None:
    store = Files(str(tmp_path))
    with pytest.raises(SourceFailed, match=r"there is no Delta table at .*none\. Correct the place"):
        rows_of(store.delta("none"))
    with pytest.raises(DeclarationError, match="is no folder of"):
        store.delta("../none")
    with pytest.raises(DeclarationError, match="has no parameter 'at'"):
        store.delta("none", at=1)  # type: ignore[call-arg] # that is the test

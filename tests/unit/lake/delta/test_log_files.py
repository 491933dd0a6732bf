"""The log's folder with each kind of checkpoint that the Delta protocol has, written as other engines do."""

import json
import os
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, TableFeatures

from practicus_assets.errors import RemovalRefused, StoreFailed, VersionGone
from practicus_assets.lake.delta.log_files import LogFolder
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.upkeep.retention import checkpoint, remove, unneeded_entries
from practicus_assets.lake.upkeep.verify import verify_files
from tests.kit import Row, log, read, write

OLD_HOURS = 100


def log_of(table: Table) -> Path:
    return Path(table.uri, "_delta_log")


def replaced(table: Table, *files: Path) -> list[Path]:
    """Delete the classic checkpoint that the files stand in for, and let no pointer name it."""
    for path in log_of(table).glob("*.checkpoint.parquet"):
        path.unlink()
    (log_of(table) / "_last_checkpoint").unlink()
    return list(files)


def classic_path(table: Table, version: int) -> Path:
    return log_of(table) / f"{version:020}.checkpoint.parquet"


def classic(table: Table) -> list[Path]:
    return [classic_path(table, checkpoint(table))]


def in_parts(table: Table) -> list[Path]:
    [path] = classic(table)
    actions = pq.read_table(path)
    files = []
    for part in (1, 2):
        files.append(path.with_name(f"{path.name[:20]}.checkpoint.{part:010}.{2:010}.parquet"))
        pq.write_table(actions.slice((part - 1) * 2, 2 if part == 1 else None), files[-1])
    return replaced(table, *files)


def newest_of(table: Table, *kinds: str) -> list[Row]:
    """Return the newest action of each kind in the entries of a table's log."""
    actions = [action for version in range(table.open().version + 1) for action in log(table, version)]
    return [next(action for action in reversed(actions) if kind in action) for kind in kinds]


def with_nulls(kind: pa.DataType) -> pa.DataType:
    """Return a struct's type with fields that may be null, all the way down."""
    if not pa.types.is_struct(kind):
        return kind
    return pa.struct([pa.field(field.name, with_nulls(field.type)) for field in kind])


def v2(table: Table, *, text: bool) -> list[Path]:
    """Write a V2 checkpoint: a manifest, and one sidecar with the data files."""
    DeltaTable(table.uri).alter.add_feature(TableFeatures.V2Checkpoint, allow_protocol_versions_increase=True)
    [path] = classic(table)
    actions = pq.read_table(path)
    rows = actions.to_pylist()
    sidecar = log_of(table) / "_sidecars" / f"{uuid.uuid4()}.parquet"
    sidecar.parent.mkdir(exist_ok=True)
    is_file = pa.array([row["add"] is not None or row["remove"] is not None for row in rows])
    pq.write_table(actions.select(["add", "remove"]).filter(is_file), sidecar)
    size = sidecar.stat().st_size
    manifest = [
        {"checkpointMetadata": {"version": int(path.name[:20])}},
        *newest_of(table, "protocol", "metaData"),
        {"sidecar": {"path": sidecar.name, "sizeInBytes": size, "modificationTime": 0}},
    ]
    file = path.with_name(f"{path.name[:20]}.checkpoint.{uuid.uuid4()}.{'json' if text else 'parquet'}")
    if text:
        file.write_text("\n".join(map(json.dumps, manifest)), encoding="utf-8")
    else:
        manifest[2] = {"metaData": next(row["metaData"] for row in rows if row["metaData"])}  # maps are pairs
        columns = {}
        for name in ("checkpointMetadata", "protocol", "metaData", "sidecar"):
            kind = with_nulls(actions.schema.field(name).type) if name in actions.schema.names else None
            columns[name] = pa.array([action.get(name) for action in manifest], kind)
        pq.write_table(pa.table(columns), file)
    return replaced(table, file, sidecar)


KINDS: dict[str, Callable[[Table], list[Path]]] = {
    "classic": classic,
    "in parts": in_parts,
    "V2 as JSON": lambda table: v2(table, text=True),
    "V2 as Parquet": lambda table: v2(table, text=False),
}


@pytest.fixture(params=KINDS)
def write_checkpoint(request: pytest.FixtureRequest) -> Callable[[Table], list[Path]]:
    return KINDS[request.param]


def grown_old(table: Table) -> datetime:
    """Make all files of a table old, and return a time since when nothing changed."""
    for path in Path(table.uri).rglob("*"):
        then = path.stat().st_mtime - OLD_HOURS * 3600
        os.utime(path, (then, then))
    return datetime.now(UTC) - timedelta(hours=1)


def expire(table: Table, *keep: int) -> list[str]:
    """Remove what is not needed of an old log, and return the names of the files that are gone."""
    removable = unneeded_entries(table, grown_old(table), keep)
    assert remove(table, removable) == len(removable.paths)
    return [path.rpartition("/")[2] for path in removable.paths]


def test_entries_before_a_checkpoint_of_any_kind_expire_and_the_table_opens_from_it(
    table: Table, write_checkpoint: Callable[[Table], list[Path]]
) -> None:
    for number in range(3):
        write(table, "a", number, mode="append")
    files = write_checkpoint(table)
    held = table.open().version
    write(table, "a", 3, mode="append")
    assert [c.version for c in LogFolder(table).checkpoints] == [held]
    assert expire(table) == [f"{version:020}.json" for version in range(held)]
    assert all(file.exists() for file in files)
    assert [row["n"] for row in read(table)] == [0, 1, 2, 3]
    assert table.open(held).version == held
    with pytest.raises(VersionGone):
        table.open(held - 1)
    assert verify_files(table, rows=True).problems == ()


def test_an_older_checkpoint_of_any_kind_expires_whole_with_its_sidecars(
    table: Table, write_checkpoint: Callable[[Table], list[Path]]
) -> None:
    write(table, "a", 0, mode="append")
    files = write_checkpoint(table)
    write(table, "a", 1, mode="append")
    later = classic(table)
    gone = expire(table)
    assert {file.name for file in files} <= set(gone)
    assert not any(file.exists() for file in files)
    assert all(file.exists() for file in later)
    assert [row["n"] for row in read(table)] == [0, 1]


def test_a_version_that_is_kept_keeps_its_checkpoint_of_any_kind(
    table: Table, write_checkpoint: Callable[[Table], list[Path]]
) -> None:
    write(table, "a", 0, mode="append")
    files = write_checkpoint(table)
    kept = table.open().version
    write(table, "a", 1, mode="append")
    checkpoint(table)
    expire(table, kept)
    assert all(file.exists() for file in files)
    assert table.open(kept).version == kept


@pytest.mark.parametrize("how", ["damaged", "gone"])
def test_a_checkpoint_with_a_file_that_is_damaged_or_gone_is_not_relied_upon(
    table: Table, write_checkpoint: Callable[[Table], list[Path]], how: str
) -> None:
    write(table, "a", 0, mode="append")
    write(table, "a", 1, mode="append")
    *_, file = write_checkpoint(table)
    is_whole_checkpoint = file == classic_path(table, table.open().version)
    cutoff = grown_old(table)
    write(table, "a", 1, mode="append")
    checkpoint(table)
    assert unneeded_entries(table, cutoff).paths != ()
    if how == "damaged":
        file.write_bytes(b"PAR1" + b"\0" * 100)
    else:
        file.unlink()
    assert unneeded_entries(table, cutoff).paths == ()
    problems = verify_files(table).problems
    assert len(problems) == (0 if is_whole_checkpoint and how == "gone" else 1)
    assert all("the checkpoint cannot be read: " in problem.text for problem in problems)


def test_young_sidecars_that_nothing_names_stay(table: Table) -> None:
    write(table, "a", 0, mode="append")
    KINDS["V2 as JSON"](table)
    write(table, "a", 1, mode="append")
    checkpoint(table)
    cutoff = grown_old(table)
    young = log_of(table) / "_sidecars" / "young.parquet"
    young.write_bytes(b"being written")
    remove(table, unneeded_entries(table, cutoff))
    assert [path.name for path in young.parent.iterdir()] == ["young.parquet"]


def test_a_pointer_that_cannot_be_read_removes_nothing(table: Table) -> None:
    write(table, "a", 0)
    write(table, "a", 1)
    checkpoint(table)
    cutoff = grown_old(table)
    (log_of(table) / "_last_checkpoint").write_text("[]", encoding="utf-8")
    with pytest.raises(RemovalRefused, match=r"_last_checkpoint.*it names no version.*Nothing was removed"):
        unneeded_entries(table, cutoff)


@pytest.mark.parametrize(
    ("content", "problem"),
    [("", "it is empty"), ('{"add": ', "line 1 is no JSON"), ("\n5", "line 2 is no JSON object")],
)
def test_an_entry_that_is_no_list_of_actions_is_named_by_whatever_reads_it(
    content: str, problem: str, table: Table
) -> None:
    write(table, "a", 0)
    write(table, "a", 1)
    (log_of(table) / f"{0:020}.json").write_text(content, encoding="utf-8")
    with pytest.raises(StoreFailed, match=rf"{0:020}\.json.*{problem}"):
        LogFolder(table).actions(0)
    [found] = list(LogFolder(table).problems())
    assert (found.file, problem in found.text) == (f"{0:020}.json", True)
    with pytest.raises(StoreFailed, match=rf"{0:020}\.json"):
        table.open()


def test_a_checkpoint_that_is_gone_is_named_with_the_pointer_to_delete(table: Table) -> None:
    for number in range(2):
        write(table, "a", number)
    version = checkpoint(table)
    write(table, "b", 2)
    for path in log_of(table).glob("*.checkpoint.parquet"):
        path.unlink()
    with pytest.raises(
        StoreFailed,
        match=rf"_last_checkpoint: it names a checkpoint of version {version}, which is not there\. Delete",
    ):
        table.open()
    (log_of(table) / "_last_checkpoint").unlink()
    assert table.open().row_count == 2

"""Counts of a table whose rows other engines deleted by deletion vectors, which delta-rs only reads."""

import base64
import json
import struct
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.engines.shares import SnapshotShare
from practicus_assets.engines.splits import Split
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.upkeep.history import read_history
from practicus_assets.lake.upkeep.verify import verify_files
from tests.kit import partitions, read

MAGIC, COOKIE, FIRST = 1681511377, 12346, 16


def vector(positions: Sequence[int]) -> bytes:
    """Return a deletion vector (Delta protocol, "Deletion Vector Format") of one roaring bitmap."""
    bitmap = struct.pack("<IIHHI", COOKIE, 1, 0, len(positions) - 1, FIRST)
    bitmap += b"".join(struct.pack("<H", position) for position in positions)
    return struct.pack("<iqi", MAGIC, 1, 0) + bitmap


def inline(positions: Sequence[int]) -> dict[str, Any]:
    """Return the descriptor of a deletion vector that is kept in the log, in Z85."""
    data = vector(positions)
    text = _z85(data + b"\0" * (-len(data) % 4))
    return {
        "storageType": "i",
        "pathOrInlineDv": text,
        "sizeInBytes": len(data),
        "cardinality": len(positions),
    }


def stored(positions: Sequence[int], folder: Path) -> dict[str, Any]:
    """Return the descriptor of a deletion vector in a file of its own."""
    data, name = vector(positions), uuid.uuid4()
    content = b"\x01" + struct.pack(">i", len(data)) + data + struct.pack(">I", zlib.crc32(data))
    (folder / f"deletion_vector_{name}.bin").write_bytes(content)
    return {
        "storageType": "u",
        "pathOrInlineDv": _z85(name.bytes),
        "offset": 1,
        "sizeInBytes": len(data),
        "cardinality": len(positions),
    }


def _z85(data: bytes) -> str:
    plain = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
    z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    return base64.b85encode(data).decode().translate(str.maketrans(plain, z85))


@pytest.fixture(params=["in the log", "in a file"])
def deleted(request: pytest.FixtureRequest, table: Table) -> Table:
    """Return a table of which version 1 deletes two of four rows of one partition."""
    write_deltalake(table.uri, pa.table({"p": ["a b"] * 4 + ["c"], "n": [1, 2, 3, 4, 5]}), partition_by=["p"])
    log = Path(table.uri, "_delta_log")
    actions = [json.loads(line) for line in (log / f"{0:020}.json").read_text("utf-8").splitlines()]
    [add] = [a["add"] for a in actions if a.get("add", {}).get("partitionValues") == {"p": "a b"}]
    descriptor = inline([1, 3]) if request.param == "in the log" else stored([1, 3], Path(table.uri))
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    entry = [
        {"commitInfo": {"timestamp": 0, "operation": "DELETE"}},
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}},
        {"remove": {"path": add["path"], "partitionValues": {"p": "a b"}, "dataChange": True}},
        {"add": {**add, "deletionVector": descriptor}},
    ]
    (log / f"{1:020}.json").write_text("\n".join(map(json.dumps, entry)), encoding="utf-8")
    return table


def test_rows_are_counted_as_they_are_read(deleted: Table) -> None:
    assert [row["n"] for row in read(deleted)] == [1, 3, 5]
    snapshot = Snapshot(deleted.open(), partitions("a b", "c"))
    assert (snapshot.row_count, snapshot.partition_rows) == (3, {"a b": 2, "c": 1})
    assert snapshot.scan().read_all().num_rows == 3
    assert Snapshot(deleted.open()).row_count == 3
    assert Snapshot(deleted.open(0)).row_count == 5


def test_verification_counts_them_and_finds_nothing_wrong(deleted: Table) -> None:
    verification = verify_files(deleted)
    assert (verification.rows, verification.problems) == (3, ())


def test_the_history_tells_how_many_rows_a_vector_took(deleted: Table) -> None:
    [entry, _] = read_history(deleted)
    assert (entry.rows_in, entry.rows_out) == (2, 4)


def test_delta_rs_counts_the_rows_of_files_whatever_vectors_delete(deleted: Table) -> None:
    assert DeltaTable(deleted.uri).count() == 5


def test_no_split_reads_rows_that_a_vector_took(deleted: Table) -> None:
    parts = [SnapshotShare(Snapshot(deleted.open()), Split(index, 3)) for index in range(3)]
    assert sorted(n for part in parts for n in part.to_arrow()["n"].to_pylist()) == [1, 3, 5]

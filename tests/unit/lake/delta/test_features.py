"""Each row of the table in docs/delta.md, against a table whose protocol names the feature."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from practicus_assets.errors import PracticusAssetsError, UnsupportedTable
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.transaction import Transaction
from tests.kit import parquet_files, read

DOCS = Path(__file__).parents[4] / "docs" / "delta.md"
ROWS = re.findall(
    r"^\| `([\w-]+)` \| (read|refused) \| (written|refused) \|", DOCS.read_text("utf-8"), re.MULTILINE
)
READER_FEATURES = {  # the others concern writers alone (Delta protocol, "Valid Feature Names")
    *("catalogManaged", "columnMapping", "deletionVectors", "timestampNtz", "typeWidening"),
    *("typeWidening-preview", "v2Checkpoint", "vacuumProtocolCheck", "variantShredding-preview"),
    *("variantType", "variantType-preview"),
}


def make(table: Table, feature: str, configuration: dict[str, str] | None = None) -> None:
    """Make a table with one row by writing its log by hand, as an engine that has the feature would."""
    log = Path(table.uri) / "_delta_log"
    log.mkdir(parents=True)
    file = Path(table.uri) / "a.parquet"
    pq.write_table(pa.table({"n": [1]}), file)
    field = {"name": "n", "type": "long", "nullable": True, "metadata": {}}
    reader = feature in READER_FEATURES
    protocol: dict[str, Any] = {"minReaderVersion": 3 if reader else 1, "minWriterVersion": 7}
    protocol |= {"writerFeatures": [feature], **({"readerFeatures": [feature]} if reader else {})}
    actions: list[dict[str, Any]] = [
        {"protocol": protocol},
        {
            "metaData": {
                "id": "1f0e7b52-0000-4000-8000-000000000000",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": [field]}),
                "partitionColumns": [],
                "configuration": configuration or {},
                "createdTime": 0,
            }
        },
        {
            "add": {
                "path": file.name,
                "partitionValues": {},
                "size": file.stat().st_size,
                "modificationTime": 0,
                "dataChange": True,
            }
        },
    ]
    (log / f"{0:020}.json").write_text("\n".join(map(json.dumps, actions)), encoding="utf-8")


def named(error: pytest.ExceptionInfo[PracticusAssetsError], feature: str) -> bool:
    """Whether an error names a feature, in the protocol's spelling or in delta-rs's."""
    return feature.replace("-", "").lower() in str(error.value).replace("-", "").lower()


def test_the_docs_have_a_row_for_each_feature() -> None:
    assert len(ROWS) == len({feature for feature, _, _ in ROWS}) == 27
    assert {feature for feature, _, _ in ROWS} >= READER_FEATURES


@pytest.mark.parametrize(("feature", "reads", "writes"), ROWS)
def test_a_table_that_names_a_feature_is_read_and_written_as_the_docs_say(
    feature: str, reads: str, writes: str, table: Table
) -> None:
    make(table, feature)
    if reads == "read":
        assert Snapshot.of(table).scan().read_all().to_pylist() == [{"n": 1}]
    else:
        with pytest.raises(UnsupportedTable) as refused:
            Snapshot.of(table).scan().read_all()
        assert named(refused, feature)
    if writes == "written":
        Transaction(table).write(pa.table({"n": [2]}))
        assert read(table) == [{"n": 2}]
    else:
        with pytest.raises(UnsupportedTable, match=r"Nothing was written\.$") as refused:
            Transaction(table).write(pa.table({"n": [2]}))
        assert named(refused, feature)
        assert parquet_files(table) == {"a.parquet"}


@pytest.mark.parametrize("feature", ["somethingNew"])
def test_a_feature_that_nobody_knows_is_refused_by_a_write(feature: str, table: Table) -> None:
    make(table, feature)
    with pytest.raises(UnsupportedTable, match=feature):
        Transaction(table).write(pa.table({"n": [2]}))

"""A folder of files for tests, and one way to read a relation of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.files.relation import FileRelation
from practicus_assets.sources.files.store import Files
from practicus_assets.sources.relation import Relation


class Folder:
    """A folder, with the source that reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = Files(str(path))

    def write(self, name: str, content: str | bytes | pa.Table) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pa.Table):
            pq.write_table(content, path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def rows(self, pattern: str, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
        return rows_of(self.source.files(pattern, *arguments, **options))


def rows_of(
    relation: Relation[Any], scope: Scope | None = None, columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    with relation.system.session() as session:
        rows: list[dict[str, Any]] = relation.read(session, scope or Scope(), columns).read_all().to_pylist()
    return rows


def schema_of(relation: FileRelation) -> dict[str, str]:
    with relation.system.session() as session:
        return {column.name: str(column.type) for column in relation.schema(session)}

"""Listed files: the data files whose rows, all of them and no others, a snapshot reads."""

from collections.abc import Sequence

from practicus_assets.errors import UnsupportedTable, naming
from practicus_assets.lake.delta.data_file import DataFile
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.layers.layered import LayeredSnapshot

_ADVICE = "Read it without an engine, such as by the annotation Snapshot."


def listed_files(snapshot: Snapshot) -> tuple[TableVersion, Sequence[DataFile]]:
    """Return a snapshot's version of its table, and the files that it reads as a whole.

    Raises:
        UnsupportedTable: if some rows of a file are not read.

    """
    at: TableVersion = snapshot._at  # noqa: SLF001 what a list of files is made of
    if snapshot._no_rows:  # noqa: SLF001
        return at, []
    with naming(at.table.name):
        if isinstance(snapshot, LayeredSnapshot):
            raise UnsupportedTable("its lake lies over a base, some of whose rows are not read.", _ADVICE)
        if snapshot.scope.is_whole_table:
            return at, at.files()
        if not set(snapshot.scope.columns) <= set(at.partition_by):
            raise UnsupportedTable(f"it is not partitioned by {snapshot.scope.columns}.", _ADVICE)
    return at, [file for files in snapshot.partition_files.values() for file in files]

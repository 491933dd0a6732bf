"""The Delta protocol's table features, and which of them a commit of staged files honours."""

from collections.abc import Sequence

from practicus_assets.errors import DeclarationError, UnsupportedTable, naming
from practicus_assets.lake.delta.table import TableVersion

_HONOURED_FEATURES = {
    *("appendOnly", "changeDataFeed", "checkConstraints", "generatedColumns", "invariants", "timestampNtz"),
    "v2Checkpoint",
}


def refuse_unsupported(
    table: TableVersion, partition_by: Sequence[str], *, takes_rows_away: bool = False
) -> None:
    """Refuse a table to which files staged for these partition columns must not be committed.

    Args:
        table: the newest version.
        partition_by: the partition columns that the files are staged for, in any order.
        takes_rows_away: whether the commit removes rows; tables with `delta.appendOnly` forbid that.

    Raises:
        UnsupportedTable: for features that a commit of staged files would not honour.
        DeclarationError: if the table is partitioned by other columns.

    """
    with naming(table.table.name):
        _refuse_features(table, partition_by)
        if takes_rows_away and table.configuration.get("delta.appendOnly", "").lower() == "true":
            raise UnsupportedTable(
                "the table has the property delta.appendOnly: its rows may be neither replaced nor deleted.",
                'Write with mode="append", or to another table.',
            )


def _refuse_features(table: TableVersion, partition_by: Sequence[str]) -> None:
    if set(table.partition_by) != set(partition_by):
        raise DeclarationError(
            f"the table is partitioned by {list(table.partition_by)}, and the asset by {list(partition_by)}.",
            "Name the table's columns in partition_by (of a plain asset, in the metadata partition_expr), or "
            "write to another table.",
        )
    configuration = table.configuration
    problems = sorted(table.features - _HONOURED_FEATURES)
    problems += sorted(key for key in configuration if key.startswith("delta.constraints."))
    if configuration.get("delta.columnMapping.mode", "none") != "none":
        problems.append("delta.columnMapping.mode")
    for column, metadata in table.column_metadata.items():
        problems += sorted(
            f"{key} of column {column}"
            for key in metadata
            if key in {"delta.invariants", "delta.generationExpression"} or key.startswith("delta.identity")
        )
    if problems:
        raise UnsupportedTable(
            f"the table uses {', '.join(problems)}, which a transaction here would not honour.",
            "Write to a table without them.",
        )

"""The Delta protocol's table features, and which of them a commit of staged files honours."""

from collections.abc import Sequence

from deltalake import DeltaTable

from practicus_assets.errors import DeclarationError, UnsupportedTable

_HONOURED_FEATURES = {"appendOnly", "changeDataFeed", "checkConstraints", "invariants", "timestampNtz"} | {
    *("v2Checkpoint", "vacuumProtocolCheck", "generatedColumns"),
}


def refuse_unsupported(handle: DeltaTable, partition_by: Sequence[str]) -> None:
    """Refuse a table to which files staged for these partition columns must not be committed.

    Raises:
        UnsupportedTable: for features that a commit of staged files would not honour.
        DeclarationError: if the table is partitioned by other columns.

    """
    existing = handle.metadata().partition_columns
    if existing != list(partition_by):
        raise DeclarationError(
            f"the table is partitioned by {existing}, and partition_by is {list(partition_by)}.",
            "Set partition_by as the table has it, or write to another table.",
        )
    protocol = handle.protocol()
    features = {*(protocol.writer_features or ()), *(protocol.reader_features or ())}
    configuration = handle.metadata().configuration
    problems = sorted(features - _HONOURED_FEATURES)
    problems += sorted(key for key in configuration if key.startswith("delta.constraints."))
    if configuration.get("delta.appendOnly", "").lower() == "true":
        problems.append("delta.appendOnly")
    if configuration.get("delta.columnMapping.mode", "none") != "none":
        problems.append("delta.columnMapping.mode")
    for field_ in handle.schema().fields:
        problems += sorted(
            f"{key} of column {field_.name}"
            for key in field_.metadata
            if key in {"delta.invariants", "delta.generationExpression"} or key.startswith("delta.identity")
        )
    if problems:
        raise UnsupportedTable(
            f"the table uses {', '.join(problems)}, which a transaction here would not honour.",
            "Write to a table without them.",
        )

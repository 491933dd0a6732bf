"""One process of a race in test_deltalake.py: it says it is ready, waits for the start, prints its result."""

import sys

from deltalake import CommitProperties, DeltaTable, Field, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction, create_table_with_add_actions

SCHEMA = Schema([Field("p", PrimitiveType("string")), Field("n", PrimitiveType("long"))])
AT_ONCE = CommitProperties(max_commit_retries=0)


def create(uri: str, add: AddAction) -> str:
    try:
        create_table_with_add_actions(uri, SCHEMA, [add], partition_by=["p"], commit_properties=AT_ONCE)
    except DeltaError:
        return "lost"
    return "won"


def commit(uri: str, add: AddAction, partition: str) -> str:
    handle = DeltaTable(uri)
    while True:
        try:
            handle.create_write_transaction(
                [add],
                "overwrite",
                SCHEMA,
                ["p"],
                partition_filters=[("p", "in", [partition])],
                commit_properties=AT_ONCE,
            )
        except CommitFailedError:
            handle.update_incremental()
        else:
            return "landed"


if __name__ == "__main__":
    task, table_uri, racer = sys.argv[1:]
    action = AddAction(f"{racer}.parquet", 1, {"p": racer}, 0, data_change=True, stats="{}")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(create(table_uri, action) if task == "create" else commit(table_uri, action, racer))

"""A process that writes one partition, or the whole table, when it is told to, for test_transaction."""

import sys

import pyarrow as pa

from practicus_assets.errors import CommitConflict
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from tests.kit import partitions

if __name__ == "__main__":
    root, mode, partition = sys.argv[1:]
    table = Table.at(root, ["t"])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    rows = pa.table({"n": [1, 2, 3]})
    if mode == "append":
        transaction = Transaction(table, options=WriteOptions(partition_by=["p"], mode="append"))
        rows = rows.append_column("p", pa.array([partition] * 3))
    else:
        transaction = Transaction(table, partitions(partition), WriteOptions(partition_by=["p"]))
    try:
        transaction.write(rows)
    except CommitConflict:
        sys.stdout.write("conflict")
    else:
        sys.stdout.write("landed")

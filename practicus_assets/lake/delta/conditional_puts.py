"""Conditional puts: a commit is safe only where the store lets one of two writers of a log entry win."""

import contextlib
import os
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
from deltalake import CommitProperties, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import create_table_with_add_actions

from practicus_assets.errors import DeclarationError, StoreFailed
from practicus_assets.lake.delta.log_files import LogFolder
from practicus_assets.lake.delta.table import Table, TableVersion

PROOF = (
    "practicus_assets/conditional_puts"  # the application id by which a table's log says that it was proven
)

_ROUNDS = 20
_SCHEMA = Schema.from_arrow(pa.schema([("n", pa.int64())]))
_FALSE = {"", "0", "false", "off", "no", "n", "f"}
_proven: set[tuple[str, str, frozenset[tuple[str, str]]]] = set()


def refuse_unsafe_options(table: Table) -> None:
    """Raise DeclarationError for options, or variables of the environment, that make commits unsafe."""
    if table.local_path is not None:
        return
    environment = os.environ if table.uri.startswith(("s3://", "s3a://")) else {}
    for name, value in (*table.storage_options.items(), *environment.items()):
        why = _why_unsafe(name.lower(), value.strip().lower())
        if why:
            where = "the environment" if name not in table.storage_options else "storage_options"
            raise DeclarationError(
                f"{name}={value} in {where} {why}.",
                "Remove it: commits need a store that honours If-None-Match, and no other option.",
            )


def _why_unsafe(name: str, value: str) -> str:
    if name in {"aws_s3_allow_unsafe_rename", "mount_allow_unsafe_rename", "allow_unsafe_rename"}:
        lost = "lets a commit overwrite another of the same version, whose rows are then lost"
        return "" if value in _FALSE else lost
    name = name.removeprefix("aws_")
    if name == "conditional_put" and value not in {"etag", "etag-put-if-not-exists"}:
        return "switches off the conditional puts that commits rely on"
    if name in {"copy_if_not_exists", "s3_locking_provider"} and value:
        return "commits in another way than a conditional put, which writers without it would not see"
    return ""


def prove(table: Table, newest: TableVersion | None) -> None:
    """Make sure that the table's store refuses to create an object twice; costs some requests once a root.

    Two writers create the same small table beside this one's log, by the same calls as a real commit. If one
    is refused by the store, commits are safe; if both succeed, they are not. A round in which one was too
    late to ask the store is repeated.

    Args:
        table: where the next commit goes.
        newest: its newest version; if a commit in it says that the store was proven, that is believed.

    Raises:
        DeclarationError: if the store let both win.
        StoreFailed: if the store failed, or no round told.

    """
    table.refuse_read_only()
    root = (*_root(table), frozenset(table.storage_options.items()))
    if table.local_path is not None or root in _proven:
        return
    if newest is not None and _is_proven(newest):
        _proven.add(root)
        return
    folder = f"_conditional_puts-{uuid.uuid4()}"
    try:
        for number in range(_ROUNDS):
            with table.reaching("a conditional put"), ThreadPoolExecutor(2) as threads:
                start = threading.Barrier(2)
                uri = f"{table.uri}/{folder}/{number}"
                racers = [threads.submit(_create, uri, table.storage_options, start) for _ in range(2)]
                results = [racer.result() for racer in racers]
            if results == ["won", "won"]:
                raise DeclarationError(
                    f"the store of {table.uri} ignores If-None-Match: two writers created the same object, "
                    "so two commits could overwrite each other.",
                    "Use a store that honours it, such as AWS S3, a current MinIO, Azure or GCS.",
                )
            if "refused" in results:
                _proven.add(root)
                return
    finally:
        with contextlib.suppress(OSError, DeltaError, pa.ArrowException):
            table.filesystem().delete_dir(folder)
    raise StoreFailed(
        f"in {_ROUNDS} rounds no two writers at {table.uri} met.", "Run again, on a machine with less to do."
    )


def _is_proven(newest: TableVersion) -> bool:
    """Whether a commit says that the store was proven: mostly the newest one, else all have to be read."""
    actions = LogFolder(newest.table).actions(newest.version) or ()
    if any(action.get("txn", {}).get("appId") == PROOF for action in actions):
        return True
    return newest.transaction_version(PROOF) is not None


def _create(uri: str, storage_options: Mapping[str, str], start: threading.Barrier) -> str:
    """Create a table at the same moment as another thread; return "won", "refused" or "too late"."""
    start.wait()
    try:
        create_table_with_add_actions(
            uri,
            _SCHEMA,
            [],
            mode="error",
            partition_by=[],
            storage_options=dict(storage_options),
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except CommitFailedError:
        return "refused"
    except DeltaError as error:
        if "already exists" not in str(error):
            raise
        return "too late"  # it saw the other's table, and did not ask the store
    return "won"


def _root(table: Table) -> tuple[str, str]:
    scheme, _, rest = table.uri.partition("://")
    return scheme, rest.partition("/")[0]

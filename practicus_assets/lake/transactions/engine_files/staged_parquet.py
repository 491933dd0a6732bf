"""Staged Parquet: where an engine writes the files of one attempt, and what its function returns."""

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from practicus_assets.errors import DataRefused, DeclarationError
from practicus_assets.lake.delta.root import STAGED

if TYPE_CHECKING:
    from practicus_assets.lake.contracts.contract import Contract
    from practicus_assets.lake.transactions.attempt import Attempt
    from practicus_assets.lake.transactions.options import WriteOptions

_SCHEMES = {"s3a": "s3", "s3n": "s3"}  # as Spark calls stores


@dataclass(frozen=True)
class StagedParquet:
    """Parquet files that an engine wrote, as the rows of a table.

    A table function gets one for a parameter that it annotates so. Below its `uri` an engine writes plain
    Parquet; the function returns it, and then the transaction reads, audits and commits these files where
    they lie. They are copied nowhere, and nobody sees them before the commit:

        @table_asset(partition_by=["day"])
        def flights(staged: StagedParquet) -> StagedParquet:
            duckdb.sql(f"COPY (SELECT …) TO '{staged.uri}' (FORMAT parquet, PARTITION_BY (day))")
            return staged

    A file of a partitioned table lies in the folders of its partition, `day=2026-01-01`, as engines write
    them, or has the partition columns inside. The engine has to be done when the function returns.

    Attributes:
        uri: an empty folder of this machine, or a prefix in the lake's store. It belongs to one attempt.
        storage_options: what reaches it, as delta-rs and polars name it, e.g. `AWS_REGION`; never shown.

    """

    uri: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        """Refuse what is no place."""
        if not isinstance(self.uri, str | os.PathLike) or not os.fspath(self.uri):
            raise DeclarationError(
                f"StagedParquet was given {self.uri!r}.",
                "Give it the prefix that the function got: staged.uri.",
            )
        object.__setattr__(self, "uri", str(os.fspath(self.uri)).rstrip("/"))


def begun_below(attempt: "Attempt") -> StagedParquet:
    """Return a new place for an engine's files of an attempt.

    Raises:
        DeclarationError: if the table's folder cannot be made, or its rows are not only added or replaced.
        StoreFailed: if the disk is full or failing.

    """
    refuse_unfit(attempt.options, attempt.contract)
    table, path = attempt.table, f"{_folder(attempt)}/{uuid.uuid4().hex[:8]}"
    table.filesystem()  # makes the table's folder
    if table.local_path is not None:
        with table.reaching("the folder for staged files"):
            (table.local_path / path).mkdir(parents=True)
    return StagedParquet(f"{table.uri}/{path}", table.storage_options)


def path_of(staged: StagedParquet, attempt: "Attempt") -> str:
    """Return the path of an engine's files below the table's folder.

    Raises:
        DataRefused: if they lie elsewhere, as those of another attempt do.

    """
    table = _spelled(attempt.table.uri)
    place = _spelled(staged.uri)
    own = f"{table}/{_folder(attempt)}/"
    if not f"{place}/".startswith(own) or ".." in place.split("/"):
        raise DataRefused(
            f"the function returned StagedParquet({staged.uri!r}), which is no place of this attempt at the "
            f"table: its files lie below {own}.",
            "Annotate a parameter with StagedParquet, write below its uri in each run anew, and return it.",
        )
    return place.removeprefix(f"{table}/")


def refuse_unfit(options: "WriteOptions", contract: "Contract | None") -> None:
    """Raise DeclarationError for a table whose rows do not become its files as they are."""
    advice = "Return the rows as a stream instead, e.g. a pyarrow.RecordBatchReader."
    if options.mode == "history":
        raise DeclarationError(
            'the function takes StagedParquet, and the mode is "history": its rows get further columns.',
            advice,
        )
    if options.mode == "merge" and options.merge_kind != "upsert":
        raise DeclarationError(
            f'the function takes StagedParquet, and merge_kind is "{options.merge_kind}", which leaves some '
            "of the rows out.",
            advice,
        )
    if contract is not None and contract.rejects:
        raise DeclarationError(
            'the function takes StagedParquet, and a rule of the contract has the severity "QUARANTINE", '
            "which takes rows out of the files.",
            f'{advice} Or write the severity "ERROR" or "WARN".',
        )


def _folder(attempt: "Attempt") -> str:
    return f"{STAGED}{attempt.id}"


def _spelled(uri: str) -> str:
    """Return a place as the lake spells it."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri.rstrip("/")
    if scheme == "file":
        return rest.rstrip("/")
    return f"{_SCHEMES.get(scheme, scheme)}://{rest}".rstrip("/")

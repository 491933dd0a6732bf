"""Stores of files: a folder, or a prefix in an object store."""

import datetime as dt
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from practicus_assets.lake.delta.root import resolved
from practicus_assets.parameters import named_parameters
from practicus_assets.sources.credentials import Credential
from practicus_assets.sources.files.declaration import declared_schema, format_of
from practicus_assets.sources.files.formats.compression import Compression
from practicus_assets.sources.files.formats.format import Format
from practicus_assets.sources.files.pattern import Pattern
from practicus_assets.sources.files.relation import FileRelation
from practicus_assets.sources.files.storage_options import refuse_unknown_options
from practicus_assets.sources.system import System

if TYPE_CHECKING:
    from practicus_assets.sources.files.delta_table import DeltaRelation
    from practicus_assets.sources.files.session import FilesSession

_KINDS = {"s3": "s3", "s3a": "s3", "gs": "gcs"}


@named_parameters
@dataclass(frozen=True)
class Files(System):
    """A folder of files, or a prefix in an object store.

        lake = Files("s3://bucket/raw", storage_options={"AWS_ACCESS_KEY_ID": dg.EnvVar("RAW_KEY"), ...})
        weather = lake.files("weather/*.csv.gz", columns={"origin": "string", "temp": "float64"})

    Args:
        root_uri: a folder, or `s3://`, `gs://`, `az://` and their like.
        storage_options: those of delta-rs, as a lake has them; their values are texts, `dg.EnvVar` or the
            `Path` of a file that holds the value.

    Raises:
        DeclarationError: for a place that cannot be used, or an option that does not exist.

    """

    kind: ClassVar[str] = "file"

    root_uri: str | os.PathLike[str]
    storage_options: Mapping[str, Credential] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        """Refuse a place that cannot be used."""
        _ = self.address
        refuse_unknown_options(self.storage_options)
        object.__setattr__(self, "root_uri", os.fspath(self.root_uri))
        object.__setattr__(self, "storage_options", dict(self.storage_options))
        object.__setattr__(self, "kind", self._kind)

    @property
    def _kind(self) -> str:
        scheme, found, _ = self.address.partition("://")
        return _KINDS.get(scheme, "azure") if found else "file"

    @property
    def address(self) -> str:
        """The folder's absolute path, or the prefix in the object store."""
        return resolved(self.root_uri, what="the root of the files")

    def session(self, state: str | None = None) -> "FilesSession":
        """Return a session; files are listed in it when they are first asked for, and once."""
        from practicus_assets.sources.files.session import FilesSession  # noqa: PLC0415 definitions do without

        return FilesSession(self.address, self.storage_options, state)

    @named_parameters
    def files(
        self,
        pattern: str,
        format: str | Format | None = None,  # noqa: A002 what users call it
        *,
        columns: Any = None,
        compression: Compression | Literal["none"] | None = None,
        no_column: Literal["refuse", "null"] = "refuse",
        no_files: Literal["refuse", "empty"] = "refuse",
    ) -> FileRelation:
        """Return the rows of files as one relation.

            lake.files("orders/day={day}/*.parquet")
            lake.files("weather/{day:%Y/%m/%d}.csv.gz", CSV(delimiter=";"), columns={"temp": "float64"})

        Args:
            pattern: which files, by their paths below the root: `*`, `?` and `[abc]` within a name, `**` for
                any folders, `{day}` for the value of a partition key, and `{day:%Y-%m-%d}` for a date or time
                that is written like this. The keys are columns of the rows.
            format: `"parquet"`, `"csv"`, `"json"` (one object per line), `"arrow"`, or `CSV(…)` with how it
                is written; by default as the end of the pattern says.
            columns: the columns to read with their types, as contracts declare them, and no other ones; keys
                of the pattern only where they are not texts or dates. Without, they are those of all files
                together; columns of CSV are then texts, and JSON has to be declared.
            compression: `"gzip"`, `"zstd"`, `"bz2"`, `"lz4"`, `"zip"` (of one file) or `"none"`; by default
                as the end of each file's name says.
            no_column: what to do with a declared column that some file lacks.
            no_files: what to do with a partition, or a whole table, that has no files.

        Raises:
            DeclarationError: for a pattern, a format or columns that are none.

        """
        parsed = Pattern(pattern)
        return FileRelation(
            self,
            parsed,
            format_of(format, pattern),
            declared_schema(columns),
            compression,
            no_column,
            no_files,
        )

    @named_parameters
    def delta(self, path: str, version: int | dt.datetime | None = None) -> "DeltaRelation":
        """Return the rows of a Delta table that others write, at one version.

        Args:
            path: the table's folder below the root; `""` for the root itself.
            version: the version's number, or a moment with a time zone; by default the newest when a run
                first reads it.

        Raises:
            DeclarationError: for a path that leaves the root.

        """
        from practicus_assets.sources.files.delta_table import DeltaRelation  # noqa: PLC0415 definitions do without

        return DeltaRelation(self, path, version)

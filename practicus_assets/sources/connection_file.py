"""Connection files: the exports of Practicus AI that say where a table is, with the login."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.sources.credentials import Credential, Variable
from practicus_assets.wording import names_of

_COMMON = {"connection_type", "uuid", "column_list", "filter", "sampling_method", "sample_size"}
_FILE = {"file_path"}
_RELATIONAL = {"sql_query", "db_host", "db_name", "db_port", "user", "password"}
_S3 = {
    "aws_region",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "endpoint_url",
    "s3_bucket",
    "s3_keys",
}
_FIELDS = {
    "POSTGRESQL": _RELATIONAL,
    "MYSQL": _RELATIONAL,
    "S3": _S3,
    "LOCAL_FILE": _FILE,
    "WORKER_FILE": _FILE,
}
_REQUIRED = {
    "POSTGRESQL": ("db_host", "db_name", "user"),
    "MYSQL": ("db_host", "db_name", "user"),
    "S3": ("s3_bucket", "s3_keys"),
    "LOCAL_FILE": ("file_path",),
    "WORKER_FILE": ("file_path",),
}
# what AI Studio and its workers remember, and what only writing needs: no row depends on it
_WITHOUT_EFFECT = {
    "is_enriched",
    "ws_uuid",
    "ws_name",
    "sample_size_app",
    "chunk_size",
    "prefer_db_api",
    "target_table_name",
    "target_schema",
    "target_table_if_exists",
    "default_prefix",
}
_CREDENTIALS = ("user", "password", "aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_NOT_GIVEN: tuple[object, ...] = (None, "", "None", [])

_UNLOAD = "Unload the query to object storage as Parquet, and read that with Files(…)."
_BY_DRIVER = "Read it with its own driver in the function of the asset, as a stream of Arrow batches."
_BY_FILES = "Where its tables are Parquet files or Delta tables on a store, read those with Files(…)."
_WITHOUT_COUNTERPART = {
    "REDSHIFT": _UNLOAD,
    "SNOWFLAKE": _UNLOAD,
    "DYNAMODB": "Export the table to S3, and read that with Files(…).",
    "COCKROACHDB": _UNLOAD,
    "HIVE": _BY_FILES,
    "ATHENA": _BY_FILES,
    "TRINO": _BY_FILES,
    "DREMIO": _BY_FILES,
    "CLOUDERA": _BY_FILES,
    "SQLITE": _BY_DRIVER,
    "MSSQL": _BY_DRIVER,
    "ORACLE": _BY_DRIVER,
    "HANA": _BY_DRIVER,
    "TERADATA": _BY_DRIVER,
    "DB2": _BY_DRIVER,
    "ELASTICSEARCH": _BY_DRIVER,
    "OPENSEARCH": _BY_DRIVER,
    "CUSTOM_DB": _BY_DRIVER,
    "IN_MEMORY": "Let the task that has it return it: the function of an asset, whose table others read.",
}
_LONGEST_PORT = 65_535
_WHOLE_TABLE = re.compile(r"\s*select\s+\*\s+from\s+([a-z_]\w*(?:\.[a-z_]\w*)?)\s*;?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class ConnectionFile:
    """What a connection file says, checked, with the credentials that are in it.

    Attributes:
        path: where the file is.
        connection_type: its type, in capitals.
        columns: the columns to read, in their order; none for all.
        fields: its other fields, without those that are not given.

    """

    path: Path
    connection_type: str
    columns: tuple[str, ...]
    fields: Mapping[str, Any] = field(repr=False)

    @property
    def table_name(self) -> str:
        """The name of the table by the file's own: `orders` of `orders_conn.json`."""
        return self.path.name.removesuffix(".json").removesuffix("_conn")

    @property
    def whole_table(self) -> str | None:
        """The table whose rows and columns the query gives, all of them; None for any other query."""
        written = _WHOLE_TABLE.fullmatch(self.fields.get("sql_query", ""))
        return written[1] if written is not None else None


def read_connection_file(
    path: str | Path, credentials: Mapping[str, Credential] | None = None
) -> ConnectionFile:
    """Return what a connection file says.

    Args:
        path: where it is.
        credentials: the login, by the file's own names for it, where the file has none or another one.

    Raises:
        DeclarationError: if it cannot be read, is of a type that has no counterpart, or asks for what would
            change the rows; the error names fields, and no credential.

    """
    path = Path(path)
    given = _given(path)
    kind = str(given.pop("connection_type", "")).upper()
    if kind not in _FIELDS:
        raise _without_counterpart(path, kind)
    fields = _FIELDS[kind]
    for name, credential in (credentials or {}).items():
        if name not in fields or name not in _CREDENTIALS:
            own = [known for known in _CREDENTIALS if known in fields]
            raise DeclarationError(
                f"credentials of {path} name {name!r}, which a connection of type {kind} has not.",
                did_you_mean(name, own, f"It has {', '.join(own)}." if own else "It needs no credentials."),
            )
        given[name] = credential
    _refuse_sampling(path, given)
    _refuse_filter(path, given, kind)
    known = {*_COMMON, *fields, *_WITHOUT_EFFECT}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise DeclarationError(
            f"{path} has the {names_of('field', unknown)}, which nothing here reads.",
            did_you_mean(unknown[0], known, "Remove what has no effect, or declare the source by hand."),
        )
    _refuse_missing(path, kind, given)
    columns = given.pop("column_list", ())
    if not _is_texts(columns):
        raise DeclarationError(
            f"{path} has a column_list that is no list of names.", "Write a list of texts."
        )
    return ConnectionFile(
        path,
        kind,
        tuple(columns),
        {name: _checked(path, name, value) for name, value in given.items() if name in fields},
    )


def _given(path: Path) -> dict[str, Any]:
    """Return the fields of a file that are given: Practicus writes null, "" or "None" for what is not."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DeclarationError(
            f"there is no connection file {path}.", "A relative path is below the folder of the process."
        ) from None
    except json.JSONDecodeError as error:
        raise DeclarationError(
            f"{path} is no JSON: {error.msg} in line {error.lineno}, column {error.colno}.",
            "Export the connection again.",
        ) from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise DeclarationError(f"{path} cannot be read: {type(error).__name__}.") from None
    if not isinstance(content, dict) or not content.get("connection_type"):
        raise DeclarationError(
            f"{path} is no connection file: it has no connection_type.",
            "A worker's configuration is another file; AI Studio exports connections as <table>_conn.json.",
        )
    return {name: value for name, value in content.items() if value not in _NOT_GIVEN}


def _without_counterpart(path: Path, kind: str) -> DeclarationError:
    every = f"Sources are read from {', '.join(_FIELDS)}."
    if kind in _WITHOUT_COUNTERPART:
        return DeclarationError(
            f"{path} is a connection of type {kind}, which has no counterpart here.",
            f"{_WITHOUT_COUNTERPART[kind]} {every}",
        )
    return DeclarationError(
        f"{path} is a connection of the unknown type {kind!r}.",
        did_you_mean(kind, [*_FIELDS, *_WITHOUT_COUNTERPART], every),
    )


def _refuse_sampling(path: Path, given: dict[str, Any]) -> None:
    """Refuse to read some rows only: what is computed from a sample is not the table."""
    method = str(given.pop("sampling_method", "")).upper()
    sampled = "sampling_method" if method not in ("", "ALL") else "sample_size" if not method else ""
    if sampled == "sample_size" and "sample_size" not in given:
        sampled = ""
    given.pop("sample_size", None)
    if sampled:
        raise DeclarationError(
            f"{path} asks for a sample of the rows, by {sampled}, and a source gives all of them.",
            'Write "sampling_method": "ALL", and take a sample in the function of an asset.',
        )


def _refuse_filter(path: Path, given: Mapping[str, Any], kind: str) -> None:
    if "filter" in given:
        place = "as WHERE into its sql_query" if _FIELDS[kind] is _RELATIONAL else "in an asset's function"
        raise DeclarationError(
            f"{path} has a filter, whose language is AI Studio's own.",
            f"Write it {place}, and remove it here.",
        )


def _refuse_missing(path: Path, kind: str, given: Mapping[str, Any]) -> None:
    missing = [name for name in _REQUIRED[kind] if name not in given]
    if missing and "uuid" in given:
        raise DeclarationError(
            f"{path} refers to a connection of the catalog of Practicus by its uuid, and has no "
            f"{' and no '.join(missing)} itself.",
            "Write these fields into the file, and give the login with credentials={…}.",
        )
    if missing:
        raise DeclarationError(
            f"{path} is a connection of type {kind}, and lacks the {names_of('field', missing)}.",
            "Give the login with credentials={…}." if missing == ["user"] else "Export the connection again.",
        )
    if _FIELDS[kind] is _RELATIONAL and "sql_query" not in given:
        is_target = "target_table_name" in given
        raise DeclarationError(
            f"{path} has no sql_query, so that nobody knows what to read."
            if not is_target
            else f"{path} says where a table is written, and not what is read: it has no sql_query.",
            "Write it: SELECT * FROM the table."
            if not is_target
            else "Export the table with export_asset(…); a source needs the file whose name has no _save.",
        )


def _checked(path: Path, name: str, value: Any) -> Any:
    """Return the value of a field as it is used.

    Raises:
        DeclarationError: naming the field, if its value is of another type.

    """
    check, expected = _CHECKS.get(name, (_text, "a text"))
    checked = value if isinstance(value, Variable | Path) else check(value)
    if checked is None:
        raise DeclarationError(
            f"the field {name} of {path} is not {expected}.", "Export the connection again."
        )
    return checked


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _port(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and 1 <= int(text) <= _LONGEST_PORT else None


def _keys(value: Any) -> list[str] | None:
    return value if _is_texts(value) and all(value) else None


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)


_CHECKS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "db_port": (_port, f"a number from 1 to {_LONGEST_PORT:,}"),
    "s3_keys": (_keys, "a list of keys"),
}

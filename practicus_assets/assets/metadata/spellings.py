"""Spellings: the settings in metadata, in our words or in those of other Delta IO managers.

Other managers' words have no prefix, so one of them is a setting only where its value is one that such a
manager would take: `{"mode": "append"}` is a setting, and `{"mode": "nightly"}` is the author's own.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

import dagster as dg

from practicus_assets.assets.report import names
from practicus_assets.errors import DeclarationError
from practicus_assets.wording import readable

_MODES = {"replace", "overwrite", "append", "merge", "error", "ignore", "create_or_replace"}
_SCHEMA_MODES = {"merge", "overwrite"}
_KEYS_COMPARED = re.compile(
    r"""\s*(?:\w+\.)?[`"]?(\w+)[`"]?\s*==?\s*(?:\w+\.)?[`"]?\1[`"]?\s*(?:\s+and\s+|$)""", re.IGNORECASE
)

_OF_PLACES = ("schema", "table", "root_name")
# of dagster-delta: what the function may say of its own run
OF_RUNS = {
    "mode",
    "schema_mode",
    "commit_properties",
    "merge_predicate",
    "merge_operations_config",
    "writer_properties",
}


def plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata as plain values: those inside of Dagster's entries and of enumerations."""
    return {name: _plain(value) for name, value in metadata.items()}


def ours(metadata: Mapping[str, Any], words: Iterable[str] | None = None) -> dict[str, Any]:
    """Return an asset's metadata with the settings of other IO managers under our names.

    Args:
        metadata: the metadata.
        words: the words of other managers that are looked for; by default all of them.

    Raises:
        DeclarationError: for a setting that cannot be meant here, with what to write instead; for one that is
            said twice and in two ways.

    """
    entries = plain(metadata)
    options = entries.get("delta_write_options")
    if words is None and isinstance(options, Mapping):
        entries = {**_write_options(options), **entries}
    translated = {name: value for name, value in entries.items() if name.startswith("delta/")}
    rest = {name: value for name, value in entries.items() if name not in translated}
    for name in sorted(_TRANSLATIONS if words is None else set(words)):
        if name not in rest:
            continue
        for key, value in _TRANSLATIONS[name](rest[name]).items():
            given = translated.setdefault(key, value)
            if given not in (value, rest[name]):
                raise DeclarationError(
                    f"the metadata say both {key}={given!r} and {name}={rest[name]!r}.",
                    f"Leave out {name!r}.",
                )
    return {**rest, **translated}


def refuse_of_no_asset(metadata: Mapping[str, Any], output: str) -> None:
    """Raise DeclarationError for metadata by which an op's output that is no asset would be a table.

    Args:
        metadata: the metadata of the output's definition.
        output: what errors call the output.

    """
    entries = {name: value for name, value in plain(metadata).items() if name not in _OF_PLACES}
    settings = [name for name in ours(entries) if name.startswith("delta/") or name == names.PARTITION_EXPR]
    settings += [name for name in _OF_PLACES if isinstance(_plain(metadata.get(name)), str)]
    if settings:
        raise DeclarationError(
            f"{output} is no asset, so it is handed to the next op as it is, and its metadata ask for a "
            f"table: {settings[0]}.",
            "Make it the output of a @dg.graph_asset or a @dg.asset. If the entry is your own, rename it.",
        )


def _plain(value: Any) -> Any:
    if isinstance(value, dg.MetadataValue):
        value = value.value
    return value.value if isinstance(value, Enum) else value


def _write_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `delta_write_options` of dagster-polars say, each as an entry of its own."""
    renamed = {"configuration": "table_configuration"}
    entries = {renamed.get(name, name): _plain(value) for name, value in options.items()}
    for name, value in entries.items():
        if name not in {"schema_mode", "partition_by", "table_configuration", "commit_properties"}:
            raise _refused(f"delta_write_options[{name!r}]", value, "Leave it out.")
    return entries


def _mode(value: Any) -> dict[str, Any]:
    known = isinstance(value, str) and value in _MODES
    return {names.MODE: "replace" if value == "overwrite" else value} if known else {}


def _schema_mode(value: Any) -> dict[str, Any]:
    known = isinstance(value, str) and value in _SCHEMA_MODES
    return {names.ON_SCHEMA_CHANGE: "add" if value == "merge" else "replace"} if known else {}


def _overwrite_schema(value: Any) -> dict[str, Any]:
    return {names.ON_SCHEMA_CHANGE: "replace"} if value is True else {}


def _partition_by(value: Any) -> dict[str, Any]:
    return {names.PARTITION_BY: value} if isinstance(value, str | list | Mapping) else {}


def _commit_metadata(value: Any) -> dict[str, Any]:
    return {names.COMMIT_METADATA: dict(value)} if isinstance(value, Mapping) else {}


def _commit_properties(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {}
    others = sorted(name for name in value if name != "custom_metadata")
    if others:
        raise _refused(
            f"commit_properties[{others[0]!r}]",
            value[others[0]],
            "A transaction tries again by itself, and has an identifier of its own. Leave it out.",
        )
    return _commit_metadata(value.get("custom_metadata"))


def _table_configuration(value: Any) -> dict[str, Any]:
    return {names.TABLE_PROPERTIES: dict(value)} if isinstance(value, Mapping) and value else {}


def _merge_predicate(value: Any) -> dict[str, Any]:
    if not isinstance(value, str):
        return {}
    keys = [match[1] for match in _KEYS_COMPARED.finditer(value)]
    example = keys if keys and not _KEYS_COMPARED.sub("", value) else ["id"]
    raise _refused(
        "merge_predicate",
        value,
        f'A merge compares columns: write "delta/mode": "merge", "delta/merge_keys": {example!r}.',
    )


def _refusal(name: str, kinds: type | tuple[type, ...], advice: str) -> Callable[[Any], dict[str, Any]]:
    """Return the translation of a word that has none: it refuses values of these types."""

    def refuse(value: Any) -> dict[str, Any]:
        if isinstance(value, kinds) and not (isinstance(value, bool) and bool not in _types(kinds)):
            raise _refused(name, value, advice)
        return {}

    return refuse


def _types(kinds: type | tuple[type, ...]) -> tuple[type, ...]:
    return kinds if isinstance(kinds, tuple) else (kinds,)


def _refused(name: str, value: Any, advice: str) -> DeclarationError:
    return DeclarationError(
        f"the metadata have {name}={readable(value)}, a setting of another IO manager that has no "
        "counterpart here.",
        advice,
    )


_SAMPLES = (
    "DeltaIOManager(sample_rows=…) says how many rows are shown, of all tables. If the entry is your own, "
    "rename it."
)
_TRANSLATIONS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "mode": _mode,
    "schema_mode": _schema_mode,
    "overwrite_schema": _overwrite_schema,
    "partition_by": _partition_by,
    "custom_metadata": _commit_metadata,
    "commit_properties": _commit_properties,
    "table_configuration": _table_configuration,
    "merge_predicate": _merge_predicate,
    "merge_operations_config": _refusal(
        "merge_operations_config",
        (Mapping, dg.Config),
        "Read the table as an input of its own asset, compute the rows that it shall have, and return them "
        'with "delta/mode": "replace".',
    ),
    "writer_properties": _refusal(
        "writer_properties",
        Mapping,
        "Files are written with Zstandard, in row groups of 131,072 rows. Leave it out.",
    ),
    "descriptions": _refusal(
        "descriptions",
        Mapping,
        "Columns are described in the contract of a @table_asset: Column(description=…). If the entry is "
        "your own, rename it.",
    ),
    "n_rows": _refusal("n_rows", int, _SAMPLES),
    "fraction": _refusal("fraction", float, _SAMPLES),
}

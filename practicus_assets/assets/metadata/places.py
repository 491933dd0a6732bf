"""Places: the folder of an asset's table, below the root of its lake."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from practicus_assets.assets.metadata.spellings import plain
from practicus_assets.assets.report import names
from practicus_assets.errors import DeclarationError
from practicus_assets.wording import enumerated

OWN_KEY = "{key}"
OP_OUTPUTS = "_outputs"
ARTIFACTS = "_artifacts"
_TAKEN = {OP_OUTPUTS: "op outputs", ARTIFACTS: "artifacts of tasks"}
_FIELD = re.compile(r"\{([^{}]*)\}")
_FIELDS = {"key", "schema", "name"}
_OF_OTHERS = {"schema": "schema", "root_name": "name"}  # the words of other IO managers, and what they fill
_NO_SCHEMA = "public"  # what other IO managers call the folder of an asset whose key has no prefix


def refuse_pattern(table_path: str) -> None:
    """Raise DeclarationError for a `table_path` by which tables would have no place, or one for all."""
    fields = _FIELD.findall(table_path)
    unknown = sorted({*fields} - _FIELDS)
    if unknown or re.search(r"[{}]", _FIELD.sub("", table_path)) or not {"key", "name"} & {*fields}:
        raise DeclarationError(
            f"table_path is {table_path!r}.",
            'Write "{key}" for the parts of the asset key, joined by "/"; or its last part, "{name}", below '
            'the one before it, "{schema}/{name}".',
        )


def place(table_path: str, key: dg.AssetKey, metadata: Mapping[str, Any]) -> list[str]:
    """Return the parts of the path of an asset's table, below the lake's root.

    Args:
        table_path: the lake's pattern: with `{key}`, the parts of the asset key, or with `{name}`, the last
            of them, and `{schema}`, the one before it.
        key: the asset's key.
        metadata: those of the asset's definition, of which `delta/path` says the path itself. Where the
            pattern has `{schema}` or `{name}`, `schema` and `root_name` say what these are, as elsewhere.

    Raises:
        DeclarationError: for a path that is no text; for `schema` or `root_name` where nothing asks for them.

    """
    said = plain(metadata)
    path = said.get(names.PATH)
    if path is not None:
        if not isinstance(path, str) or not path:
            raise DeclarationError(f"{names.PATH} is {path!r}.", f'Write {{{names.PATH!r}: "sales/orders"}}.')
        return path.split("/")
    if any("/" in part for part in key.path):
        return list(key.path)  # which are no folders
    parts = {
        "key": "/".join(key.path),
        "name": key.path[-1],
        "schema": key.path[-2] if len(key.path) > 1 else _NO_SCHEMA,
    }
    for word, field in _OF_OTHERS.items():
        value = said.get(word)
        if not isinstance(value, str) or not value:
            continue
        if f"{{{field}}}" not in table_path:
            parts[field] = value
            raise DeclarationError(
                f"the metadata have {word}={value!r}, by which other IO managers choose a table's folder; "
                f"the lake's tables lie at {table_path!r}.",
                f'Write {{{names.PATH!r}: "{parts["schema"]}/{parts["name"]}"}}, or '
                'DeltaIOManager(…, table_path="{schema}/{name}") for all tables. If the entry is your own, '
                "rename it.",
            )
        parts[field] = value
    return _FIELD.sub(lambda match: parts[match[1]], table_path).split("/")


def refuse_place(key: dg.AssetKey) -> None:
    """Raise DeclarationError for the key of an asset whose table would lie where no tables are."""
    if key.path[0] in _TAKEN:
        raise DeclarationError(
            f"asset key {key.to_user_string()} begins with {key.path[0]}, the place of "
            f"{_TAKEN[key.path[0]]}.",
            "Rename the asset.",
        )


def refuse_shared(table_path: str, io_manager_key: str, nodes: Iterable[Any]) -> None:
    """Raise DeclarationError for two assets of one lake whose tables would be one.

    Args:
        table_path: the lake's pattern.
        io_manager_key: the lake's resource key.
        nodes: the nodes of assets, each with `key`, `metadata` and whether it `is_materializable`.

    """
    owners: dict[str, dg.AssetKey] = {}
    for node in nodes:
        if not node.is_materializable or node.metadata.get(names.IO_MANAGER_KEY) != io_manager_key:
            continue
        try:
            path = "/".join(place(table_path, node.key, node.metadata))
        except DeclarationError:  # which that asset's own run says
            continue
        owner = owners.setdefault(path, node.key)
        if owner != node.key:
            raise shared(path, [owner, node.key])


def shared(path: str, keys: Iterable[dg.AssetKey]) -> DeclarationError:
    """Return the error that assets share a table, of which each would replace the other's rows."""
    owners = sorted(key.to_user_string() for key in keys)
    return DeclarationError(
        f"the tables of {enumerated(owners)} are one, {path}: each would replace the other's rows.",
        "Make them one asset with all the partitions, or give each a place of its own.",
    )

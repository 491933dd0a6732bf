"""Documents: files of the Open Data Contract Standard, as the objects of its package."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.lake.contracts.odcs.left_out import Notes
from practicus_assets.wording import enumerated, in_short, readable

API_VERSION = "v3.1.0"
_NUMBERS = ("version", "apiVersion", "id")  # texts that people write without quotes
_LONGEST = 300


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # where it is compiled, ten times as fast


class Loader(_SafeLoader):  # type: ignore[misc] # PyYAML has no types
    """Reads YAML as the standard means it: dates are texts, and no key stands twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 as in PyYAML
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 PyYAML's signature
        """Return a mapping, each of whose keys stands once."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None and twice != "<<":
            line = node.start_mark.line + 1
            raise DeclarationError(f"{twice!r} stands twice in what begins in line {line}.", "Remove one.")
        return super().construct_mapping(node, deep)


def package() -> Any:
    """Return the package of the standard.

    Raises:
        DeclarationError: if it is not installed.

    """
    try:
        from open_data_contract_standard import model  # noqa: PLC0415 an extra
    except ImportError as error:
        raise DeclarationError(
            "contracts in files need the package open-data-contract-standard.",
            "pip install 'practicus-assets[odcs]'",
        ) from error
    return model


def text_of(source: Any) -> tuple[str, str]:
    """Return the text of a file, or a text itself, and what it is called in errors.

    Args:
        source: the path of a file, or a text of several lines.

    Raises:
        DeclarationError: if it is neither, or the file cannot be read.

    """
    if isinstance(source, str) and "\n" in source:
        return source, "the contract"
    if not isinstance(source, str | Path):
        raise DeclarationError(
            f"{readable(source)} is no file of a contract.", "Give the path of a file, or its text."
        )
    try:
        return Path(source).read_text(encoding="utf-8"), str(source)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DeclarationError(
            f"{source} cannot be read: {reason}.", "Give the path of a file, or its text."
        ) from error


def parsed(text: str, name: str) -> tuple[Any, dict[str, Any]]:
    """Return a text as the package's object, and as it stands in the file.

    Args:
        text: the YAML.
        name: what it is called in errors.

    Raises:
        DeclarationError: if it is no YAML, or no contract of the third version of the standard.

    """
    model = package()
    try:
        data = yaml.load(text, Loader)  # noqa: S506 a SafeLoader
    except yaml.YAMLError as error:
        raise DeclarationError(f"{name} is no YAML: {in_short(str(error), _LONGEST)}.") from error
    except DeclarationError as error:
        raise DeclarationError(f"{name}: {error.problem}", error.advice) from None
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise DeclarationError(
            f"{name} is no contract: it is {in_short(readable(data), _LONGEST)}.",
            f"A contract begins with apiVersion: {API_VERSION} and kind: DataContract.",
        )
    data |= {key: str(data[key]) for key in _NUMBERS if isinstance(data.get(key), int | float)}
    _refuse_other_standard(data, name)
    top = model.OpenDataContractStandard
    names = _aliases(top)
    try:
        document = top(**{key: value for key, value in data.items() if key in names})
    except ValueError as error:  # pydantic's is one
        raise DeclarationError(
            f"{name} does not keep the standard: {_first_mistake(error)}.",
            "The standard is at bitol-io.github.io/open-data-contract-standard.",
        ) from error
    return document, data


def note_unknown(document: Any, data: Mapping[str, Any], one: Any, notes: Notes) -> None:
    """Note the keys that the standard does not have: those of a table may be promises that are misspelt."""
    for where, key, fields in _unknown({**data, "schema": None}, document, ""):
        notes.documentation(f"{where}{key}", _no_key(key, fields))
    position = next(i for i, other in enumerate(document.schema_) if other is one)
    for where, key, fields in _unknown(data["schema"][position], one, ""):
        notes.promise(f"{where}{key}", _no_key(key, fields))


def _no_key(key: str, fields: Sequence[str]) -> str:
    return f"no key of the standard. {did_you_mean(key, fields)}".rstrip(" .")


def chosen(document: Any, table: str | None, name: str) -> Any:
    """Return the table of a document that has a name, or its only one.

    Raises:
        DeclarationError: if there is none, or several and no name is given.

    """
    tables = document.schema_ or []
    if not tables:
        raise DeclarationError(f"{name} has no schema, and so no table.", "Describe its columns there.")
    names = [name_of(one) for one in tables]
    if table is None and len(tables) == 1:
        return tables[0]
    if table is None:
        raise DeclarationError(
            f"{name} has the tables {enumerated(names)}.", f'Choose one: table="{names[0]}".'
        )
    for one in tables:
        if table in {one.name, one.physicalName}:
            return one
    raise DeclarationError(
        f"{name} has no table {table!r}; it has {enumerated(names)}.", did_you_mean(table, names)
    )


def name_of(one: Any) -> str:
    """Return the name that a table or a column has in the store, else in the document."""
    return str(one.physicalName or one.name or "")


def _refuse_other_standard(data: Mapping[str, Any], name: str) -> None:
    version, kind = data.get("apiVersion"), data.get("kind")
    if kind not in {None, "DataContract"} or not isinstance(version, str) or not version.startswith("v3"):
        raise DeclarationError(
            f"{name} has the kind {kind!r} and the apiVersion {version!r}.",
            f"The third version of the standard is read: kind: DataContract, apiVersion: {API_VERSION}.",
        )


def _first_mistake(error: ValueError) -> str:
    """Return where the first mistake is, and which, without the values beside it."""
    details = getattr(error, "errors", None)
    if details is None:
        return str(error)
    first = details(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _aliases(model: Any) -> dict[str, str]:
    """Return the attributes of a class of the package by the keys that they have in files."""
    return {(field.alias or name): name for name, field in model.model_fields.items()}


def _unknown(data: Any, found: Any, where: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the place, the name, and the neighbours that exist, of each key that the package did not take."""
    if isinstance(data, list) and isinstance(found, list):
        for position, (part, part_found) in enumerate(zip(data, found, strict=False)):
            label = part.get("name") if isinstance(part, dict) else None
            yield from _unknown(part, part_found, f"{where}{label or position}.")
    if not isinstance(data, dict) or not hasattr(type(found), "model_fields"):
        return
    names = _aliases(type(found))
    for key, value in data.items():
        if key in names:
            beside = "" if key in {"schema", "properties"} else f"{key}."
            yield from _unknown(value, getattr(found, names[key]), f"{where}{beside}")
        else:
            yield where, str(key), list(names)

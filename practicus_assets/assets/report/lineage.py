"""Lineage in the catalog: the columns that a table's columns come from, and the code that makes it."""

import inspect
import os
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import dagster as dg

from practicus_assets.assets.report.names import CODE_REFERENCES
from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.lake.contracts.contract import Contract

_PACKAGE = f"{Path(__file__).parents[2]}{os.sep}"


def column_lineage(contract: Contract | None) -> dg.TableColumnLineage | None:
    """Return what a contract says of the columns that its own come from; None if it says nothing."""
    columns = contract.columns if contract is not None else {}
    lineage = {
        name: [
            dg.TableColumnDep(dg.AssetKey(table.split("/")), source)
            for table, source in column.source_columns
        ]
        for name, column in columns.items()
        if column.source_columns
    }
    return dg.TableColumnLineage(lineage) if lineage else None


def refuse_strangers(asset: str, contract: Contract | None, upstream: Collection[dg.AssetKey]) -> None:
    """Raise DeclarationError for a column that comes from a table which the asset does not read.

    Args:
        asset: the asset's name.
        contract: the asset's contract.
        upstream: the keys of the assets that it depends on.

    """
    tables = sorted(key.to_user_string() for key in upstream)
    for name, column in (contract.columns if contract is not None else {}).items():
        for table, _ in column.source_columns:
            if table not in tables:
                raise DeclarationError(
                    f"column {name!r} of {asset} comes from {table!r}, which {asset} does not depend on.",
                    did_you_mean(table, tables, f"It depends on {', '.join(tables) or 'no table'}."),
                )


def code_reference(function: Callable[..., Any]) -> dg.CodeReferencesMetadataValue | None:
    """Return the file and the line in which a function begins; None for one that is in no file.

    They are those of the process that loads the definitions. The file is not read.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None or code.co_filename.startswith("<"):
        return None
    return file_reference(Path(code.co_filename).absolute(), code.co_firstlineno)


def file_reference(file: Path, line: int) -> dg.CodeReferencesMetadataValue:
    """Return the reference to a line of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        place = dg.LocalFileCodeReference(file_path=str(file), line_number=line)
        return dg.CodeReferencesMetadataValue(code_references=[place])


def without_package(spec: dg.AssetSpec) -> dg.AssetSpec:
    """Return a spec without references to this package, which Dagster finds at every table asset."""
    references = spec.metadata.get(CODE_REFERENCES)
    if not isinstance(references, dg.CodeReferencesMetadataValue):
        return spec
    places = [p for p in references.code_references if not getattr(p, "file_path", "").startswith(_PACKAGE)]
    if len(places) == len(references.code_references):
        return spec
    metadata = {**spec.metadata, CODE_REFERENCES: dg.CodeReferencesMetadataValue(code_references=places)}
    return spec.replace_attributes(metadata=metadata)

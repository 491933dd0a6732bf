"""What code locations define, read without a word of theirs on standard output."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import dagster as dg

from practicus_assets.assets.catalog import TableEntry, chosen
from practicus_assets.assets.locations import tables_of
from practicus_assets.cli.answers import output
from practicus_assets.cli.remembered import MOST_PARTITIONS, remember
from practicus_assets.code_location import CodeLocation, selected
from practicus_assets.definitions import definitions_of, loading
from practicus_assets.errors import DeclarationError, TableNotFound, naming

_LOADING = "Loading definitions"


def tables(locations: Sequence[CodeLocation], names: Sequence[str]) -> list[TableEntry]:
    """Return the tables of these names, or all of the code locations if there are none.

    Raises:
        DeclarationError: if a code location cannot be loaded, or lacks a name.

    """
    # what the author's code prints is no output of the command
    with output.waiting(_LOADING), redirect_stdout(sys.stderr):
        entries = tables_of(locations, names)
        remember_names(locations, entries.values())
        return chosen(entries, names)


def remember_names(locations: Sequence[CodeLocation], entries: Iterable[TableEntry]) -> None:
    """Remember names of tables and partitions for completion, if people see this: at a terminal."""
    if not sys.stderr.isatty():
        return
    partitions: dict[dg.PartitionsDefinition[Any] | None, list[str]] = {None: []}
    names = {}
    for entry in entries:
        definition = entry.partitions_def
        if definition is not None and definition not in partitions:
            partitions[definition] = _newest(definition)
        names[entry.label] = partitions[definition]
    remember(locations, names)


def _newest(partitions_def: dg.PartitionsDefinition[Any]) -> list[str]:
    """Return the newest keys; none of those that an instance knows."""
    try:
        if _has_end(partitions_def):
            return list(map(str, partitions_def.get_partition_keys()[-MOST_PARTITIONS:][::-1]))
        with dg.partition_loading_context() as context:
            page = partitions_def.get_paginated_partition_keys(context, MOST_PARTITIONS, ascending=False)
            return list(map(str, page.results))
    except Exception:  # noqa: BLE001 of definitions by others; completion is no reason to end a command
        return []


def here(locations: Sequence[CodeLocation]) -> CodeLocation:
    """Return the only code location, whose definitions this process can load, with their contracts.

    Raises:
        DeclarationError: if there are several, or it is one of another Python.

    """
    location = selected(locations, None)
    if location.executable not in {"", sys.executable}:
        raise DeclarationError(
            f"the code location {location.name} is run by {location.executable}, which alone has the "
            "contracts of its tables.",
            "Run this command with that Python.",
        )
    return location


def _has_end(partitions_def: dg.PartitionsDefinition[Any]) -> bool:
    """Return whether windows end some day, beyond which Dagster's pages of keys go."""
    if isinstance(partitions_def, dg.MultiPartitionsDefinition):
        return any(_has_end(one.partitions_def) for one in partitions_def.partitions_defs)
    return isinstance(partitions_def, dg.TimeWindowPartitionsDefinition) and partitions_def.end is not None


@contextmanager
def naming_in_json(entry: TableEntry, *, as_json: bool) -> Iterator[None]:
    """Add a table to an error that programs read; texts for people have its name already.

    Raises:
        TableNotFound: for a table that the base alone has, with where it is to be looked for.

    """
    with naming(entry.name if as_json else ""):
        try:
            yield
        except TableNotFound as error:
            if entry.layered.base is None:
                raise
            raise entry.missing() from error


def definitions(location: CodeLocation) -> dg.Definitions:
    """Import the definitions of a code location, with all their jobs.

    Raises:
        DeclarationError: if they cannot be loaded.

    """
    with output.waiting(_LOADING), loading(location), redirect_stdout(sys.stderr):
        loaded = definitions_of(location)
        loaded.get_repository_def().get_all_jobs()  # what does not fit together shows here
        return loaded

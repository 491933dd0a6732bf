"""The tables of several code locations, each loaded by a process of its own, as Dagster loads them.

Run as a module, it is that process: it reads a code location from its standard input, and writes the tables
to the file descriptor that is its argument. What the author's code prints goes to standard error.
"""

import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import IO

import dagster as dg

from practicus_assets.assets.catalog import TableEntry, catalog
from practicus_assets.code_location import CodeLocation
from practicus_assets.definitions import definitions_of, loading
from practicus_assets.errors import DeclarationError, PracticusAssetsError

Tables = dict[str, TableEntry]

_STANDARD_ERROR = 2


def tables_of(locations: Sequence[CodeLocation], names: Sequence[str] = ()) -> Tables:
    """Return the tables of code locations, by name; where names meet, they begin with the location's name.

    A table that several locations know is listed once, as the location knows it that materializes it.

    Args:
        locations: the code locations.
        names: the names of tables that must be there; of one location, missing ones are refused early.

    Raises:
        DeclarationError: if a code location cannot be loaded, or lacks a name.

    """
    if len(locations) == 1 and locations[0].executable in {"", sys.executable}:
        return _catalog(locations[0], names)
    processes = [_Process.start(location) for location in locations]
    try:
        return _merged({process.location.name: process.tables() for process in processes})
    finally:
        for process in processes:
            process.end()


def _catalog(location: CodeLocation, names: Sequence[str] = ()) -> Tables:
    with loading(location):
        return catalog(definitions_of(location), names)


def _merged(catalogs: Mapping[str, Tables]) -> Tables:
    by_place: dict[str, tuple[str, TableEntry]] = {}
    for location, tables in catalogs.items():
        for entry in tables.values():
            _, other = by_place.get(entry.table.uri, ("", None))
            if other is None or (entry.is_written and not other.is_written):
                by_place[entry.table.uri] = location, entry
    count = Counter(entry.name for _, entry in by_place.values())
    entries = [
        replace(entry, location=location if count[entry.name] > 1 else "")
        for location, entry in by_place.values()
    ]
    return {entry.label: entry for entry in entries}


@dataclass(frozen=True)
class _Process:
    """The process that loads one code location."""

    location: CodeLocation
    process: subprocess.Popen[bytes]
    answer: IO[bytes]

    @classmethod
    def start(cls, location: CodeLocation) -> "_Process":
        reading, writing = os.pipe()
        command = [location.executable or sys.executable, "-m", __name__, str(writing)]
        try:
            process = subprocess.Popen(  # noqa: S603 the Python that the workspace names
                command, stdin=subprocess.PIPE, stdout=_STANDARD_ERROR, pass_fds=[writing]
            )
        except OSError as error:
            raise DeclarationError(
                f"the code location {location.name} cannot be loaded by {command[0]}: {error.strerror}.",
                "Fix the workspace's executable_path.",
            ) from None
        finally:
            os.close(writing)
        assert process.stdin is not None
        with process.stdin as stream:
            stream.write(json.dumps(asdict(location)).encode())
        return cls(location, process, os.fdopen(reading, "rb"))

    def tables(self) -> Tables:
        """Return the location's tables, once they are loaded."""
        answer = self.answer.read()
        if not answer:
            raise DeclarationError(
                f"the code location {self.location.name} cannot be loaded.", "Its error is printed above."
            )
        tables: Tables | PracticusAssetsError = pickle.loads(answer)  # noqa: S301 written by our own process
        if isinstance(tables, PracticusAssetsError):
            name, problem = self.location.name, tables.problem
            raise DeclarationError(
                problem if f"code location {name}" in problem else f"code location {name}: {problem}",
                tables.advice,
            )
        return tables

    def end(self) -> None:
        """Close the pipe, and wait."""
        self.answer.close()
        self.process.wait()


def _sendable(entry: TableEntry) -> TableEntry:
    """Return an entry whose partitions another process can read without the author's code."""
    entry = replace(entry, contract=None)  # its rules may be functions of the author's
    partitions_def = entry.partitions_def
    try:
        pickle.dumps(partitions_def)
        own = not type(partitions_def).__module__.startswith(("dagster.", "builtins"))
    except (pickle.PicklingError, AttributeError, TypeError):  # it holds a function
        own = True
    if not own or partitions_def is None:
        return entry
    if isinstance(partitions_def, dg.TimeWindowPartitionsDefinition | dg.MultiPartitionsDefinition):
        raise DeclarationError(
            f"the partitions of {entry.name} are a {type(partitions_def).__qualname__}, a class of its own.",
            "Run the command for this code location alone, with -m or -f.",
        )
    return replace(entry, partitions_def=dg.StaticPartitionsDefinition(partitions_def.get_partition_keys()))


def _answer() -> None:
    answer: Tables | PracticusAssetsError
    try:
        location = CodeLocation(**json.load(sys.stdin))
        answer = {name: _sendable(entry) for name, entry in _catalog(location).items()}
    except PracticusAssetsError as error:
        answer = error
    with os.fdopen(int(sys.argv[1]), "wb") as stream:
        pickle.dump(answer, stream)


if __name__ == "__main__":
    _answer()

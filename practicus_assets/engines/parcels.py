"""Parcels: values on their way to a process or pod that has loaded the same code."""

import io
import pickle
from collections.abc import Mapping
from typing import Any

from practicus_assets.engines.secrets import Secrets, value_of
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.delta.table_folder import TableFolder


def packed(value: Any, references: Mapping[str, object], secrets: Secrets | None = None) -> bytes:
    """Return a value as bytes for another process.

    Args:
        value: the value; a version of a table in it is opened there anew.
        references: what is not sent, but named: the other process has an object of its own.
        secrets: what is sent by the names of variables, where it is to lie in the lake on its way.

    Raises:
        DeclarationError: if a secret could not be sent so.
        TypeError, AttributeError, pickle.PicklingError: if a part of it belongs to this process alone.

    """
    file = io.BytesIO()
    _Packer(file, references, secrets).dump(value)
    if secrets is not None:
        secrets.refuse_within(file.getvalue())
    return file.getvalue()


def unpacked(content: bytes, references: Mapping[str, object]) -> Any:
    """Return what `packed` was given, with the objects of this process that have its names.

    Raises:
        CommitConflict: if another table is in the place of one whose version is in it.
        TableNotFound, VersionGone, StoreFailed: if that cannot be opened.

    """
    return _Unpacker(io.BytesIO(content), references).load()


class _Packer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, references: Mapping[str, object], secrets: Secrets | None) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._names = {id(value): name for name, value in references.items()}
        self._secrets = secrets

    def persistent_id(self, obj: Any) -> str | tuple[str] | None:
        if self._secrets is not None:
            self._refuse_secrets(obj, self._secrets)
            variable = self._secrets.variable(obj)
            if variable is not None:
                return (variable,)
        return self._names.get(id(obj))

    def _refuse_secrets(self, obj: Any, secrets: Secrets) -> None:
        if isinstance(obj, str):
            secrets.refuse_login(obj)
        elif isinstance(obj, Mapping):
            secrets.refuse_in(obj)
        elif isinstance(obj, TableFolder):
            secrets.refuse_options(obj.storage_options)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, TableVersion):  # its handle belongs to this process
            return Table.open_same, (obj.table, obj.version, obj.id)
        return NotImplemented


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, references: Mapping[str, object]) -> None:
        super().__init__(file)
        self._references = references

    def persistent_load(self, pid: Any) -> Any:
        return value_of(*pid) if isinstance(pid, tuple) else self._references[pid]

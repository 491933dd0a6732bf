"""Op outputs: the values that ops hand on to other ops of a run, kept in the lake until maintenance.

A value is a pickle, `_outputs/<run id>/<step and output>` below the lake's root, written as a whole or not at
all. Who may write there may run code in the processes that read it, as with Dagster's own IO managers.
"""

import hashlib
import json
import pickle
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg

from practicus_assets.assets.metadata.places import OP_OUTPUTS
from practicus_assets.errors import DataRefused, DeclarationError, StoreFailed, VersionGone
from practicus_assets.lake.delta.table_folder import TableFolder
from practicus_assets.lake.upkeep.lake_files import LakeFiles

_UNSAFE = re.compile(r"[^A-Za-z0-9_.=-]+")
_LONGEST_NAME = 100


@dataclass(frozen=True)
class OpOutputs:
    """The values that ops of a lake's runs handed on.

    Attributes:
        root_uri: the lake's root.
        storage_options: delta-rs's own; never shown.

    """

    root_uri: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def store(self, context: dg.OutputContext, value: Any) -> None:
        """Store the value of an output.

        Raises:
            DataRefused: if it cannot be pickled.
            StoreFailed: if it cannot be written.

        """
        try:
            content = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # whatever a class of the author's raises
            name = type(value).__qualname__
            raise DataRefused(
                f"the output {context.name!r} of the step {context.step_key} is a {name}, which cannot be "
                f"kept for the next op ({type(error).__name__}).",
                "Return what can be pickled, such as a DataFrame, a list or a path; or give the output "
                "another IO manager: dg.Out(io_manager_key=…).",
            ) from error
        self._folder.write(_path(context.get_identifier()), content)

    def load(self, context: dg.OutputContext) -> Any:
        """Return the value of an output.

        Raises:
            VersionGone: if it is not there any more.
            DeclarationError: if it is of a class that this process does not have.
            StoreFailed: if it cannot be read, or is damaged.

        """
        identifier = context.get_identifier()
        what = f"the output {context.name!r} of the step {context.step_key} of run {identifier[0]}"
        advice = f"Run {context.step_key} again: re-execute the run from there, or as a whole."
        path = _path(identifier)
        content = self._folder.read(path)
        if content is None:
            raise VersionGone(
                f"{what} is not in {self._folder.uri}, where maintenance removes old ones.", advice
            )
        try:
            return pickle.loads(content)  # noqa: S301 written by a step of this code location
        except (pickle.UnpicklingError, EOFError) as error:
            raise StoreFailed(f"{what} is damaged: {self._folder.uri}/{path}.", advice) from error
        except (ImportError, AttributeError) as error:
            raise DeclarationError(
                f"{what} is of a class that is not here: {error}.",
                "Install the code that made it, or run its step again.",
            ) from error

    def older_than(self, moment: datetime) -> dict[str, int]:
        """Return the size of each file that was written before a moment, by its path: run, `/`, output.

        Raises:
            StoreFailed: if they cannot be listed.

        """
        files = self.files.files()
        return {path: file.size for path, file in files.items() if file.modified < moment}

    def remove(self, paths: Iterable[str]) -> int:
        """Delete files, and return how many were there.

        Raises:
            StoreFailed: if one cannot be deleted.

        """
        return self.files.remove(paths)

    @property
    def files(self) -> LakeFiles:
        """The files that hold them; a path is the run's id, `/` and the output."""
        return LakeFiles(self.root_uri, OP_OUTPUTS, self.storage_options)

    @property
    def _folder(self) -> TableFolder:
        return self.files.folder


def _path(identifier: Sequence[str]) -> str:
    """Return where an output lies: readable, without characters that a store escapes, and never ambiguous."""
    run, *parts = identifier
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return f"{_UNSAFE.sub('_', run)}/{_UNSAFE.sub('_', '.'.join(parts))[:_LONGEST_NAME]}-{digest}.pickle"

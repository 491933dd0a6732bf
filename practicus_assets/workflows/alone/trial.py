"""Trials: what is asked of the process that runs a task alone, and what came of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from practicus_assets.tasks.program import Program

KEEP = "PRACTICUS_KEEP"  # variable of a trial's process: which workers stay when their tasks have ended
LAKE = "lake"  # of a task of a folder, beside what is written of its trial

Keep = Literal["failed", "all", "none"]
Result = Literal["passed", "skipped", "failed", "interrupted", "not run"]


@dataclass(frozen=True)
class _Written:
    """What one process writes for another, as JSON."""

    def write(self, path: Path) -> None:
        """Write it as a whole."""
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(json.dumps(asdict(self)), encoding="utf-8")
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what was written."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Trial(_Written):
    """A task that is to be run alone.

    Attributes:
        task: its name; in a code location, its asset's key.
        folder: the folder of its file; empty for a task of a code location.
        file: the name of its file there.
        arguments: of its program.
        parameters: of a task of a folder: environment variables, with their values.
        location: the fields of its `CodeLocation`; empty for a task of a folder.
        partition: the partition that it is run for; None for none.
        writes_table: whether it commits a table, of which the instance is told.
        time_limit_seconds: the time after which it is ended, if its worker does not say less.

    """

    task: str
    folder: str = ""
    file: str = ""
    arguments: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    location: Mapping[str, str] = field(default_factory=dict)
    partition: str | None = None
    writes_table: bool = False
    time_limit_seconds: float | None = None

    @classmethod
    def of_file(
        cls, file: Path, arguments: Sequence[str], parameters: Mapping[str, Any], limit: float | None
    ) -> Self:
        """Return the trial of a file.

        Raises:
            DeclarationError: if there is no such file, or nobody can tell what runs it.

        """
        program = Program.of(file, arguments, Path.cwd())
        assert program.file is not None  # what is given is a path
        return cls(
            program.file.stem,
            folder=str(program.file.parent.resolve()),
            file=program.file.name,
            arguments=tuple(arguments),
            parameters=parameters,
            time_limit_seconds=limit,
        )


@dataclass(frozen=True)
class Outcome(_Written):
    """What came of a trial.

    Attributes:
        task: the task's name.
        result: "skipped" if it said that there is nothing to do; "not run" if nobody started it.
        seconds: how long it took with its start, None if it was not run.
        error: why it failed, or was not run; empty if it did not.
        worker: where it ran, "process" or "pod"; empty if nowhere.
        kept: where its worker can be looked into; empty if it is gone.

    """

    task: str
    result: Result
    seconds: float | None = None
    error: str = ""
    worker: str = ""
    kept: str = ""

    @property
    def is_failure(self) -> bool:
        """Whether the task did not do what it is for."""
        return self.result in {"failed", "interrupted"}


def keeps(keep: Keep, *, failed: bool) -> bool:
    """Return whether a worker stays, to look into, when its task has ended."""
    return keep == "all" or (keep == "failed" and failed)

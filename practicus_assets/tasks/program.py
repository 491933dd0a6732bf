"""Programs: what a task runs, by the kind of its file."""

import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.tasks.notebook import is_notebook, outputs_of

_NOTEBOOK = [sys.executable, "-u", "-m", "practicus_assets.tasks.notebook"]
_BY_SUFFIX = {".py": [sys.executable, "-u"], ".sh": ["bash"], ".ipynb": _NOTEBOOK, ".md": _NOTEBOOK}
SUFFIXES = (".py", ".sh", ".ipynb")
"""Of the files that a task can run."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]+")


@dataclass(frozen=True)
class Program:
    """What a task runs.

    Attributes:
        name: the name of a task that runs it.
        command: the program and its arguments; a file is given relative to `folder`.
        file: the file that is run; None for a command.
        folder: the folder in which the file lies; None for a command.
        outputs: the files that it writes and that are always kept: of a notebook, as it was executed.

    """

    name: str
    command: tuple[str, ...]
    file: Path | None = None
    folder: Path | None = None
    outputs: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: object, arguments: Sequence[str], beside: Path) -> "Program":
        """Return the program of a task.

        Args:
            given: a file (`.py`; `.sh`, which bash runs; `.ipynb`, or a `.md` or `.py` that jupytext wrote,
                which papermill runs), or a command as a list of its words.
            arguments: further arguments.
            beside: the folder that the file's path begins at, where it is relative.

        Raises:
            DeclarationError: if there is no such file, or nobody can tell what runs it.

        """
        if isinstance(given, str | Path):
            return cls._of_file(Path(beside, given), arguments)
        if not isinstance(given, Sequence) or not given or not all(isinstance(word, str) for word in given):
            raise DeclarationError(
                f"a task is given {given!r}.",
                'Name its file, task_asset("load.py"), or its command as a list, task_asset(["make"]).',
            )
        name = _NOT_IN_NAMES.sub("_", Path(given[0]).name).strip("_")
        return cls(name, (*given, *arguments))

    @classmethod
    def _of_file(cls, path: Path, arguments: Sequence[str]) -> "Program":
        if not path.is_file():
            there = sorted(p.name for p in path.parent.glob("*") if p.suffix in _BY_SUFFIX)
            advice = did_you_mean(path.name, there, f"The folder has {', '.join(there) or 'no script'}.")
            if not path.suffix:
                advice = "A command is given as a list of its words."
            raise DeclarationError(f"there is no file {path}.", advice)
        if path.suffix not in _BY_SUFFIX:
            raise DeclarationError(
                f"nobody can tell what runs {path.name}.",
                f'Write the command as a list, e.g. task_asset(["perl", "{path.name}"]); '
                f"files are run that end in {', '.join(_BY_SUFFIX)}.",
            )
        runs = is_notebook(path)
        if path.suffix == ".md" and not runs:
            raise DeclarationError(
                f"{path.name} is no notebook: it has no header of jupytext.",
                f"Write one: jupytext --set-formats md {path.name}.",
            )
        if runs and arguments:
            raise DeclarationError(f"the notebook {path.name} is given arguments.", "Give it parameters.")
        command = (*(_NOTEBOOK if runs else _BY_SUFFIX[path.suffix]), path.name, *arguments)
        outputs = outputs_of(path.name) if runs else ()
        return cls(_NOT_IN_NAMES.sub("_", path.stem), command, path, path.parent, outputs)

    @property
    def code_version(self) -> str:
        """A hash of the command and of the file that it runs."""
        digest = hashlib.sha256(repr(self.command[1:]).encode())
        if self.file is not None:
            digest.update(self.file.read_bytes())
        return digest.hexdigest()[:12]


def folder_of(frame: FrameType) -> Path:
    """Return the folder of the module that a frame runs; the working folder where it is in no file."""
    file = frame.f_globals.get("__file__")
    return Path(file).resolve().parent if file else Path.cwd()

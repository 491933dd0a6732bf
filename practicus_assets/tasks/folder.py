"""Folders of tasks: a task runs in a copy of its folder, which it may write to."""

import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from practicus_assets.errors import DeclarationError

_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", "node_modules", ".ipynb_checkpoints")
_MOST_FILES = 2_000
_MOST_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Workspace:
    """Where one attempt at a task runs.

    Attributes:
        folder: the copy of the task's folder, or an empty one.
        beside: a folder of the attempt that the task's own files do not lie in.

    """

    folder: Path
    beside: Path


@contextmanager
def workspace(folder: Path | None) -> Iterator[Workspace]:
    """Make a workspace with a copy of a folder, and remove it at the end.

    Args:
        folder: what is copied, but for version control, environments and caches; None for nothing.

    Raises:
        DeclarationError: if the folder is too large to be one of a task.

    """
    with tempfile.TemporaryDirectory(prefix="task-", ignore_cleanup_errors=True) as made:
        copy, beside = Path(made, "folder"), Path(made, "told")
        beside.mkdir()
        if folder is None:
            copy.mkdir()
        else:
            _copy(folder, copy)
        yield Workspace(copy, beside)


def _copy(folder: Path, copy: Path) -> None:
    """Copy the files of a folder and what its links lead to, but for links that go round in a circle."""
    files: list[tuple[Path, Path]] = []
    size = 0
    pending = [(folder, copy, frozenset({folder.resolve()}))]
    try:
        while pending:
            source, target, around = pending.pop()
            target.mkdir()
            inside = list(source.iterdir())
            left_out = _LEFT_OUT("", [path.name for path in inside])
            for path in inside:
                if path.name in left_out:
                    continue
                if path.is_dir():
                    real = path.resolve()
                    if real not in around:
                        pending.append((path, target / path.name, around | {real}))
                elif path.is_file():  # and no socket, pipe or link to nowhere
                    files.append((path, target / path.name))
                    size += path.stat().st_size
                if len(files) + len(pending) > _MOST_FILES or size > _MOST_BYTES:
                    raise DeclarationError(
                        f"the task's folder {folder} has more than {_MOST_FILES:,} files or "
                        f"{_MOST_BYTES // 2**20} MiB, which would be copied for each attempt.",
                        "Give the task a folder of its own, with what it needs, or run it in place: "
                        "task_asset(…, copy_folder=False).",
                    )
        for path, target in files:
            shutil.copy2(path, target)
            target.chmod(target.stat().st_mode | stat.S_IRUSR | stat.S_IWUSR)
    except (OSError, shutil.Error) as error:
        raise DeclarationError(
            f"the task's folder {folder} cannot be copied: {error}.",
            "Repair the folder, or run the task in place: task_asset(…, copy_folder=False).",
        ) from error

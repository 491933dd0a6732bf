"""Folders of tasks: a task runs in a copy of its folder, which it may write to."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
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

    def files(self, patterns: Iterable[str]) -> list[Path]:
        """Return the files that match one of the patterns, as `Path.glob` has them, in order.

        What a link leads to outside of the folder is left out.
        """
        root = self.folder.resolve()
        found = {path for pattern in patterns for path in self.folder.glob(pattern)}
        return sorted(path for path in found if path.is_file() and path.resolve().is_relative_to(root))


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
            _refuse_large(folder)
            shutil.copytree(folder, copy, ignore=_LEFT_OUT, ignore_dangling_symlinks=True)
        yield Workspace(copy, beside)


def _refuse_large(folder: Path) -> None:
    count = size = 0
    pending = [folder]
    while pending:
        inside = list(pending.pop().iterdir())
        left_out = _LEFT_OUT("", [path.name for path in inside])
        for path in inside:
            if path.name in left_out:
                continue
            if path.is_dir() and not path.is_symlink():
                pending.append(path)
            elif path.is_file():
                count, size = count + 1, size + path.stat().st_size
            if count > _MOST_FILES or size > _MOST_BYTES:
                raise DeclarationError(
                    f"the task's folder {folder} has more than {_MOST_FILES:,} files or "
                    f"{_MOST_BYTES // 2**20} MiB, which would be copied for each attempt.",
                    "Give the task a folder of its own, with what it needs, or run it in place: "
                    "task_asset(…, copy_folder=False).",
                )

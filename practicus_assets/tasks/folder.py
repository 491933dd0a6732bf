"""Folders of tasks: a task runs in a copy of its folder, which it may write to."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from practicus_assets.errors import DeclarationError
from practicus_assets.tasks import variables

_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", "node_modules", ".ipynb_checkpoints")
_MOST_FILES = 2_000
_MOST_BYTES = 512 * 2**20
_PREFIX = "practicus-task-"  # of temporary folders
_OWNER = "owner"  # the file in one that its process has locked


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

    Where a task is run alone, what runs it names the workspace, and removes or keeps it.

    Args:
        folder: what is copied, but for version control, environments and caches; None for nothing.

    Raises:
        DeclarationError: if the folder is too large to be one of a task.

    """
    alone = os.environ.get(variables.WORKSPACE)
    with nullcontext(Path(alone)) if alone else scratch() as made:
        copy, beside = Path(made, "folder"), Path(made, "told")
        beside.mkdir()
        if folder is None:
            copy.mkdir()
        else:
            _copy(folder, copy)
        yield Workspace(copy, beside)


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a temporary folder, and remove it at the end; it may be gone by then.

    One whose process was killed is removed by the next process of this user that makes one.
    """
    _remove_leftovers()
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as made:
        unlocked = Path(made, f"{_OWNER}.new")
        descriptor = os.open(unlocked, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # which ends with this process, however that does
            unlocked.rename(Path(made, _OWNER))
            yield Path(made)
        finally:
            os.close(descriptor)


def _remove_leftovers() -> None:
    for owner in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_OWNER}"):
        with suppress(OSError):  # its owner lives, or another process removes it
            if owner.parent.is_symlink() or owner.parent.stat().st_uid != os.geteuid():
                continue
            descriptor = os.open(owner, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for part in owner.parent.iterdir():
                    if part.is_dir() and not part.is_symlink():
                        shutil.rmtree(part, ignore_errors=True)
                owner.unlink()  # last, so that one that is killed here leaves what the next one finds
                owner.parent.rmdir()
            finally:
                os.close(descriptor)


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

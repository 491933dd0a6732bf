"""A starter: the files of a folder, by their paths."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from practicus_assets.errors import DeclarationError


@dataclass(frozen=True)
class Starter:
    """The files of a folder.

    Attributes:
        name: the folder's name.
        files: the texts, by their paths below it.

    """

    name: str
    files: Mapping[str, str]

    def write(self, beside: Path) -> Path:
        """Write the folder, which appears with all of its files, and return its path.

        Args:
            beside: the folder in which it is made.

        Raises:
            DeclarationError: if something has its name already, or it cannot be written. Nothing is written.

        """
        target = beside / self.name
        if target.exists() or target.is_symlink():
            raise _taken(target)
        try:
            partial = Path(tempfile.mkdtemp(prefix=f".{self.name}-", dir=beside))
            try:
                for path, text in self.files.items():
                    (partial / path).parent.mkdir(parents=True, exist_ok=True)
                    (partial / path).write_text(text, encoding="utf-8")
                partial.chmod(0o777 & ~_umask())  # as of any folder; that of mkdtemp is its owner's alone
                partial.rename(target)  # refused where somebody else was first
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            if target.exists():
                raise _taken(target) from None
            raise DeclarationError(
                f"the folder {target} cannot be written: {error.strerror}. Nothing was written.",
                "Go to a folder that you may write to.",
            ) from None
        return target


def _taken(target: Path) -> DeclarationError:
    return DeclarationError(
        f"there is something at {target} already. Nothing was written.", "Take another name, or remove it."
    )


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask

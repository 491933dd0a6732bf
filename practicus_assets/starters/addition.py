"""An addition: files that come into a folder that exists, all of them or none."""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from practicus_assets.errors import DeclarationError


@dataclass(frozen=True)
class Addition:
    """Files for a folder that exists.

    Attributes:
        files: the texts, by their paths below the folder.

    """

    files: Mapping[str, str]

    def write(self, folder: Path) -> None:
        """Write the files; each appears with all of its text.

        Args:
            folder: where they come.

        Raises:
            DeclarationError: if one of them is there already, or cannot be written. Nothing is written.

        """
        targets = {folder / path: text for path, text in self.files.items()}
        written: list[Path] = []
        done = False
        try:
            with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as partial:
                for number, (target, text) in enumerate(targets.items()):
                    whole = Path(partial, str(number))
                    whole.write_text(text, encoding="utf-8")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.link(whole, target)  # refused where something is, and then it stays as it is
                    written.append(target)
            done = True
        except FileExistsError as error:
            raise DeclarationError(
                f"there is something at {error.filename2 or error.filename} already. Nothing was written.",
                "Take another name, or remove it.",
            ) from None
        except OSError as error:
            raise DeclarationError(
                f"files cannot be written to {folder}: {error.strerror}. Nothing was written.",
                "Go to a project that you may write to.",
            ) from None
        finally:
            for target in () if done else written:
                with suppress(OSError):
                    target.unlink()

"""Artifacts: files that a task wrote and that are kept, below the lake's root."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from practicus_assets.assets.io_manager import DeltaIOManager
from practicus_assets.assets.op_outputs import ARTIFACTS
from practicus_assets.errors import DeclarationError
from practicus_assets.wording import number_of

_UNSAFE = re.compile(r"[^A-Za-z0-9_.=-]+")


@dataclass(frozen=True)
class Artifacts:
    """Which files of a task are kept.

    Attributes:
        patterns: of the files in the task's folder, as `Path.glob` has them.

    """

    patterns: Sequence[str] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Refuse what is no list of patterns inside of the folder."""
        odd = isinstance(self.patterns, str) or any(
            not isinstance(pattern, str) or pattern.startswith("/") or ".." in pattern.split("/")
            for pattern in self.patterns
        )
        if odd:
            raise DeclarationError(
                f"artifacts is {self.patterns!r}.",
                'Give a list of patterns of files in the task\'s folder: artifacts=["*.html", "plots/*"].',
            )

    def keep(
        self, written: Path, since: float | None, lake: DeltaIOManager, context: dg.AssetExecutionContext
    ) -> dict[str, Any]:
        """Store the files that match, and return metadata that say where.

        Args:
            written: the folder in which the task ran.
            since: the time, in seconds of the epoch, before which a file is not the task's; None for none.
            lake: where they are kept.
            context: the step's.

        Raises:
            StoreFailed: if the store does not take one.

        """
        files = self._found(written, since)
        if not files:
            return {}
        of_asset = "/".join(_UNSAFE.sub("_", part).strip(".") or "_" for part in context.asset_key.path)
        folder = lake.folder(f"{ARTIFACTS}/{of_asset}/{context.run.run_id}")
        for path in files:
            folder.write(path.relative_to(written).as_posix(), path.read_bytes())
        names = [path.relative_to(written).as_posix() for path in files]
        kept = number_of(len(names), "file")
        context.log.info("%s: kept %s in %s", context.asset_key.to_user_string(), kept, folder.uri)
        shown = {"practicus/artifacts": dg.MetadataValue.path(folder.uri), "practicus/artifact_files": names}
        notebook = next((name for name in names if name.endswith(".ipynb")), None)
        if notebook is not None:  # the UI renders one that lies on its machine
            kind = dg.MetadataValue.path if folder.local_path is None else dg.MetadataValue.notebook
            shown["practicus/notebook"] = kind(f"{folder.uri}/{notebook}")
        return shown

    def _found(self, written: Path, since: float | None) -> list[Path]:
        """Return the files that match, in order; what a link leads to outside of the folder is left out."""
        root = written.resolve()
        return sorted(
            path
            for path in {path for pattern in self.patterns for path in written.glob(pattern)}
            if path.is_file()
            and path.resolve().is_relative_to(root)
            and (since is None or path.stat().st_mtime >= since)
        )

"""Artifacts: files that a task wrote and that are kept, below the lake's root."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from practicus_assets.assets.io_manager import DeltaIOManager
from practicus_assets.assets.metadata.places import ARTIFACTS
from practicus_assets.assets.runs import subject_of
from practicus_assets.errors import DeclarationError, TaskFailed
from practicus_assets.wording import number_of
from practicus_assets.workers.request.quantity import amount

LIMIT = "1Gi"
_UNSAFE = re.compile(r"[^A-Za-z0-9_.=-]+")


@dataclass(frozen=True)
class Artifacts:
    """Which files of a task are kept.

    Attributes:
        patterns: of the files in the task's folder, as `Path.glob` has them.
        limit: the most bytes that they may have together, as Kubernetes writes it.

    """

    patterns: Sequence[str] = field(default_factory=tuple)
    limit: str = LIMIT

    def __post_init__(self) -> None:
        """Refuse what is no list of patterns inside of the folder, and what is no size."""
        odd = isinstance(self.patterns, str) or any(
            not isinstance(pattern, str) or pattern.startswith("/") or ".." in pattern.split("/")
            for pattern in self.patterns
        )
        if odd:
            raise DeclarationError(
                f"artifacts is {self.patterns!r}.",
                'Give a list of patterns of files in the task\'s folder: artifacts=["*.html", "plots/*"].',
            )
        try:
            self._most_bytes()
        except ValueError:
            raise DeclarationError(
                f"artifacts_limit is {self.limit!r}.", 'Write a size, e.g. "512Mi" or "4Gi".'
            ) from None

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
            TaskFailed: if they are larger than their limit; none of them is kept then.
            StoreFailed: if the store does not take one.

        """
        files = self._found(written, since)
        if not files:
            return {}
        self._refuse_large({path.relative_to(written).as_posix(): path.stat().st_size for path in files})
        subject = subject_of(context)
        of_asset = "/".join(_UNSAFE.sub("_", part).strip(".") or "_" for part in subject.path)
        folder = lake.folder(f"{ARTIFACTS}/{of_asset}/{context.run.run_id}")
        for path in files:
            folder.copy(path, path.relative_to(written).as_posix())
        names = [path.relative_to(written).as_posix() for path in files]
        kept = number_of(len(names), "file")
        context.log.info("%s: kept %s in %s", subject.to_user_string(), kept, folder.uri)
        shown = {"practicus/artifacts": dg.MetadataValue.path(folder.uri), "practicus/artifact_files": names}
        notebook = next((name for name in names if name.endswith(".ipynb")), None)
        if notebook is not None:  # the UI renders one that lies on its machine
            kind = dg.MetadataValue.path if folder.local_path is None else dg.MetadataValue.notebook
            shown["practicus/notebook"] = kind(f"{folder.uri}/{notebook}")
        return shown

    def _most_bytes(self) -> int:
        most = int(amount(str(self.limit)))
        if most < 1:
            raise ValueError(self.limit)
        return most

    def _refuse_large(self, sizes: Mapping[str, int]) -> None:
        size = sum(sizes.values())
        if size <= self._most_bytes():
            return
        largest = max(sizes, key=lambda name: sizes[name])
        raise TaskFailed(
            f"its artifacts are {size / 2**20:,.1f} MiB, more than artifacts_limit, which is {self.limit}; "
            f"the largest is {largest}, of {sizes[largest] / 2**20:,.1f} MiB. None of them was kept.",
            'Raise the limit, task_asset(…, artifacts_limit="8Gi"), name fewer files, or let the task bring '
            "large ones to a store itself.",
        )

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

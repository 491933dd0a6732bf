"""Worker files: what `default_worker.json` and `<task>_worker.json` ask for, in fields of `Worker`."""

import json
from pathlib import Path
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.workers.request.worker import Worker


def worker_of_files(folder: Path, task: str) -> Worker | None:
    """Return the worker that the files of a folder ask for, for a task; None where there are none.

    Args:
        folder: the folder of the tasks.
        task: the task's name; the fields of its own file lie over those of the default's.

    Raises:
        DeclarationError: if a file is no JSON object, or has an unknown field or a wrong value.

    """
    fields: dict[str, Any] = {}
    for path in (folder / "default_worker.json", folder / f"{task}_worker.json"):
        if not path.is_file():
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise DeclarationError(
                f"the worker file {path.name} is no JSON: {type(error).__name__}.", "Repair the file."
            ) from None
        fields |= Worker.from_config(content, f"the worker file {path.name}").given()
    return Worker(**fields) if fields else None

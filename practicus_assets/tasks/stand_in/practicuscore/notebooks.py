"""Notebooks, run by papermill within a task."""

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

from practicus_assets.tasks.notebook import write_masked

from .absent import refusal

_configured: dict[str, Any] = {"output": None, "failed": None, "time_stamp": True}


def configure(
    default_output_folder: str | None = None,
    default_failed_output_folder: str | None = None,
    *,
    add_time_stamp_to_output: bool = True,
) -> None:
    """Say where notebooks go that are executed without an `output_path`.

    Args:
        default_output_folder: a folder; by default the working one.
        default_failed_output_folder: a folder for those that failed; by default the same.
        add_time_stamp_to_output: whether they lie below `YYYY-MM-DD/HH-MM-SS/` in it.

    """
    _configured.update(
        output=default_output_folder,
        failed=default_failed_output_folder,
        time_stamp=add_time_stamp_to_output,
    )


def execute_notebook(  # noqa: PLR0917 as the SDK
    input_path: str,
    parameters: dict[str, Any] | None = None,
    cwd: str | None = None,
    kernel_name: str | None = None,
    output_path: str | None = None,
    failed_output_path: str | None = None,
    *,
    raise_on_failure: bool = False,
    **options: Any,
) -> bool:
    """Execute a notebook, and return whether all of its cells ended well.

    Args:
        input_path: the notebook; `.ipynb` may be left out.
        parameters: for its cell that is tagged `parameters`.
        cwd: the folder in which it runs.
        kernel_name: the kernel; by default its own.
        output_path: where the executed notebook goes; by default `<name>_output.ipynb` in the configured
            folder.
        failed_output_path: where one goes that failed.
        raise_on_failure: whether a failure is raised.
        options: of `papermill.execute_notebook`.

    """
    import papermill  # noqa: PLC0415 of the extra notebooks

    source = Path(input_path if input_path.endswith(".ipynb") else f"{input_path}.ipynb")
    target = Path(output_path) if output_path is not None else _default(source, _configured["output"])
    target.parent.mkdir(parents=True, exist_ok=True)
    write_masked(target)
    try:
        papermill.execute_notebook(
            str(source),
            str(target),
            parameters or {},
            cwd=cwd,
            kernel_name=kernel_name,
            progress_bar=False,
            **options,
        )
    except papermill.PapermillExecutionError:
        failed = failed_output_path or (_configured["failed"] and _default(source, _configured["failed"]))
        if failed:
            Path(failed).parent.mkdir(parents=True, exist_ok=True)
            target.replace(failed)
        logging.getLogger("practicuscore").exception("the notebook %s failed", source)
        if raise_on_failure:
            raise
        return False
    return True


def _default(source: Path, folder: str | None) -> Path:
    name = f"{source.stem}_output.ipynb"
    if folder is None:
        return source.with_name(name)
    now = datetime.now()  # noqa: DTZ005 a folder's name, as people read clocks
    within = Path(folder, now.strftime("%Y-%m-%d"), now.strftime("%H-%M-%S"))
    return (within if _configured["time_stamp"] else Path(folder)) / name


def __getattr__(name: str) -> Any:
    raise refusal(f"practicuscore.notebooks.{name}")

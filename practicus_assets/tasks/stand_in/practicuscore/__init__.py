"""A stand-in for the SDK of Practicus AI, in tasks of practicus_assets: what tasks call, and no more.

`logger`, `notebooks`, `notify`, `vault`, `exceptions`, `running_on_a_worker` and `run_task` are here. What
else the SDK has raises an error that says so.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import exceptions, notebooks, notify, vault
from .absent import refusal

__version__ = "0+practicus_assets"
__all__ = ["exceptions", "logger", "notebooks", "notify", "run_task", "running_on_a_worker", "vault"]

logger = logging.getLogger("practicuscore")
if not logger.handlers:
    _handler = logging.StreamHandler(sys.stdout)
    _handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(_handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
logger.debug("this is the stand-in of practicus_assets, and not the SDK of Practicus AI")


def running_on_a_worker() -> bool:
    """Return whether a task asset runs this process."""
    return "PRACTICUS_RUN_ID" in os.environ


def run_task(
    file_name: str, files_path: str | None = None, worker_config: Any = None, **_: Any
) -> tuple[None, bool]:
    """Run a script of a folder in a process of this worker, and return `(None, success)`.

    Args:
        file_name: a `.py` or `.sh` file.
        files_path: its folder; by default the working one.
        worker_config: not followed: the task's own worker runs it.

    """
    if worker_config is not None:
        logger.warning("run_task runs %s in this worker, whatever its worker_config asks for", file_name)
    program = ["bash"] if file_name.endswith(".sh") else [sys.executable, "-u"]
    folder = Path(files_path or ".")
    done = subprocess.run([*program, file_name], cwd=folder, check=False)  # noqa: S603 it is the author's
    return None, done.returncode == 0


def __getattr__(name: str) -> Any:
    raise refusal(f"practicuscore.{name}")

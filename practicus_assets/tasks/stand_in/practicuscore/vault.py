"""Secrets, from the variables of the worker, or from files that are mounted."""

import os
from pathlib import Path
from typing import Any

from .absent import refusal

_FOLDER = "PRACTICUS_SECRETS"  # names another folder of mounted Secrets


def get_secret(name: str, shared: bool = False) -> tuple[str, int]:  # noqa: ARG001, FBT001, FBT002 as the SDK
    """Return a secret and its age in days, which is not known here and 0.

    Args:
        name: that of an environment variable, or of a file below `/run/secrets`.
        shared: makes no difference here.

    Raises:
        KeyError: if there is none.

    """
    value = os.environ.get(name)
    if value is not None:
        return value, 0
    folder = Path(os.environ.get(_FOLDER, "/run/secrets"))
    file = folder / name
    if file.is_file() and file.resolve().is_relative_to(folder.resolve()):
        return file.read_text(encoding="utf-8").removesuffix("\n"), 0
    raise KeyError(
        f"there is no secret {name!r}: neither an environment variable of this name, nor a file in {folder}. "
        "Give the worker a Secret: Worker(secrets=[…])."
    )


def __getattr__(name: str) -> Any:
    raise refusal(f"practicuscore.vault.{name}")

"""Folders with an instance and a lake that are made once for a module, of which each test gets a copy."""

import shutil
from pathlib import Path

import pytest


def with_home(folder: Path) -> Path:
    """Give a folder an instance, in `home`, that tells nobody anything; return the folder."""
    (folder / "home").mkdir()
    settings = "telemetry: {enabled: false}\nnux: {enabled: false}\n"
    (folder / "home" / "dagster.yaml").write_text(settings, encoding="utf-8")
    return folder


def entered(folder: Path, patch: pytest.MonkeyPatch, lake: str) -> Path:
    """Go into a folder, whose instance and lake are those of commands then; return it.

    Args:
        folder: the folder, with an instance in `home` and a lake in `lake`.
        patch: takes all back.
        lake: the variable that names the lake.

    """
    patch.chdir(folder)
    patch.setenv("DAGSTER_HOME", str(folder / "home"))
    patch.setenv(lake, str(folder / "lake"))
    return folder


def copied(made: Path, target: Path) -> Path:
    """Copy a folder that a module made once; return the copy."""
    return Path(shutil.copytree(made, target))

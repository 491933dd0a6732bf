"""A table that does not exist yet, and its rows once it does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from practicus_assets.lake.delta.table import Table
from tests import kit


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table.at(str(tmp_path / "lake"), ["t"])


@pytest.fixture
def rows() -> Callable[[Table], list[kit.Row]]:
    """Return the function that reads a table's newest version with delta-rs alone."""
    return kit.read


@pytest.fixture
def parquet_files() -> Callable[[Table], set[str]]:
    """Return the function that lists a table's Parquet files, committed or not."""
    return kit.parquet_files

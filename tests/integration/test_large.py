"""The variant of the shipped pipeline: the same join and sum by every way, on two copies of two days."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

import pipelines
from pipelines.sources import source_tables
from practicus_assets import DeltaIOManager
from practicus_assets.lake.rows.frames import read_as

pytestmark = [pytest.mark.slow, pytest.mark.process]
DAYS = ["2013-01-31", "2013-02-01"]  # of two months
FLIGHTS = 928 + 926


def given(source: Any) -> dg.AssetsDefinition:
    """Return an asset with the rows of a source, of two days alone."""

    @dg.asset(name=source.key.to_user_string())
    def rows() -> pd.DataFrame:
        scope = source.scope(DAYS if source.partitions_def is not None else [])
        with source.relation.system.session() as session:
            frame: pd.DataFrame = read_as(source.relation.read(session, scope), None)
        return frame

    return rows


def test_every_way_makes_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_CONNECT_MODE_ENABLED", "1")
    from pipelines.large import WAYS, inputs

    tables = [table for way in WAYS.values() for table in way]
    result = dg.materialize(
        [*map(given, source_tables), *inputs, *tables],
        resources={"io_manager": DeltaIOManager(root_uri=str(tmp_path))},
        run_config={"ops": {"flights": {"config": {"factor": 2, "last_day": DAYS[-1]}}}},
    )
    made: dict[str, set[tuple[str, object]]] = {"flights_in_weather": set(), "delays": set()}
    ways = set()
    for event in result.get_asset_materialization_events():
        *way, name = event.materialization.asset_key.path
        if way:
            ways.add(way[0])
            tags, metadata = event.materialization.tags or {}, event.materialization.metadata
            made[name].add((tags["dagster/data_version"], metadata["dagster/row_count"].value))
    assert ways == {"memory", "stream", "splits", "spark"}
    assert [len(versions) for versions in made.values()] == [1, 1], made
    assert {rows for _, rows in made["flights_in_weather"]} == {2 * FLIGHTS}


def test_the_shipped_definitions_load_none_of_it() -> None:
    modules = Path(pipelines.__file__).parent.glob("*.py")
    assert [path.name for path in modules if "pipelines.large" in path.read_text(encoding="utf-8")] == []

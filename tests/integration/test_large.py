"""The variant of the shipped pipeline: the same join and sum by every way, on two copies of a few days."""

from pathlib import Path

import dagster as dg
import pytest

import pipelines

pytestmark = [pytest.mark.slow, pytest.mark.process]


def test_every_way_makes_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRACTICUS_LAKE", str(tmp_path))
    monkeypatch.setenv("SPARK_CONNECT_MODE_ENABLED", "1")
    from pipelines.large import WAYS, inputs
    from pipelines.sources import source_tables
    from practicus_assets import DeltaIOManager

    tables = [table for way in WAYS.values() for table in way]
    result = dg.materialize(
        [*source_tables, *inputs, *tables],
        selection=dg.AssetSelection.assets(*inputs, *tables),
        resources={"io_manager": DeltaIOManager(root_uri=str(tmp_path))},
        run_config={"ops": {"flights": {"config": {"factor": 2, "last_day": "2013-01-02"}}}},
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
    assert {rows for _, rows in made["flights_in_weather"]} == {2 * (842 + 943)}


def test_the_shipped_definitions_load_none_of_it() -> None:
    modules = Path(pipelines.__file__).parent.glob("*.py")
    assert [path.name for path in modules if "pipelines.large" in path.read_text(encoding="utf-8")] == []

"""docs/openlineage.md: what the community's sensor sends of tables, and what it does not."""

import json
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import Column, Contract, DeltaIOManager, table_asset
from tests.integration.bench import Bench

pytestmark = [
    pytest.mark.slow,
    # the sensor asks Dagster in an older way
    pytest.mark.filterwarnings("ignore:Use fetch_.* instead of get_event_records"),
    pytest.mark.filterwarnings("ignore:Function `EventMethods.get_event_records` is deprecated"),
]
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "openlineage.md"
PACKAGES = ROOT / ".venv" / "openlineage"  # beside our environment: dg would import it for every project
SECRET = "a value of a row"  # noqa: S105 which must not be sent


@table_asset
def raw() -> pd.DataFrame:
    return pd.DataFrame({"number": [1, 2], "name": ["a", SECRET]})


@table_asset(
    contract=Contract(
        columns={
            "id": Column("int64", "tells orders apart", nullable=False, comes_from={"raw": ["number"]}),
            "name": Column("string", allowed=["a"], severity="WARN"),
        }
    )
)
def orders(raw: pd.DataFrame) -> pd.DataFrame:
    return raw.rename(columns={"number": "id"})


@table_asset(contract=Contract(columns={"id": Column("int64", minimum=2)}))
def refused(raw: pd.DataFrame) -> pd.DataFrame:
    return raw[["number"]].rename(columns={"number": "id"})


class Receiver:
    """The file that OpenLineage's client writes events to, and the sensor that gives them."""

    def __init__(self, file: Path, instance: dg.DagsterInstance) -> None:
        self._file = file
        self._instance = instance

    def tick(self, sensor: dg.SensorDefinition, cursor: str | None = None) -> str | None:
        """Run one tick; return the cursor of the next."""
        context = dg.build_sensor_context(instance=self._instance, cursor=cursor)
        return sensor.evaluate_tick(context).cursor

    def text(self) -> str:
        """Return all that was sent."""
        return self._file.read_text(encoding="utf-8")

    def events(self, job: str, state: str) -> list[dict[str, Any]]:
        """Return the events of a job."""
        events = [json.loads(line) for line in self.text().splitlines()]
        return [event for event in events if event["job"]["name"] == job and event["eventType"] == state]


@pytest.fixture
def receiver(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    assert PACKAGES.is_dir(), f"{PACKAGES} is not there: make .venv/openlineage.ready"
    monkeypatch.syspath_prepend(str(PACKAGES))
    file = tmp_path / "events.json"
    transport = {"type": "file", "log_file_path": str(file), "append": True}
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT", json.dumps(transport))
    from dagster_openlineage import sensor
    from dagster_openlineage.adapter import OpenLineageAdapter

    monkeypatch.setattr(sensor, "_ADAPTER", OpenLineageAdapter(namespace="shop"))
    return Receiver(file, bench.instance)


def test_events_have_the_schema_the_lineage_of_columns_and_the_checks(
    bench: Bench, receiver: Receiver
) -> None:
    [block] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 the page's code
    [sensor] = names["defs"].sensors
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED

    bench.run([raw, orders])
    bench.run([raw, refused], fails=True)
    receiver.tick(sensor)

    [made] = receiver.events("orders", "COMPLETE")
    facets = made["outputs"][0]["facets"]
    columns = [(column["name"], column["type"]) for column in facets["schema"]["fields"]]
    assert columns == [("id", "int64"), ("name", "string")]
    assert facets["schema"]["fields"][0]["description"] == "tells orders apart"
    [lineage] = facets["columnLineage"]["fields"]["id"]["inputFields"]
    assert (lineage["namespace"], lineage["name"], lineage["field"]) == ("shop", "raw", "number")

    checks = [event["inputs"][0] for event in receiver.events("orders__checks", "COMPLETE")]
    assert {dataset["name"] for dataset in checks} == {"orders"}
    results = [check["inputFacets"]["dataQualityAssertions"]["assertions"][0] for check in checks]
    held = {result["assertion"]: result["success"] for result in results}
    assert held == {"schema": True, "id_not_null": True, "name_allowed": False}

    assert len(receiver.events("refused", "FAIL")) == 1
    assert receiver.events("refused", "COMPLETE") == []


@pytest.mark.parametrize("rows", [0, 5])
def test_rows_are_sent_in_the_samples_of_failed_rules_alone(
    bench: Bench, receiver: Receiver, rows: int
) -> None:
    from dagster_openlineage import openlineage_sensor

    bench.resources["io_manager"] = DeltaIOManager(root_uri=bench.root, sample_rows=rows)
    bench.run([raw, orders])
    receiver.tick(openlineage_sensor(include_asset_events=True, record_filter_limit=100_000))
    assert len(receiver.events("orders__checks", "COMPLETE")) == 3
    assert (SECRET in receiver.text()) is (rows > 0)


def test_events_beyond_the_limit_of_a_tick_are_lost_so_the_page_raises_it(
    bench: Bench, receiver: Receiver
) -> None:
    from dagster_openlineage import OpenLineageEventLogStorage, openlineage_sensor

    for _ in range(3):
        bench.run([raw])
    kinds = {dg.DagsterEventType.ASSET_MATERIALIZATION}
    sensor = openlineage_sensor(concerned_event_types=kinds, include_asset_events=True, record_filter_limit=2)
    receiver.tick(sensor, receiver.tick(sensor))
    assert len(receiver.events("raw", "COMPLETE")) == 2
    wrapped = OpenLineageEventLogStorage(bench.instance.event_log_storage)
    assert not wrapped.supports_global_concurrency_limits

"""Changes of sources: what the sensor and an observing run report, and which runs follow."""

import datetime as dt
import json
import threading
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets import Files, Source, build_source_sensor
from practicus_assets.errors import DeclarationError, SourceFailed
from practicus_assets.external import source_sensor
from tests.integration.shelf import Shelf
from tests.integration.ticks import Ticks

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-11")
LONG_AGO = dt.datetime(2024, 1, 20, tzinfo=dt.UTC)
SECRET = "hunter2-of-the-shelf"  # noqa: S105 nobody's


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf", secret=SECRET)


def rows(*days: int, n: int = 1, modified: dt.datetime = LONG_AGO) -> pa.Table:
    """Return rows of these days of January, all last changed at one moment."""
    return pa.table(
        {
            "day": [f"2024-01-{day:02}" for day in days],
            "n": [n] * len(days),
            "modified": pa.array([modified] * len(days), pa.timestamp("us", "UTC")),
        }
    )


def daily(shelf: Shelf, **options: Any) -> Source:
    given = {"partitions_def": DAYS, "partition_expr": "day", **options}
    return Source("orders", shelf.table("orders"), **given)


# --- What is reported ---------------------------------------------------------------------------------------


def test_a_source_is_observed_only_when_its_data_version_changed(
    instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    shelf.put(shops=pa.table({"n": [1, 2]}))
    ticks = Ticks(instance, Source("shops", shelf.table("shops")))
    assert ticks.tick() == {"shops": "3"}
    assert ticks.message == "shops changed."
    assert ticks.tick() == {}
    assert ticks.message == "Nothing changed in 1 source."
    shelf.put(shops=pa.table({"n": [1, 4]}))
    assert ticks.tick() == {"shops": "5"}


def test_only_the_partitions_that_changed_are_observed(instance: dg.DagsterInstance, shelf: Shelf) -> None:
    shelf.put(orders=rows(8, 9, 10))
    ticks = Ticks(instance, daily(shelf))
    assert ticks.tick() == {"2024-01-08": "1", "2024-01-09": "1", "2024-01-10": "1"}
    assert ticks.message == "orders changed in 3 partitions: 2024-01-08, 2024-01-09 and 2024-01-10."
    shelf.put(orders=pa.concat_tables([rows(8, 9, 10), rows(9)]))
    assert ticks.tick() == {"2024-01-09": "2"}


def test_a_partition_without_rows_is_observed_only_after_it_had_some(
    instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    shelf.put(orders=rows(9))
    ticks = Ticks(instance, daily(shelf))
    assert ticks.tick() == {"2024-01-09": "1"}
    shelf.put(orders=rows(10))
    assert ticks.tick() == {"2024-01-09": "0 rows", "2024-01-10": "1"}


def test_a_tick_that_crashed_reports_nothing_twice(instance: dg.DagsterInstance, shelf: Shelf) -> None:
    shelf.put(orders=rows(8, 9, 10))
    ticks = Ticks(instance, daily(shelf))
    assert len(ticks.tick(crash=True)) == 3
    assert ticks.tick() == {}


def test_a_lost_cursor_loses_no_change_and_repeats_none(instance: dg.DagsterInstance, shelf: Shelf) -> None:
    shelf.put(orders=rows(1, 9))
    ticks = Ticks(instance, daily(shelf, updated_at="modified"))
    assert ticks.tick() == {"2024-01-01": "1", "2024-01-09": "1"}
    shelf.put(orders=rows(1, 9, n=2))
    for cursor in (None, "no cursor", "[]"):
        ticks.cursor = cursor
        assert set(ticks.tick()) <= {"2024-01-01", "2024-01-09"}
    assert ticks.tick() == {}


def test_the_older_partitions_have_their_turn_a_few_in_each_tick(
    instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    shelf.put(orders=rows(*range(1, 11)))
    ticks = Ticks(instance, daily(shelf), newest=1, others=4)
    assert list(ticks.tick()) == [f"2024-01-{day:02}" for day in (1, 2, 3, 4, 10)]
    assert list(ticks.tick()) == [f"2024-01-{day:02}" for day in (5, 6, 7, 8)]
    assert list(ticks.tick()) == ["2024-01-09"]
    shelf.put(orders=rows(*range(1, 11), n=2))
    assert len(ticks.tick()) == 5
    assert len(ticks.tick()) == 4


def test_a_source_that_cannot_be_read_does_not_stop_the_others(
    instance: dg.DagsterInstance, shelf: Shelf, tmp_path: Path
) -> None:
    other = Shelf(tmp_path / "other", secret=SECRET)
    shelf.put(shops=pa.table({"n": [1]}))
    other.put(cities=pa.table({"n": [1]}))
    (other.path / "down").touch()
    ticks = Ticks(instance, Source("cities", other.table("cities")), Source("shops", shelf.table("shops")))
    assert ticks.tick() == {"shops": "1"}
    assert ticks.message == (
        "shops changed. cities was not looked at: shelf://tests cannot be reached. Start it."
    )
    (other.path / "down").unlink()
    assert ticks.tick() == {"cities": "1"}


def test_a_tick_fails_that_can_read_no_source_at_all(instance: dg.DagsterInstance, shelf: Shelf) -> None:
    shelf.put(shops=pa.table({"n": [1]}))
    ticks = Ticks(instance, Source("shops", shelf.table("shops")))
    (shelf.path / "down").touch()
    with pytest.raises(SourceFailed, match=r"shops: shelf://tests cannot be reached\. Start it\."):
        ticks.tick()


def test_an_unexpected_failure_of_a_driver_is_told_without_its_text(
    instance: dg.DagsterInstance, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(shops=pa.table({"n": [1]}), cities=pa.table({"n": [1]}))
    ticks = Ticks(instance, Source("shops", shelf.table("shops")), Source("cities", shelf.table("cities")))
    versions = type(shelf.table("shops")).versions

    def broken(table: Any, *arguments: Any) -> list[str]:
        if table.name == "shops":
            raise RuntimeError(f"password={SECRET}")
        return versions(table, *arguments)

    monkeypatch.setattr(type(shelf.table("shops")), "versions", broken)
    assert ticks.tick() == {"cities": "1"}
    assert ticks.message == "cities changed. shops was not looked at: RuntimeError."


def test_a_source_that_does_not_answer_in_time_does_not_stop_the_others(
    instance: dg.DagsterInstance, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a", "b", "c"]
    shelf.put(**{name: pa.table({"n": [1]}) for name in names})
    ticks = Ticks(instance, *(Source(name, shelf.table(name)) for name in names))
    answers = threading.Event()
    versions = type(shelf.table("a")).versions

    def slow(table: Any, *arguments: Any) -> list[str]:
        if table.name == "a":
            assert answers.wait(60)
        return versions(table, *arguments)

    monkeypatch.setattr(type(shelf.table("a")), "versions", slow)
    monkeypatch.setattr(source_sensor, "_TIME", 2)
    assert ticks.tick() == {"b": "1", "c": "1"}
    assert ticks.message == (
        "b changed. c changed. a was not looked at: it takes longer than 2 seconds: observe it by a run."
    )
    assert ticks.tick() == {}
    assert ticks.message is not None
    assert "a was not looked at: an earlier tick still looks at it." in ticks.message
    answers.set()
    changed: dict[str, str | None] = {}
    while not changed:  # until its thread has ended
        changed = ticks.tick()
    assert changed == {"a": "1"}


def test_files_are_observed_by_partition_and_only_those_that_changed(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    for day in ("2024-01-02", "2024-01-09"):
        (tmp_path / f"{day}.csv").write_text("n\n1\n", encoding="utf-8")
    files = Files(str(tmp_path)).files("{day:%Y-%m-%d}.csv")
    ticks = Ticks(instance, Source("orders", files, partitions_def=DAYS, partition_expr="day"))
    assert list(ticks.tick()) == ["2024-01-02", "2024-01-09"]
    assert ticks.tick() == {}
    (tmp_path / "2024-01-09.csv").write_text("n\n1\n2\n", encoding="utf-8")
    (tmp_path / "2024-01-10.csv").write_text("n\n1\n", encoding="utf-8")
    (tmp_path / "2024-01-02.csv").unlink()
    changed = ticks.tick()
    assert list(changed) == ["2024-01-02", "2024-01-09", "2024-01-10"]
    assert changed["2024-01-02"] == "0 rows"


def test_the_cursor_does_not_grow_with_the_partitions(instance: dg.DagsterInstance, shelf: Shelf) -> None:
    shelf.put(orders=rows(*range(1, 11)))
    ticks = Ticks(instance, daily(shelf, updated_at="modified", lag="3d"), target=None)
    ticks.tick()
    ticks.tick()
    assert ticks.cursor is not None
    assert set(json.loads(ticks.cursor)["sources"]["orders"]) == {"older", "since"}


# --- Late rows ----------------------------------------------------------------------------------------------


def test_late_rows_are_found_in_partitions_that_had_their_turn_long_ago(
    instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    shelf.put(orders=rows(*range(1, 11)))
    ticks = Ticks(instance, daily(shelf, updated_at="modified"), newest=1, others=2)
    for _ in range(6):
        ticks.tick()
    now = dt.datetime.now(dt.UTC)
    shelf.put(orders=pa.concat_tables([rows(*range(1, 11)), rows(7, modified=now)]))
    assert ticks.tick() == {"2024-01-07": "2"}
    assert ticks.tick() == {}


@pytest.mark.parametrize(("lag", "found"), [("3d", ["2024-01-07"]), ("1d", [])])
def test_a_row_may_come_as_much_later_than_its_change_as_the_lag_says(
    instance: dg.DagsterInstance, shelf: Shelf, lag: str, found: list[str]
) -> None:
    shelf.put(orders=rows(*range(1, 11)))
    ticks = Ticks(instance, daily(shelf, updated_at="modified", lag=lag), newest=1, others=1)
    for _ in range(11):
        ticks.tick()
    two_days_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    shelf.put(orders=pa.concat_tables([rows(*range(1, 11)), rows(7, modified=two_days_ago)]))
    assert list(ticks.tick()) == found


def test_more_late_partitions_than_a_tick_takes_are_found_by_the_next_ones(
    instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    shelf.put(orders=rows(*range(1, 11)))
    ticks = Ticks(instance, daily(shelf, updated_at="modified"), newest=1, others=3)
    for _ in range(4):
        ticks.tick()
    shelf.put(orders=rows(*range(1, 11), n=2, modified=dt.datetime.now(dt.UTC)))
    changed = [sorted(ticks.tick()) for _ in range(3)]
    assert [len(partitions) for partitions in changed] == [4, 3, 3]
    assert ticks.tick() == {}


# --- Runs that follow ---------------------------------------------------------------------------------------


@dg.asset(deps=["orders"], partitions_def=DAYS)
def table() -> None: ...


@dg.asset(deps=["orders", "shops"])
def summary() -> None: ...


def test_the_next_tick_requests_a_run_for_each_partition_that_changed_once(
    instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    shelf.put(orders=rows(9, 10))
    ticks = Ticks(instance, daily(shelf), table, target=[table])
    ticks.tick()
    assert ticks.requested() == []
    ticks.tick()
    assert ticks.requested() == ["2024-01-09", "2024-01-10"]
    assert {request.tags["practicus/changed_sources"] for request in ticks.requests} == {"orders"}
    ticks.tick()
    assert ticks.requested() == []


def test_a_crash_between_report_and_request_loses_no_run(instance: dg.DagsterInstance, shelf: Shelf) -> None:
    shelf.put(orders=rows(9))
    ticks = Ticks(instance, daily(shelf), table, target=[table])
    ticks.tick()
    shelf.put(orders=rows(9, n=2))
    assert ticks.tick(crash=True) == {"2024-01-09": "2"}
    keys = []
    for _ in range(3):
        ticks.tick()
        keys += [request.run_key for request in ticks.requests]
    assert len(keys) == 1


def test_rows_that_change_and_change_back_ask_for_a_run_each_time(
    instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    shelf.put(orders=rows(9))
    ticks = Ticks(instance, daily(shelf), table, target=[table])
    ticks.tick()
    ticks.tick()
    keys = [request.run_key for request in ticks.requests]
    for n in (2, 1, 2):
        shelf.put(orders=rows(9, n=n))
        ticks.tick()
        ticks.tick()
        keys += [request.run_key for request in ticks.requests]
    assert len(set(keys)) == 4  # Dagster makes one run of a key


def test_a_first_look_requests_only_partitions_that_the_table_does_not_have(
    instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    shelf.put(orders=rows(8, 9, 10))
    ticks = Ticks(instance, daily(shelf), table, target=[table])
    for day in ("2024-01-08", "2024-01-09"):
        instance.report_runless_asset_event(dg.AssetMaterialization("table", partition=day))
    ticks.tick()
    ticks.tick()
    assert ticks.requested() == ["2024-01-10"]
    shelf.put(orders=rows(8, 9, 10, n=2))
    ticks.tick()
    ticks.tick()
    assert ticks.requested() == ["2024-01-08", "2024-01-09", "2024-01-10"]


def test_a_new_version_of_a_delta_table_of_others_requests_runs_once_for_the_days_that_changed(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    place = str(tmp_path / "fx" / "rates")
    write_deltalake(place, rows(9, 10), partition_by=["day"])
    relation = Files(str(tmp_path)).delta("fx/rates")
    source = Source("orders", relation, partitions_def=DAYS, partition_expr="day")
    ticks = Ticks(instance, source, table, target=[table])
    assert list(ticks.tick()) == ["2024-01-09", "2024-01-10"]
    ticks.tick()
    assert ticks.requested() == ["2024-01-09", "2024-01-10"]
    write_deltalake(place, rows(9, n=2), mode="overwrite", predicate="day = '2024-01-09'")
    changed = ticks.tick(crash=True)
    assert list(changed) == ["2024-01-09"]
    requested = []
    for _ in range(3):
        ticks.tick()
        requested += ticks.requested()
    assert requested == ["2024-01-09"]
    DeltaTable(place).alter.set_table_properties({"delta.appendOnly": "true"})  # no rows of any day
    assert ticks.tick() == {}
    ticks.cursor = None  # after a restart that lost it
    assert [ticks.tick(), ticks.tick(), ticks.requested()] == [{}, {}, []]


def test_one_run_follows_from_all_changes_where_the_target_has_no_partitions(
    instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    shelf.put(orders=rows(9, 10), shops=pa.table({"n": [1]}))
    ticks = Ticks(instance, daily(shelf), Source("shops", shelf.table("shops")), summary, target=[summary])
    ticks.tick()
    ticks.tick()
    assert ticks.requested() == [""]
    assert ticks.requests[0].tags["practicus/changed_sources"] == "orders, shops"


def test_partitions_follow_the_mapping_of_the_table(instance: dg.DagsterInstance, shelf: Shelf) -> None:
    @dg.asset(deps=["orders"], partitions_def=dg.WeeklyPartitionsDefinition("2023-12-31"))
    def weekly() -> None: ...

    shelf.put(orders=rows(5, 6, 7))
    ticks = Ticks(instance, daily(shelf), weekly, target=[weekly])
    ticks.tick()
    ticks.tick()
    assert ticks.requested() == ["2023-12-31", "2024-01-07"]


@pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")  # those that Dagster adds
def test_partitions_of_two_dimensions_are_observed_and_requested(
    instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    shops = dg.StaticPartitionsDefinition(["a", "b"])
    both = dg.MultiPartitionsDefinition({"day": DAYS, "shop": shops})

    @dg.asset(deps=["orders"], partitions_def=both)
    def sales() -> None: ...

    shelf.put(orders=rows(9).append_column("shop", pa.array(["b"])))
    source = daily(shelf, partitions_def=both, partition_expr={"day": "day", "shop": "shop"})
    ticks = Ticks(instance, source, sales, target=[sales], others=20)
    assert ticks.tick() == {"2024-01-09|b": "1"}
    ticks.tick()
    assert ticks.requested() == ["2024-01-09|b"]
    assert observed(instance, source, "2024-01-09|b") == []


def test_partitions_that_come_at_run_time_are_observed_and_requested(shelf: Shelf, tmp_path: Path) -> None:
    shops = dg.DynamicPartitionsDefinition(name="shops")

    @dg.asset(deps=["orders"], partitions_def=shops)
    def sales() -> None: ...

    shelf.put(orders=rows(9).append_column("shop", pa.array(["b"])))
    source = daily(shelf, partitions_def=shops, partition_expr="shop")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:  # such partitions need a real one
        ticks = Ticks(instance, source, sales, target=[sales])
        assert ticks.tick() == {}
        instance.add_dynamic_partitions("shops", ["a", "b"])
        assert ticks.tick() == {"b": "1"}
        ticks.tick()
        assert ticks.requested() == ["b"]


def test_a_source_on_which_every_partition_depends_requests_none_and_says_so(
    instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    @dg.asset(deps=["shops"], partitions_def=DAYS)
    def sales() -> None: ...

    shelf.put(shops=pa.table({"n": [1]}))
    ticks = Ticks(
        instance, Source("shops", shelf.table("shops")), sales, target=dg.AssetSelection.assets(sales)
    )
    ticks.tick()
    ticks.tick()
    assert ticks.requests == []
    assert ticks.message is not None
    assert "every partition" in ticks.message


def test_a_job_of_ops_is_requested_for_the_partitions_of_the_source(
    instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    @dg.op
    def load() -> None: ...

    @dg.job(partitions_def=DAYS)
    def load_day() -> None:
        load()

    shelf.put(orders=rows(9))
    ticks = Ticks(instance, daily(shelf), target=load_day)
    ticks.tick()
    ticks.tick()
    assert ticks.requested() == ["2024-01-09"]


# --- Observing in a run -------------------------------------------------------------------------------------


def observed(instance: dg.DagsterInstance, source: Source, partition: str | None = None) -> list[Any]:
    job = dg.define_asset_job("observe", selection=dg.AssetSelection.assets(source.key))
    result = (
        dg.Definitions([source], jobs=[job])
        .resolve_job_def("observe")
        .execute_in_process(instance=instance, partition_key=partition)
    )
    return [
        e.asset_observation_data.asset_observation.partition for e in result.get_asset_observation_events()
    ]


def test_a_run_observes_all_partitions_that_changed(instance: dg.DagsterInstance, shelf: Shelf) -> None:
    instance.wipe()
    shelf.put(orders=rows(1, 2, 9))
    source = daily(shelf)
    assert observed(instance, source, "2024-01-02") == ["2024-01-02"]
    assert observed(instance, source) == ["2024-01-01", "2024-01-09"]
    assert observed(instance, source) == []


def test_what_a_run_observed_requests_runs_too(instance: dg.DagsterInstance, shelf: Shelf) -> None:
    shelf.put(orders=rows(9))
    source = daily(shelf)
    ticks = Ticks(instance, source, table, target=[table])
    ticks.tick()
    ticks.tick()
    shelf.put(orders=rows(9, n=2))
    observed(instance, source)
    assert ticks.tick() == {}
    assert ticks.requested() == ["2024-01-09"]


# --- What a table makes of it -------------------------------------------------------------------------------


def test_a_table_below_is_asked_for_when_its_source_changed_and_only_then(
    instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    @dg.asset(deps=["shops"], automation_condition=dg.AutomationCondition.eager())
    def cities() -> None: ...

    shelf.put(shops=pa.table({"n": [1]}))
    source = Source("shops", shelf.table("shops"))
    ticks = Ticks(instance, source)
    definitions = dg.Definitions([source, cities])
    asked, cursor = [], None
    for n in (1, 1, 2, 2):
        result = dg.evaluate_automation_conditions(definitions, instance, cursor=cursor)
        shelf.put(shops=pa.table({"n": [n]}))
        ticks.tick()
        result = dg.evaluate_automation_conditions(definitions, instance, cursor=result.cursor)
        asked.append(result.total_requested)
        cursor = result.cursor
        definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey("cities")]
        )
    assert asked == [1, 0, 1, 0]


# --- Declarations -------------------------------------------------------------------------------------------


def test_a_sensor_needs_sources(shelf: Shelf) -> None:
    with pytest.raises(DeclarationError, match=r"the sensor source_changes has no sources\."):
        build_source_sensor([])
    with pytest.raises(DeclarationError, match=r"is given <.*>, which is no source\."):
        build_source_sensor([table])  # type: ignore[list-item] # the mistake
    with pytest.raises(DeclarationError, match=r"newest=0 and others=10"):
        build_source_sensor([daily(shelf)], newest=0)

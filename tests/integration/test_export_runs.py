"""Exports in steps that are processes of their own, on real servers."""

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import pytest

from practicus_assets.external.export_step import OUTCOME
from tests.integration import export_jobs
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

RANGE = {
    "dagster/asset_partition_range_start": "2024-01-02",
    "dagster/asset_partition_range_end": "2024-01-04",
}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance:
        yield instance


def outcomes(events: Sequence[dg.DagsterEvent]) -> dict[tuple[str, str | None], object]:
    """Return the outcome of each export by its key and partition."""
    return {
        (m.asset_key.to_user_string(), m.partition): m.metadata[OUTCOME].value
        for m in (event.step_materialization_data.materialization for event in events)
        if OUTCOME in m.metadata
    }


@pytest.mark.slow
def test_workers_export_a_range_in_one_run_and_the_next_run_finds_it_there(
    tmp_path: Path,
    instance: dg.DagsterInstance,
    postgresql: PostgreSQL,
    mariadb: MariaDB,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"runs_{uuid.uuid4().hex}"
    postgresql.create_database(name)
    mariadb.create_database(name)
    for variable, server in (("POSTGRESQL", postgresql), ("MARIADB", mariadb)):
        monkeypatch.setenv(variable, f"{server.host} {server.port} {server.user} {name}")
        monkeypatch.setenv(f"{variable}_PASSWORD", server.password)
    monkeypatch.setenv("LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("FILES", str(tmp_path / "files"))
    ended = []
    with dg.execute_job(dg.reconstructable(export_jobs.in_workers), instance, tags=RANGE) as result:
        assert result.success
        ended.append(outcomes(result.get_asset_materialization_events()))
    again = export_jobs.in_workers().execute_in_process(instance=instance, tags=RANGE)
    ended.append(outcomes(again.get_asset_materialization_events()))
    assert len(ended[0]) == 9
    assert [set(one.values()) for one in ended] == [{"exported"}, {"already there"}]
    select = "SELECT CAST(day AS char(10)), n FROM orders ORDER BY n"
    rows = [("2024-01-02", 0), ("2024-01-03", 1), ("2024-01-04", 2)]
    assert postgresql.execute(select, name) == rows
    assert mariadb.execute(select, database=name) == rows
    assert sorted(path.name for path in (tmp_path / "files" / "orders").glob("*.csv")) == [
        f"day={day}.csv" for day, _ in rows
    ]
    logs = "\n".join(str(entry) for run in instance.get_runs() for entry in instance.all_logs(run.run_id))
    assert postgresql.password not in logs
    assert mariadb.password not in logs

"""Splits in processes of their own: what they are given, how they die, and who is told."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from deltalake import DeltaTable

from practicus_assets.engines import processes
from practicus_assets.engines.splits import Split

HERE = Path(__file__).parent

pytestmark = pytest.mark.process


class Splitting:
    """A lake with orders, and the jobs of `split_tables`, which run in this process and their splits not."""

    def __init__(self, folder: Path) -> None:
        self.lake = folder / "lake"
        self.instance = dg.DagsterInstance.local_temp(str(folder))
        self._repository = ReconstructableRepository.for_module(
            "split_tables", "defs", working_directory=str(HERE)
        )

    def run(self, name: str) -> Any:
        job = self._repository.get_reconstructable_job(f"job_{name}")
        config = {"ops": {"told": {"config": {"rate": 3}}}} if name == "told" else {}
        return dg.execute_job(job, instance=self.instance, run_config=config)

    def rows(self, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = DeltaTable(str(self.lake / name)).to_pyarrow_table().to_pylist()
        return rows

    def files(self, name: str) -> list[Path]:
        return list((self.lake / name).rglob("*.parquet"))

    def messages(self, result: Any) -> str:
        return "\n".join(entry.user_message for entry in self.instance.all_logs(result.run_id))

    def error(self, result: Any) -> str:
        [event] = [e for e in result.all_events if e.is_step_failure]
        return str(event.event_specific_data.error.to_string())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splitting]:
    folder = tmp_path_factory.mktemp("splits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKE", str(folder / "lake"))
        patch.setenv("SHOP", "Ankara")
        patch.setenv("MARK", str(folder / "mark"))
        place = Splitting(folder)
        assert place.run("orders").success
        yield place
        place.instance.dispose()


def test_each_split_is_a_process_with_a_part_of_the_rows_and_all_other_values(place: Splitting) -> None:
    result = place.run("told")
    assert result.success, place.error(result)
    rows = place.rows("told")
    assert sorted(row["id"] for row in rows) == list(range(1000))
    processes = {(row["part"], row["pid"]) for row in rows}
    assert len(processes) == len({pid for _, pid in processes}) == 3
    assert os.getpid() not in {pid for _, pid in processes}
    assert {(row["shop"], row["rate"], row["made"] == row["pid"]) for row in rows} == {("Ankara", 3, True)}
    assert DeltaTable(str(place.lake / "told")).version() == 0
    assert "told: split 2 of 3 has 333 rows in 1 file, after" in place.messages(result)
    assert "3 of 3 done" in place.messages(result)


def test_a_split_that_is_killed_runs_again_alone(place: Splitting) -> None:
    result = place.run("dies_once")
    assert result.success, place.error(result)
    assert sorted(row["id"] for row in place.rows("dies_once")) == list(range(1000))
    assert len(place.files("dies_once")) == 3
    messages = place.messages(result)
    assert "split 2 of 3: its process was killed by signal 9 in attempt 1 of 3; it runs again" in messages
    assert messages.count("split 1 of 3 has") == messages.count("split 3 of 3 has") == 1


def test_a_split_that_dies_each_time_fails_the_step_and_nothing_is_written(place: Splitting) -> None:
    result = place.run("dies")
    assert not result.success
    assert "WorkerCrashed: split 1 of 1: its process ended with exit code 3 in the last of 3" in place.error(
        result
    )
    assert place.files("dies") == []


def test_the_first_error_ends_the_other_splits_and_is_shown_with_its_lines(place: Splitting) -> None:
    result = place.run("raises")
    assert not result.success
    error = place.error(result)
    assert "OwnError: one and two" in error
    assert "In split 2 of 2:" in error
    assert 'raise OwnError("one", "two")' in error
    assert place.files("raises") == []


def test_an_error_that_cannot_be_shown_is_named_and_ends_the_step_at_once(place: Splitting) -> None:
    result = place.run("silent")
    assert not result.success
    assert "RuntimeError: SilentError" in place.error(result)
    assert "it runs again" not in place.messages(result)


def test_a_value_that_no_other_process_can_have_is_named(place: Splitting) -> None:
    result = place.run("held")
    assert not result.success
    assert "the parameter 'lock' is lock, which the processes of splits cannot be given" in place.error(
        result
    )


def lingering(_payload: bytes, split: Split) -> int:
    threading.Thread(target=time.sleep, args=(3600,)).start()
    return split.index


def test_a_thread_that_a_function_leaves_does_not_keep_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_ENDS_S", 0.1)
    done: list[int] = []
    warned: list[str] = []
    splits = [Split(index, 3) for index in range(3)]
    running = processes.SplitProcesses(
        lingering, b"", at_once=2, done=lambda _, value: done.append(value), warn=warned.append
    )
    running.run(splits)
    assert (sorted(done), warned) == ([0, 1, 2], [])

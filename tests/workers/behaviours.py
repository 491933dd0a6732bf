"""What holds of a step wherever it runs; each place runs all of it."""

import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.workers.place import Place, until


class Behaviours:
    """The behaviours; a class of a place inherits them and gives the fixture `place`."""

    def test_the_run_says_where_its_steps_run_and_why(self, place: Place) -> None:
        run = place.run_by_command("told")  # once as users do it
        assert run.succeeded, run.output
        assert "Steps run in" in run.messages()
        assert "the run's configuration says backend" in run.messages()

    def test_a_step_has_the_environment_that_its_worker_asks_for(self, place: Place) -> None:
        assert place.run("told").succeeded
        [row] = place.rows("told")
        assert row["greeting"] == "hello"
        assert row["attempt"] == 1

    def test_a_materialization_says_what_its_worker_asked_for_and_used(self, place: Place) -> None:
        run = place.run("told")
        [event] = run.events("ASSET_MATERIALIZATION", "told")
        said = {
            key: entry.value
            for key, entry in event.step_materialization_data.materialization.metadata.items()
        }
        assert said["worker/used"].startswith("asked ")
        assert said["worker/used"] in said["delta/summary"]
        assert said["worker/peak_memory_mib"] > 20
        assert said["worker/time_s"] > 0
        assert said["worker/cpu_used_core_s"] > 0

    def test_the_authors_exception_is_retried_as_their_policy_says(self, place: Place) -> None:
        run = place.run("stumbles")
        assert run.succeeded, run.messages()
        assert "the author's own" in run.error("STEP_UP_FOR_RETRY", "stumbles")
        assert place.rows("stumbles") == [{"attempt": 2}]

    def test_the_authors_exception_without_a_policy_fails_the_step_once(self, place: Place) -> None:
        run = place.run("raises")
        assert not run.succeeded
        assert "the author's own" in run.error("STEP_FAILURE", "raises")
        assert not run.events("STEP_UP_FOR_RETRY")

    def test_a_process_that_dies_fails_its_step_and_says_how(self, place: Place) -> None:
        run = place.run("dies")
        assert not run.succeeded
        error = run.error("STEP_FAILURE", "dies")
        assert error.startswith("WorkerCrashed: dies: its process")
        assert "before it reported the step's result" in error
        assert "Exit code" in run.metadata("STEP_FAILURE", "dies")

    def test_a_process_that_dies_is_retried_as_the_authors_policy_says_and_appends_once(
        self, place: Place
    ) -> None:
        run = place.run("dies_once")
        assert run.succeeded, run.messages()
        assert "WorkerCrashed" in run.error("STEP_UP_FOR_RETRY", "dies_once")
        assert place.rows("dies_once") == [{"attempt": 2}]

    def test_steps_that_do_not_depend_on_each_other_run_at_the_same_time(self, place: Place) -> None:
        run = place.run("side_by_side")
        assert run.succeeded, run.messages()
        [left], [right] = place.rows("left"), place.rows("right")
        assert left["from"] < right["to"]
        assert right["from"] < left["to"]

    def test_output_is_captured_unless_the_worker_says_no(self, place: Place) -> None:
        assert place.run("plain").events("LOGS_CAPTURED")
        quiet = place.run("quiet")
        assert quiet.succeeded, quiet.output
        manager = type(quiet.instance.compute_log_manager).__name__
        assert manager != "NoOpComputeLogManager"
        assert not any(each.event_specific_data.external_url for each in quiet.events("LOGS_CAPTURED"))

    def test_a_plain_asset_runs_in_the_worker_of_its_tags(self, place: Place) -> None:
        run = place.run("plain")
        assert run.succeeded, run.messages()
        assert place.rows("plain") == [{"n": 1}]

    @pytest.mark.parametrize(
        ("tags", "largest"),
        [
            ({"dagster/partition": "2024-01-01"}, "2024-01-01"),
            (
                {
                    "dagster/asset_partition_range_start": "2024-01-01",
                    "dagster/asset_partition_range_end": "2024-01-03",
                },
                "2024-01-02",
            ),
        ],
        ids=["one", "range"],
    )
    def test_a_worker_may_depend_on_the_partition_and_a_range_gets_the_largest(
        self, place: Place, tags: dict[str, str], largest: str
    ) -> None:
        run = place.run("sized", tags=tags)
        assert run.succeeded, run.messages()
        day = tags.get("dagster/partition", "2024-01-02")
        rows = {str(row["day"])[:10]: row["largest"] for row in place.rows("sized")}
        assert rows[day] == largest

    def test_a_run_that_is_interrupted_leaves_no_worker(self, place: Place) -> None:
        process = place.start("endless")
        until(lambda: place.newest("endless").events("STEP_START"), "the step to start")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate()
        assert not place.newest("endless").succeeded, output
        until(lambda: not self.workers(place), "workers to end")

    def test_a_run_whose_process_died_is_resumed_and_launches_each_attempt_once(self, place: Place) -> None:
        with place.start("resumed") as process:
            until(lambda: place.newest("resumed").events("STEP_RESTARTED"), "the second attempt")
            process.kill()
        run = place.resume("resumed")
        assert run.succeeded, run.output
        [row] = place.rows("resumed")
        assert row["attempt"] == len(run.events("STEP_WORKER_STARTING")) == self.resumed_attempt
        assert len(run.events("STEP_UP_FOR_RETRY")) == self.resumed_attempt - 1

    def test_a_mistake_in_an_override_fails_the_step_and_names_the_field(self, place: Place) -> None:
        run = place.run("told", tags={"practicus/worker": '{"memry": "1Gi"}'})
        assert not run.succeeded
        error = run.error("STEP_FAILURE", "told")
        assert "memry" in error
        assert "Did you mean memory?" in error

    def test_a_run_may_not_change_what_runs_and_with_which_rights(self, place: Place) -> None:
        run = place.run("told", tags={"practicus/worker": '{"image": "evil:1", "service_account": "admin"}'})
        assert not run.succeeded
        assert "image, service_account" in run.error("STEP_FAILURE", "told")

    workers: Callable[[Place], Any]  # returns those that live; each place knows its own
    resumed_attempt: int  # that brings `resumed` to its end: the second, if it outlives the run's process

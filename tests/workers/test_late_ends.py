"""What a late end of an attempt that was given up on does to its run: nothing."""

import time
from collections.abc import Sequence

import dagster as dg
from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.execution.plan.objects import StepRetryData, StepSuccessData
from dagster._core.execution.retries import RetryMode
from dagster_shared.error import SerializableErrorInfo

from practicus_assets.instance.events import has_ended
from practicus_assets.workers.delegation import WorkerExecutor
from practicus_assets.workers.local.processes import ProcessHandler
from practicus_assets.workers.placement.configuration import Configuration

RETRY = (dg.DagsterEventType.STEP_UP_FOR_RETRY, StepRetryData(SerializableErrorInfo("lost", [], None), None))
LAUNCH = (dg.DagsterEventType.STEP_WORKER_STARTING, EngineEventData())
SUCCESS = (dg.DagsterEventType.STEP_SUCCESS, StepSuccessData(1.0))


def heard(*events: tuple[dg.DagsterEventType, object]) -> Sequence[str]:
    """Return the kinds of a step's events that the executor of its run hears of, if it reads all at once."""
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = recorded(instance, *events)
        executor = WorkerExecutor(ProcessHandler(Configuration.of({})), why="", retries=RetryMode.ENABLED)
        return [each.event_type_value for each in executor._pop_events(instance, run_id, set())]


def recorded(instance: dg.DagsterInstance, *events: tuple[dg.DagsterEventType, object]) -> str:
    """Record events of a step of a run, and return the run's id."""
    run = instance.add_run(dg.DagsterRun("nightly"))
    for kind, data in events:
        event = DagsterEvent(kind.value, "nightly", step_key="load", event_specific_data=data)  # type: ignore[arg-type] # of any event
        entry = dg.EventLogEntry(
            error_info=None,
            level="debug",
            user_message="",
            run_id=run.run_id,
            timestamp=time.time(),
            step_key="load",
            job_name="nightly",
            dagster_event=event,
        )
        instance.handle_new_event(entry)
    return run.run_id


def test_the_success_of_an_attempt_that_was_just_given_up_on_is_not_heard_of() -> None:
    assert heard(LAUNCH, RETRY, SUCCESS) == ["STEP_WORKER_STARTING", "STEP_UP_FOR_RETRY"]


def test_the_end_of_the_attempt_that_follows_is_still_to_come_after_a_late_one() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = recorded(instance, LAUNCH, RETRY, SUCCESS, LAUNCH)
        assert has_ended(instance, run_id, "load", 1)
        assert not has_ended(instance, run_id, "load", 2)


def test_the_success_of_the_attempt_that_follows_is_heard_of() -> None:
    events = (LAUNCH, RETRY, LAUNCH, SUCCESS)
    assert heard(*events) == [kind.value for kind, _ in events]

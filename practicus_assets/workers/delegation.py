"""Delegation: the executors of `worker_executor`, which run the steps of a run where they belong."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import dagster as dg
from dagster._core.events import EngineEventData
from dagster._core.execution.plan.objects import StepFailureData, StepRetryData, UserFailureData
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.executor.step_delegating import StepDelegatingExecutor
from dagster_shared.error import SerializableErrorInfo

from practicus_assets.errors import DeclarationError, WorkerLost, WorkerOutOfMemory, WorkerRejected, page_line
from practicus_assets.instance.events import STEP_ENDS, STEP_LAUNCH, retries, without_late_ends
from practicus_assets.workers.launch.attempt import LOST, OUT_OF_MEMORY
from practicus_assets.workers.launch.backend import backend_of, k8s_launcher, refuse_local_instance
from practicus_assets.workers.launch.handler import Failure, WorkerHandler
from practicus_assets.workers.launch.held import Holds
from practicus_assets.workers.local.run_watch import watched
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.declaration import declarations
from practicus_assets.workers.request.tags import WORKER_TAG, own_pod_tags

BY_POLICY = "RetryRequestedFromPolicy"  # as Dagster calls it where it decides about the author's exception
_LOOK_S = 1  # between two looks at a run's workers
_LONGEST_WAIT_S = 60
_PAUSES_S = {"local": 0.1, "kubernetes": 0.5}  # between two looks at a run's events


def executor_of(init_context: dg.InitExecutorContext) -> dg.Executor:
    """Return the executor of a run, as its configuration, its environment and its instance say.

    Raises:
        DeclarationError: if the configuration is wrong, or pods could not report to the instance.

    """
    config = init_context.executor_config
    configuration = Configuration.of(config)
    backend, why = backend_of(configuration, config, init_context.instance)
    retries = cast("RetryMode", RetryMode.from_config(cast("Mapping[str, Any]", config["retries"])))
    if backend == "local" and not _isolated(configuration, init_context):
        return SharedProcessExecutor(retries)
    if backend == "kubernetes":
        from practicus_assets.workers.kubernetes.pods import PodHandler  # noqa: PLC0415 takes half a second

        refuse_local_instance(init_context.instance)
        handler: WorkerHandler = PodHandler(configuration, k8s_launcher(init_context.instance))
    else:
        from practicus_assets.workers.local.processes import ProcessHandler  # noqa: PLC0415

        handler = ProcessHandler(configuration)
    at_once = configuration.max_concurrent
    return WorkerExecutor(
        handler,
        why=why,
        retries=retries,
        sleep_seconds=_PAUSES_S[backend],
        check_step_health_interval_seconds=_LOOK_S,
        max_concurrent=at_once or (os.cpu_count() if backend == "local" else None),
        tag_concurrency_limits=config.get("tag_concurrency_limits"),
    )


class SharedProcessExecutor(InProcessExecutor):
    """Runs the steps in the process of their run, and has it reported if that is killed."""

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        """Run a plan."""
        with watched(plan_context.instance, plan_context.run_id):
            yield from super().execute(plan_context, execution_plan)


class WorkerExecutor(StepDelegatingExecutor):
    """Delegates steps to workers, and decides by the class of a failure whether a step is tried again.

    Args:
        handler: the handler that starts, watches and ends workers.
        why: what decided that steps run there.
        options: the options of Dagster's `StepDelegatingExecutor`.

    """

    def __init__(self, handler: WorkerHandler, *, why: str, **options: Any) -> None:
        super().__init__(handler, **options)
        self._handler = handler
        self._why = why
        self._resumes = False

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        """Run a plan, tell the handler of each step's end, and leave no worker behind."""
        message = f"Steps run in {self._handler.name}: {self._why}."
        dg.DagsterEvent.engine_event(plan_context, message, EngineEventData())
        for mistake in self._mistakes(plan_context, execution_plan):
            dg.DagsterEvent.engine_event(plan_context, mistake, EngineEventData())
        self._resumes = plan_context.resume_from_failure
        holds = self._handler.holds = Holds.of(plan_context.job.get_definition(), execution_plan)
        try:
            for event in super().execute(plan_context, execution_plan):
                if event.step_key and event.event_type in STEP_ENDS:
                    self._handler.ended(event.step_key, succeeded=event.is_step_success)
                elif event.step_key and event.is_step_start:
                    holds.began(event.step_key)
                yield event
        except BaseException:  # Dagster's loop ends workers for an Exception, but not for an interrupt
            if _is_last(plan_context.instance, plan_context.run_id):
                self._handler.end_all()
            raise
        finally:
            holds.close()
            self._handler.finish()

    def log_failure_or_retry_event_after_error(
        self, step_context: Any, err_info: SerializableErrorInfo, known_state: Any
    ) -> dg.DagsterEvent:
        """Report that a worker failed: as a retry where another attempt may help, else as a failure."""
        step = step_context.step.key
        failure = self._handler.failure(step)
        if failure is None:
            return super().log_failure_or_retry_event_after_error(step_context, err_info, known_state)
        causes = [each[0] for _, each in retries(step_context.instance, step_context.run_id, step)]
        lost, out_of_memory = causes.count(LOST), causes.count(OUT_OF_MEMORY)
        if isinstance(failure.error, WorkerLost) and lost >= self._handler.configuration.lost_retries:
            failure.error.advice = (
                f"kubernetes: lost_retries, {self._handler.configuration.lost_retries}, is used up: "
                "find out why workers of this step get lost, or raise it."
            )
        error = SerializableErrorInfo(
            message="\n".join(
                [f"{type(failure.error).__name__}: {failure.error}", page_line(failure.error), failure.log]
            ).strip(),
            stack=[],
            cls_name=type(failure.error).__name__,
        )
        if self._tries_again(failure, lost) and not step_context.retry_mode.disabled:
            wait = min(2**lost, _LONGEST_WAIT_S) if lost else 0
            return dg.DagsterEvent.step_retry_event(step_context, StepRetryData(error, wait))
        if not isinstance(failure.error, WorkerLost | WorkerRejected):
            before = known_state.get_retry_state().get_attempt_count(step) - lost - out_of_memory
            policy = step_context.op_retry_policy
            if policy is not None and before < policy.max_retries and not step_context.retry_mode.disabled:
                wait = policy.calculate_delay(before + 1)
                by_policy = SerializableErrorInfo("", [], BY_POLICY, cause=error)
                return dg.DagsterEvent.step_retry_event(step_context, StepRetryData(by_policy, wait))
        return dg.DagsterEvent.step_failure_event(
            step_context,
            StepFailureData(
                error,
                UserFailureData(type(failure.error).__name__, str(failure.error), failure.metadata),
            ),
        )

    def _pop_events(self, instance: Any, run_id: str, seen_storage_ids: Any) -> Any:
        """Return new events, minus late end-of-step events from abandoned attempts."""
        events = list(super()._pop_events(instance, run_id, seen_storage_ids))
        if self._resumes:  # Dagster takes the first page for all that was before
            while more := super()._pop_events(instance, run_id, seen_storage_ids):
                events += more
            events, self._resumes = _launched_at_once(events), False
        return [
            each
            for each in without_late_ends(events)
            if each.event_type not in STEP_ENDS or not self._handler.is_over(each.step_key)
        ]

    def _mistakes(self, plan_context: Any, execution_plan: Any) -> Iterator[str]:
        """Yield what is wrong with the run's overrides, and with the tags of its steps."""
        for step in execution_plan.steps:
            try:
                own_pod_tags(step.tags, step.key)
            except DeclarationError as error:
                yield str(error)
        steps = {each.key for each in execution_plan.steps}
        keys = {*steps, *(key.partition("[")[0] for key in steps), "*"}
        named = {key: f"run config, workers: {key}" for key in self._handler.configuration.workers}
        tags = plan_context.dagster_run.tags
        prefix = f"{WORKER_TAG}."
        named |= {tag.removeprefix(prefix): f"run tag {tag}" for tag in tags if tag.startswith(prefix)}
        for key, source in named.items():
            if key not in keys:
                yield f"{source} names no step of this run, and changes nothing."

    def _tries_again(self, failure: Failure, lost: int) -> bool:
        if isinstance(failure.error, WorkerOutOfMemory):
            return failure.may_grow
        return isinstance(failure.error, WorkerLost) and lost < self._handler.configuration.lost_retries


def _is_last(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether no other process goes on with a run whose process ends."""
    if not instance.run_will_resume(run_id):
        return True
    run = instance.get_run_by_id(run_id)  # Dagster counts only how often it was resumed
    return run is None or run.status is dg.DagsterRunStatus.CANCELING or run.is_finished


def _launched_at_once(events: Sequence[dg.DagsterEvent]) -> list[dg.DagsterEvent]:
    """Return events in which attempts that were launched waited for nothing: Dagster would wait anew."""
    given, launched = [], set()
    for event in reversed(events):
        if event.event_type is STEP_LAUNCH:
            launched.add(event.step_key)
        elif event.is_step_up_for_retry and event.step_key in launched:
            at_once = StepRetryData(event.step_retry_data.error, None)
            event = event._replace(event_specific_data=at_once)  # noqa: PLW2901 the same one otherwise
        given.append(event)
    return given[::-1]


def _isolated(configuration: Configuration, init_context: dg.InitExecutorContext) -> bool:
    """Whether local steps have processes of their own."""
    if configuration.isolation != "auto":
        return configuration.isolation == "process"
    return bool(configuration.default.given()) or any(
        WORKER_TAG in step.tags
        for node in init_context.job.get_definition().nodes
        for step in declarations(node)
    )

"""The interface of a backend: starts, watches and ends the workers of a run's steps."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg
from dagster._core.events import EngineEventData
from dagster._core.executor.step_delegating import CheckStepHealthResult, StepHandler, StepHandlerContext

from practicus_assets.errors import DeclarationError, PracticusAssetsError, WorkerFailed, WorkerRejected
from practicus_assets.instance.events import was_launched
from practicus_assets.workers.launch.attempt import Attempt
from practicus_assets.workers.launch.held import Holds
from practicus_assets.workers.placement.configuration import Configuration


@dataclass(frozen=True)
class Failure:
    """How an attempt failed, if not in the author's code.

    Attributes:
        error: the failure, with its advice.
        may_grow: whether the next attempt would get more memory than this one had.
        metadata: for the event, see `dg.MetadataValue`.
        log: the last lines of the worker's output.

    """

    error: WorkerFailed
    may_grow: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    log: str = ""


def _refused(error: PracticusAssetsError) -> Failure:
    """Return a worker that cannot be made as a failure of its attempt."""
    failed = error if isinstance(error, WorkerFailed) else WorkerRejected(error.problem, error.advice)
    return Failure(failed)


class WorkerHandler(StepHandler):
    """Starts, watches and ends the workers of a run's steps.

    Args:
        configuration: the executor's configuration.

    Attributes:
        holds: what the run holds open for its steps.

    """

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.holds = Holds()
        self._failures: dict[str, Failure] = {}
        self._running: dict[str, Attempt] = {}
        self._over: set[str] = set()
        super().__init__()

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[Any]:
        """Start a worker; one that cannot be started is a step that failed."""
        attempt = Attempt.of(step_handler_context)
        if attempt.step in self._failures:  # as a run is resumed, which finds it lost: the next one follows
            return
        self._running[attempt.step] = attempt
        self._over.discard(attempt.step)
        attempt = replace(attempt, held=self.holds.told(attempt.step, attempt.number))
        self.holds.began(attempt.step)
        try:
            yield from self._launch(attempt)
        except PracticusAssetsError as error:
            self._failed(attempt, _refused(error))
        except Exception as error:  # noqa: BLE001 the run's other steps are none of its business
            unexpected = WorkerRejected(
                f"its worker could not be made: {type(error).__name__}: {error}.",
                "practicus-assets worker prints what would be made of it.",
            )
            self._failed(attempt, Failure(unexpected))

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """Tell whether a worker can still bring its step to an end; if not, `failure` says why."""
        attempt = Attempt.of(step_handler_context)
        if attempt.step not in self._running:  # as a run is resumed
            run_id = attempt.run.run_id
            if not was_launched(attempt.instance, run_id, attempt.step, attempt.number):
                return CheckStepHealthResult.unhealthy("the run's earlier process did not launch it")
            self._running[attempt.step] = attempt
            self._over.discard(attempt.step)
        if attempt.step not in self._failures:
            try:
                failure = self._look(attempt)
            except DeclarationError as error:
                failure = _refused(error)
            if failure is None:
                return CheckStepHealthResult.healthy()
            self._failed(attempt, failure)
        return CheckStepHealthResult.unhealthy(str(self._failures[attempt.step].error))

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[Any]:
        """End a worker."""
        self._terminate(Attempt.of(step_handler_context))
        yield from ()

    def failure(self, step: str) -> Failure | None:
        """Return, once, how the newest attempt at a step failed."""
        return self._failures.pop(step, None)

    def ended(self, step: str, *, succeeded: bool) -> None:
        """Take note that an attempt at a step has reported its end."""
        self._running.pop(step, None)
        self._failures.pop(step, None)
        self._over.add(step)
        self.holds.ended(step, succeeded=succeeded)

    def is_over(self, step: str | None) -> bool:
        """Whether the newest attempt at a step has ended: what ends it again comes from an earlier one."""
        return step in self._over

    def finish(self) -> None:
        """Clean up at the run's end."""

    def end_all(self) -> None:
        """End the workers of all steps that run."""
        for attempt in list(self._running.values()):
            self._terminate(attempt)

    def _failed(self, attempt: Attempt, failure: Failure) -> None:
        failure.error.table = failure.error.table or attempt.step
        self._failures[attempt.step] = failure
        message = f"Attempt {attempt.number} failed. {failure.error}"
        dg.DagsterEvent.engine_event(
            attempt.step_context, message, EngineEventData(metadata=failure.metadata)
        )

    @abstractmethod
    def _launch(self, attempt: Attempt) -> Iterator[dg.DagsterEvent]: ...

    @abstractmethod
    def _look(self, attempt: Attempt) -> Failure | None: ...

    @abstractmethod
    def _terminate(self, attempt: Attempt) -> None: ...

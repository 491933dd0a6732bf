"""One attempt at a step: its number, its worker, and the environment of its process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster._core.executor.step_delegating import StepHandlerContext

from practicus_assets.instance.events import retries
from practicus_assets.workers.launch import held, variables
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.declaration import StepDeclaration
from practicus_assets.workers.placement.placement import Placement
from practicus_assets.workers.request.tags import TASK_TAG
from practicus_assets.workers.request.worker import Worker

OUT_OF_MEMORY, LOST = "WorkerOutOfMemory", "WorkerLost"


@dataclass(frozen=True)
class Attempt:
    """One attempt at a step.

    Attributes:
        step: the step's key.
        number: 1 for the first.
        run: the run of the step.
        out_of_memory: the number of earlier attempts that ran out of memory.
        lost: the number of earlier attempts that lost their pod. The author's retry policy counts neither.
        held: what the attempt is told of what its run holds, see `launch.held`.

    """

    step: str
    number: int
    run: dg.DagsterRun
    out_of_memory: int
    lost: int
    _context: StepHandlerContext
    held: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, context: StepHandlerContext) -> "Attempt":
        """Return the attempt that Dagster asks for."""
        [step] = context.execute_step_args.step_keys_to_execute or [""]
        state = context.execute_step_args.known_state
        before = state.get_retry_state().get_attempt_count(step) if state is not None else 0
        run = context.dagster_run
        causes = [each[0] for _, each in retries(context.instance, run.run_id, step)] if before else []
        return cls(step, before + 1, run, causes.count(OUT_OF_MEMORY), causes.count(LOST), context)

    @property
    def is_task(self) -> bool:
        """Whether the step runs a task, which keeps its time limit itself."""
        return TASK_TAG in self._context.step_tags[self.step]

    @property
    def step_context(self) -> Any:
        """Dagster's context of the step, for events."""
        return self._context.get_step_context(self.step)

    @property
    def instance(self) -> dg.DagsterInstance:
        """To which the step reports."""
        return self._context.instance

    def placement(self, configuration: Configuration) -> Placement:
        """Return the worker that the attempt gets, and the region it goes to.

        Raises:
            DeclarationError: if what it asks for contradicts the configuration.

        """
        step_context = self.step_context
        op = step_context.job.get_definition().get_op(step_context.node_handle).definition
        declaration = StepDeclaration(self.step, op, self._context.step_tags[self.step])
        return declaration.placement(
            configuration, self.run.tags, self.instance, out_of_memory=self.out_of_memory, lost=self.lost
        )

    def environment(self, worker: Worker, roots: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that the step's process needs besides the worker's own.

        Args:
            worker: the step's worker, which says whether the step's output is captured.
            roots: the roots of the region, see `Region`.

        """
        args = self._context.execute_step_args
        state, reference = args.known_state, args.instance_ref
        if state is not None:  # the author's retry policy counts the author's attempts
            counted = self.number - 1 - self.out_of_memory - self.lost
            attempts = {**state.previous_retry_attempts, self.step: counted}
            state = state._replace(previous_retry_attempts=attempts)
        if worker.capture_logs is False and reference is not None:
            nothing = type(reference.compute_logs_data)(
                "dagster._core.storage.noop_compute_log_manager", "NoOpComputeLogManager", "{}\n"
            )
            reference = reference._replace(compute_logs_data=nothing)
        args = type(args)(
            job_origin=args.job_origin,
            run_id=args.run_id,
            step_keys_to_execute=args.step_keys_to_execute,
            instance_ref=reference,
            retry_mode=args.retry_mode,
            known_state=state,
        )
        environment = {each["name"]: each["value"] for each in args.get_command_env()}
        of_step = variables.of_step(self.run.job_name, self.step, self.number, roots)
        return environment | of_step | held.environment(self.held)

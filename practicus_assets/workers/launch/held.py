"""What the process of a run holds open for its steps, which are processes or pods of their own.

A resource that loads inputs can ask for it: a source, whose steps all read the state of one open connection.
Each step is told a text by which it finds what is held.
"""

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from practicus_assets import errors
from practicus_assets.errors import PracticusAssetsError, SourceChanged, SourceFailed
from practicus_assets.workers.launch import variables

_RUNS, _SUCCEEDED = "runs", "succeeded"


class Hold(Protocol):
    """Something that is held open."""

    @property
    def text(self) -> str | None:
        """What the steps are told; None if there is nothing to tell."""

    def is_open(self) -> bool:
        """Whether it is still what the steps were told."""

    def close(self) -> None:
        """Let go of it."""


@runtime_checkable
class Holder(Protocol):
    """A resource definition that wants something held for the steps whose inputs it loads."""

    def hold_key(self) -> str | None:
        """Return what tells holds apart, as people read it; None if nothing is to be held."""

    def hold(self, sharers: Sequence[Any]) -> Hold:
        """Open it for all holders of its key, of which this is one.

        Raises:
            PracticusAssetsError: which the step that needs it is told, and raises.

        """


def loaders(job: Any, step: Any) -> list[Any]:
    """Return the resource definitions by which a step loads assets that its run does not make.

    Args:
        job: the job's definition.
        step: the step of its execution plan.

    """
    keys = {
        key
        for loaded in step.step_inputs
        for key in loaded.source.required_resource_keys(job, step.node_handle, loaded.name)
    }
    return [job.resource_defs[key] for key in sorted(keys) if key in job.resource_defs]


class Holds:
    """What a run holds for those of its steps that share it; nothing for a step that is the only one."""

    def __init__(self) -> None:
        self._holders: dict[str, dict[str, list[Holder]]] = defaultdict(dict)  # by key and step
        self._open: dict[str, Hold] = {}
        self._steps: dict[str, str] = {}

    @classmethod
    def of(cls, job: Any, plan: Any) -> "Holds":
        """Return what a run is to hold, of which nothing is open yet.

        Args:
            job: the job's definition.
            plan: the run's execution plan.

        """
        holds = cls()
        for step in plan.steps:
            for holder in loaders(job, step) if step.key in plan.step_keys_to_execute else ():
                key = holder.hold_key() if isinstance(holder, Holder) else None
                if key is not None:
                    holds._holders[key].setdefault(step.key, []).append(holder)
        return holds

    def told(self, step: str, attempt: int) -> dict[str, Any]:
        """Return what an attempt at a step is told, by key; what is not open yet is opened.

        Args:
            step: the step's key.
            attempt: the attempt's number; further ones make sure that what is held is still there.

        """
        answers: dict[str, Any] = {}
        for key, holders in self._holders.items():
            if step not in holders or len(holders) == 1:
                continue
            try:
                text = self._hold(key, step, attempt).text
            except PracticusAssetsError as error:
                answers[key] = {"error": [type(error).__name__, error.problem, error.advice]}
            except Exception as error:  # noqa: BLE001 a driver's text may quote a password
                problem = f"the process of the run cannot hold {key}: {type(error).__name__}."
                answers[key] = {"error": [SourceFailed.__name__, problem, ""]}
            else:
                answers |= {key: {"text": text}} if text is not None else {}
        return answers

    def began(self, step: str) -> None:
        """Take note that an attempt at a step has begun, be it in an earlier process of the run."""
        self._steps[step] = _RUNS

    def ended(self, step: str, *, succeeded: bool) -> None:
        """Take note that an attempt at a step has ended; what no step needs any more is closed."""
        self._steps[step] = _SUCCEEDED if succeeded else ""
        for key, holders in self._holders.items():
            if key in self._open and all(self._steps.get(each) == _SUCCEEDED for each in holders):
                self._open.pop(key).close()

    def close(self) -> None:
        """Let go of everything."""
        while self._open:
            self._open.popitem()[1].close()

    def _hold(self, key: str, step: str, attempt: int) -> Hold:
        hold = self._open.get(key)
        if hold is not None and attempt > 1 and not hold.is_open():
            self._open.pop(key).close()
            hold = None
        if hold is None:
            others = [each for each in self._holders[key] if each != step and self._steps.get(each)]
            if others:
                raise SourceChanged(
                    f"what the process of this run held of {key} is gone, which {', '.join(sorted(others))} "
                    "read: its connection was lost, or the process was started again.",
                    "Run all steps that read it again, together: only so they see one state.",
                )
            sharers = [holder for of_step in self._holders[key].values() for holder in of_step]
            hold = self._open[key] = self._holders[key][step][0].hold(sharers)
        return hold


def environment(answers: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variable by which a step learns what it is told."""
    return {variables.HELD: json.dumps(dict(answers))} if answers else {}


def held(key: str) -> str | None:
    """Return what the step of this process was told of what its run holds; None if nothing.

    Raises:
        PracticusAssetsError: if the run could not hold it.

    """
    answer = json.loads(os.environ.get(variables.HELD, "{}")).get(key)
    if answer is None:
        return None
    if "error" in answer:
        kind, problem, advice = answer["error"]
        raise getattr(errors, kind)(problem, advice)
    return str(answer["text"])

"""Conditions: when a table, or a partition of it, is requested without anybody asking."""

from typing import Any

import dagster as dg

from practicus_assets.automation.equal_rows import EqualRows
from practicus_assets.automation.first_observed import FirstObserved
from practicus_assets.automation.newer_inputs import NewerInputs
from practicus_assets.automation.nonexistent_inputs import NonexistentInputs
from practicus_assets.parameters import named_parameters

Condition = dg.AutomationCondition[Any]

_C = dg.AutomationCondition


@named_parameters
def when_inputs_ready(*, all_partitions: bool = False) -> Any:
    """Return the condition that requests a table when an input has other data, and all inputs are ready.

    A partition is requested once for each change: when the data version of an input partition that it depends
    on changed, or when it has become missing. Rows that were made again and are equal are no change, and
    neither is the first observation of a source for a table that is there. Before it is requested, every
    input partition that its mapping needs exists and was made or observed, none is in progress or failed,
    no blocking check of them runs or failed, and it is not in progress itself. What waits for one of these
    is not lost, and neither is a change during a run that began before it. A request whose run fails is not
    repeated before the next change.

    What was made or missing when the condition was first evaluated requests nothing. It composes with
    Dagster's own, and is evaluated by a sensor of `build_condition_sensor`.

    Args:
        all_partitions: whether all partitions are requested, and not only those of the newest time window.

    """
    other = _C.data_version_changed() & ~EqualRows()
    first = _C.missing() & _C.any_deps_match(other)
    changed = (_C.any_deps_match(other & ~FirstObserved()) | first).with_label("inputs_changed")
    current = _C.newly_updated() & ~_newer_inputs()
    handled = ((_C.newly_requested() & ~changed) | current | _C.initial_evaluation()).with_label("handled")
    wanted = (_C.missing().newly_true().with_label("newly_missing") | changed).since(handled)
    return _condition("when_inputs_ready", wanted, all_partitions=all_partitions)


@named_parameters
def on_missing(*, all_partitions: bool = False) -> Any:
    """Return the condition that requests each new partition of a table once, when its inputs are ready.

    What ready means, and how it is evaluated, see `when_inputs_ready`. A partition that was made is not
    requested again when its inputs change.

    Args:
        all_partitions: whether all partitions are requested, and not only those of the newest time window.

    """
    handled = (_C.newly_requested() | _C.initial_evaluation()).with_label("handled")
    wanted = _C.missing() & _C.missing().newly_true().with_label("newly_missing").since(handled)
    return _condition("on_missing", wanted, all_partitions=all_partitions)


@named_parameters
def on_new_code(*, all_partitions: bool = False) -> Any:
    """Return the condition that requests a table once for each change of its `code_version`.

    What has to be ready before, and how it is evaluated, see `when_inputs_ready`.

    Args:
        all_partitions: whether all partitions are requested, and not only those of the newest time window.

    """
    changed = _C.code_version_changed()
    handled = ((_C.newly_requested() & ~changed) | _C.initial_evaluation()).with_label("handled")
    return _condition("on_new_code", changed.since(handled), all_partitions=all_partitions)


def inputs_ready() -> Any:
    """Return the condition that every input of a partition is there, and that nothing is wrong with it."""
    blocking = _C.check_failed() | _C.run_in_progress()
    return (
        ~_C.any_deps_match(_C.missing()).with_label("any_inputs_missing")
        & ~NonexistentInputs(operand=_C.missing())
        & ~_C.any_deps_in_progress()
        & ~_C.any_deps_match(_C.execution_failed()).with_label("any_inputs_failed")
        & ~_C.any_deps_match(_C.any_checks_match(blocking, blocking_only=True)).with_label(
            "any_inputs_blocked"
        )
    ).with_label("inputs_ready")


def _condition(label: str, wanted: Any, *, all_partitions: bool) -> Any:
    condition = wanted & inputs_ready() & ~_C.in_progress()
    if not all_partitions:
        condition = _C.in_latest_time_window() & condition
    return condition.with_label(label)


def _newer_inputs() -> NewerInputs:
    return NewerInputs(operand=_C.newly_updated())

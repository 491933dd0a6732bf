"""Settings of a dag: its schedule, retries and parameters, as the call of `DAG` or `@dag` has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from practicus_assets.redaction import is_secret
from practicus_assets.workflows.practicus.syntax.evaluation import Zone
from practicus_assets.workflows.practicus.syntax.expression import Unread
from practicus_assets.workflows.practicus.syntax.remarks import Remarks

_READ = {  # keywords of a dag that have a counterpart, or need none
    "dag_id",
    "schedule_interval",
    "schedule",
    "start_date",
    "default_args",
    "catchup",
    "params",
    "max_active_runs",
    "description",
    "tags",
    "doc_md",
    "dag_display_name",
}
_DEFAULT_ARGS = {"owner", "retries", "retry_delay", "start_date"}
_KINDS: dict[Any, str] = {list: "a list", dict: "a mapping"}


@dataclass(frozen=True)
class DagSettings:
    """What a dag says of all of its tasks.

    Attributes:
        schedule: a cron expression or a preset; None for none.
        has_schedule: whether it says anything of a schedule, None included.
        timezone: the time zone of the schedule; None for UTC.
        owner: the owner of all tasks; None if only a run would tell.
        retries: how often a failed task is tried again.
        retry_delay_seconds: the time between attempts.
        parameters: of a run, with their defaults.
        max_active_runs: how many runs may be in progress; None for any number.

    """

    schedule: str | None = None
    has_schedule: bool = False
    timezone: str | None = None
    owner: str | None = None
    retries: int = 0
    retry_delay_seconds: float = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    max_active_runs: int | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any], remarks: Remarks) -> "DagSettings":
        """Return what the keywords of a dag say.

        Args:
            given: their values.
            remarks: takes what is not understood, or has no counterpart.

        """
        for name in sorted(set(given) - _READ):
            remarks.say(f"{name} of the dag has no counterpart")
        if given.get("catchup") is True:
            remarks.say("catchup=True: a schedule runs from when it is turned on; use partitions to catch up")
        defaults = given.get("default_args") or {}
        if not isinstance(defaults, dict):
            remarks.say(f"default_args, {defaults}, only a run would tell: there are no retries")
            defaults = {}
        for name in sorted(set(map(str, defaults)) - _DEFAULT_ARGS):
            remarks.say(f"{name} of default_args has no counterpart")
        start = given.get("start_date", defaults.get("start_date"))
        return cls(
            _schedule(given, remarks),
            "schedule" in given or "schedule_interval" in given,
            start.name if isinstance(start, Zone) and start.name != "UTC" else None,
            _known(defaults, "owner", str, remarks),
            _known(defaults, "retries", int, remarks) or 0,
            _seconds(_known(defaults, "retry_delay", timedelta | int | float, remarks)),
            _parameters(given, remarks),
            _known(given, "max_active_runs", int, remarks),
        )


def _schedule(given: Mapping[str, Any], remarks: Remarks) -> str | None:
    schedule = given.get("schedule", given.get("schedule_interval"))
    if schedule is None or isinstance(schedule, str):
        return schedule
    listed = schedule if isinstance(schedule, list) else [schedule]
    shown = f"every {schedule}" if isinstance(schedule, timedelta) else ", ".join(map(str, listed[:5]))
    remarks.say(f"the schedule is {shown}, which is no cron expression: there is none")
    return None


def _parameters(given: Mapping[str, Any], remarks: Remarks) -> dict[str, Any]:
    params = given.get("params") or {}
    if not isinstance(params, dict):
        if not (isinstance(params, Unread) and "get_airflow_params" in params.text):
            remarks.say(f"the parameters, {params}, only a run would tell")
        return {}
    found: dict[str, Any] = {}
    for name, value in params.items():
        if value and is_secret(str(name), str(value)):
            remarks.say(f"the default of the parameter {name} is a secret, and is left out")
            found[str(name)] = ""
        elif isinstance(value, str | int | float | None):
            found[str(name)] = "" if value is None else value
        else:
            kind = _KINDS.get(type(value), str(value))
            remarks.say(f"the parameter {name} is {kind}, which is no text, number or truth value")
    return found


def _known(entries: Mapping[str, Any], name: str, kind: Any, remarks: Remarks) -> Any:
    value = entries.get(name)
    if isinstance(value, kind) and not isinstance(value, bool):
        return value
    if value is not None and name != "owner":  # that is the name of whoever exported the folder
        remarks.say(f"{name} is {value}, which only a run would tell: it is left out")
    return None


def _seconds(delay: timedelta | float | None) -> float:
    return delay.total_seconds() if isinstance(delay, timedelta) else float(delay or 0)

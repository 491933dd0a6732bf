"""What a task is told of the run: environment variables, and files for what is too long for one."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from practicus_assets.errors import DeclarationError
from practicus_assets.tasks import stand_in, variables
from practicus_assets.workers.launch.variables import working_folder

_MOST_BYTES = 100_000  # of a variable; Linux takes 128 KiB with its name (MAX_ARG_STRLEN)


def environment(
    context: dg.AssetExecutionContext, parameters: Mapping[str, Any], attempt: int, beside: Path
) -> dict[str, str]:
    """Return the environment variables of a task.

    Args:
        context: the step's.
        parameters: further variables, by name; what is no text is written as JSON.
        attempt: the attempt's number, from 1.
        beside: a folder for files that variables name.

    """
    told = _of_run(context, parameters, attempt)
    file = beside / "parameters.json"
    file.write_text(json.dumps(dict(parameters)), encoding="utf-8")
    told[variables.PARAMETERS_FILE] = str(file)
    if keys := _keys(context):
        file = beside / "partition_keys.json"
        file.write_text(json.dumps(keys), encoding="utf-8")
        told[variables.PARTITION_KEYS_FILE] = str(file)
    # a task may materialize assets, and what it was told is not what their tasks are
    inherited = {name: value for name, value in os.environ.items() if name not in variables.TOLD}
    # what the run's processes can import, its scripts can, too; their own folder comes first in Python
    paths = [str(working_folder()), *inherited.get("PYTHONPATH", "").split(os.pathsep)]
    paths += [str(stand_in.FOLDER)] if stand_in.is_needed() else []
    inherited["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    inherited["PATH"] = _with_own_python(inherited.get("PATH", os.defpath))
    return {**inherited, **told}


def by_value(
    context: dg.AssetExecutionContext, parameters: Mapping[str, Any], attempt: int
) -> dict[str, str]:
    """Return the environment variables of a command that shares no files, and no variables, with its step.

    Args:
        context: the step's.
        parameters: further variables, by name; what is no text is written as JSON.
        attempt: the attempt's number, from 1.

    Raises:
        DeclarationError: for more than a variable can hold.

    """
    told = _of_run(context, parameters, attempt)
    told[variables.PARAMETERS] = json.dumps(dict(parameters))
    if keys := _keys(context):
        told[variables.PARTITION_KEYS] = json.dumps(keys)
    refuse_long(told)
    return told


def refuse_long(told: Mapping[str, str]) -> None:
    """Raise DeclarationError for a variable that is longer than a process can be given."""
    for name, value in told.items():
        if len(value.encode()) > _MOST_BYTES:
            raise DeclarationError(
                f"the command would be told {len(value.encode()):,} bytes by the variable {name}, more than "
                f"the {_MOST_BYTES:,} that a pod's variable can be.",
                "Run fewer partitions at a time: backfill_policy=dg.BackfillPolicy.multi_run(100).",
            )


def _of_run(context: dg.AssetExecutionContext, parameters: Mapping[str, Any], attempt: int) -> dict[str, str]:
    """Return what a task is told by value, beside its parameters."""
    told = {
        variables.ASSET_KEY: "\n".join(sorted(key.to_user_string() for key in context.selected_asset_keys)),
        variables.RUN_ID: context.run.run_id,
        variables.ATTEMPT: str(attempt),
        **_of_partitions(context),
    }
    given = {name: _text(value) for name, value in parameters.items()}
    if given.get(variables.EXECUTION_DATE):  # who asks for a day means it
        told[variables.EXECUTION_DATE] = given[variables.EXECUTION_DATE]
    told.setdefault(variables.EXECUTION_DATE, _made(context).date().isoformat())
    return {**given, **told}


def _keys(context: dg.AssetExecutionContext) -> list[str]:
    is_partitioned = context.has_partition_key or context.has_partition_key_range
    return list(context.partition_keys) if is_partitioned else []


def _of_partitions(context: dg.AssetExecutionContext) -> dict[str, str]:
    keys = _keys(context)
    if not keys:
        return {}
    told = {variables.PARTITION_KEY: keys[0]} if len(keys) == 1 else {}
    if _has_window(context.assets_def.partitions_def):
        window = context.partition_time_window
        told[variables.WINDOW_START] = window.start.isoformat()
        told[variables.WINDOW_END] = window.end.isoformat()
        told[variables.EXECUTION_DATE] = window.start.date().isoformat()
    return told


def _has_window(partitions_def: dg.PartitionsDefinition[Any] | None) -> bool:
    """Return whether partitions are of time, or have one dimension that is."""
    if isinstance(partitions_def, dg.MultiPartitionsDefinition):
        dimensions = [dimension.partitions_def for dimension in partitions_def.partitions_defs]
        return sum(isinstance(each, dg.TimeWindowPartitionsDefinition) for each in dimensions) == 1
    return isinstance(partitions_def, dg.TimeWindowPartitionsDefinition)


def _made(context: dg.AssetExecutionContext) -> datetime:
    record = context.instance.get_run_record_by_id(context.run.run_id)
    return record.create_timestamp if record is not None else datetime.now(UTC)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _with_own_python(path: str) -> str:
    """Return a PATH on which `python` and `python3` are those of this process, where it has them."""
    own = str(Path(sys.executable).parent)
    for name in ("python", "python3"):
        first = shutil.which(name, path=path)
        if Path(own, name).exists() and (first is None or str(Path(first).parent) != own):
            return os.pathsep.join([own, path])
    return path

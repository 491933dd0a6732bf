"""`task_asset`: a Dagster asset that is made by a script or a command, in its worker."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

import dagster as dg

from practicus_assets.assets.asset_options import AssetOptions, refuse_mistaken, refuse_others
from practicus_assets.assets.io_manager import lake_of
from practicus_assets.assets.report.lineage import file_reference
from practicus_assets.assets.report.names import CODE_REFERENCES
from practicus_assets.assets.table_asset import table_asset
from practicus_assets.errors import DeclarationError, TaskFailed, naming_page
from practicus_assets.redaction import is_secret
from practicus_assets.tasks.artifacts import LIMIT, Artifacts
from practicus_assets.tasks.execution import Execution, Report
from practicus_assets.tasks.exit_codes import ExitCodes, Meaning
from practicus_assets.tasks.folder import workspace
from practicus_assets.tasks.program import Program, folder_of
from practicus_assets.tasks.tables.rows import TaskRows
from practicus_assets.tasks.tables.several import TABLE_OPTIONS, refuse_unknown_options, several_tables
from practicus_assets.workers.placement.declaration import WorkerOf, declare
from practicus_assets.workers.request.tags import BARE_IMAGE_TAG, TASK_TAG
from practicus_assets.workers.request.worker import Worker

if TYPE_CHECKING:
    from practicus_assets.assets.table_definition import TableDefinition

_OWN = (
    "arguments",
    "parameters",
    "table",
    "tables",
    "artifacts",
    "artifacts_limit",
    "exit_codes",
    "copy_folder",
    "bare_image",
    "worker",
)


def task_asset(
    program: str | Path | Sequence[str],
    *,
    arguments: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    table: Mapping[str, Any] | None = None,
    tables: Mapping[str, Mapping[str, Any]] | None = None,
    artifacts: Sequence[str] = (),
    artifacts_limit: str = LIMIT,
    exit_codes: Mapping[int, Meaning] | None = None,
    copy_folder: bool = True,
    bare_image: bool = False,
    worker: Worker | WorkerOf | None = None,
    **asset_options: Unpack[AssetOptions],
) -> dg.AssetsDefinition:
    """Make a script, a shell script, a notebook or a command a Dagster asset.

    It runs in the step's worker, in a copy of its folder, and its exit code says how it ended. docs/tasks.md
    has what it is told, and what it can report.

    Args:
        program: a file that ends in `.py`, `.sh` or `.ipynb` (or a notebook as jupytext writes it), relative
            to the folder of the module that calls this; or a command, as a list of its words.
        arguments: further arguments of the program.
        parameters: environment variables of the program by name, with their defaults: texts, numbers, truth
            values, or `dg.EnvVar` for a variable of the step's process. The Launchpad can set them.
        table: makes the asset a Delta table, of the rows that the script gives by
            `practicus_assets.task.table(name)`: the options of `table_asset` that are about the table, such
            as `contract` and `partition_by`; `{}` if there are none.
        tables: makes the task the step of several assets that are Delta tables: by the name of each, such
            options, and those of `dg.asset` that are its own, such as `description`. A run may select some.
        artifacts: patterns of files in the task's folder that are kept when it has ended (`Path.glob`).
        artifacts_limit: the most bytes that artifacts of one attempt may have together, e.g. "4Gi". Beyond it
            none is kept, and the step fails.
        exit_codes: what an exit code means: "succeed", "skip", "retry" or "fail". 0 succeeds, 75 is retried
            and 99 skips; any other is a failure, about which the retry policy decides.
        copy_folder: whether the script runs in a copy of its folder, which is removed after it. Otherwise it
            runs in the folder itself.
        bare_image: whether the worker's image has neither Python nor this package: in a cluster the command
            runs in it, in a pod of its own that has what the worker says and no more.
        worker: what a step asks of the place where it runs, or a function from partition key to that. A
            `time_limit_seconds` holds for processes of this machine, too.
        asset_options: what `dg.asset` takes. The name is by default that of the file, and `code_version` a
            hash of it.

    Raises:
        DeclarationError: if there is no such file, or settings contradict each other.

    Example:
        `load = task_asset("load.sh", deps=["orders"], worker=Worker(size="Large"))`

    """
    refuse_others(asset_options, _OWN)
    refuse_mistaken(asset_options)
    made_of = Program.of(program, arguments, folder_of(sys._getframe(1)))  # noqa: SLF001 as warnings do
    execution = Execution(
        made_of,
        not copy_folder,
        bare_image,
        ExitCodes(exit_codes or {}),
        Artifacts(_patterns(artifacts, made_of), artifacts_limit),
        worker.time_limit_seconds if isinstance(worker, Worker) else None,
    )
    options: dict[str, Any] = {"io_manager_key": "io_manager", **asset_options}
    if options.get("name") is None and options.get("key") is None:
        options["name"] = made_of.name
    options.setdefault("code_version", made_of.code_version)
    options["metadata"] = {**_reference(made_of), **(options.get("metadata") or {})}
    is_python = made_of.file is not None and made_of.file.suffix == ".py"
    kind = "jupyter" if made_of.outputs else "python" if is_python else "shell"
    options["kinds"] = {kind, *(options.get("kinds") or ())}
    options["op_tags"] = {TASK_TAG: made_of.name, **(options.get("op_tags") or {})}
    defaults = dict(parameters or {})
    if bare_image:
        _refuse_files(made_of, worker, defaults, {"table": table, "tables": tables, "artifacts": artifacts})
        options["op_tags"][BARE_IMAGE_TAG] = "yes"
    if defaults and options.get("config_schema") is not None:
        raise DeclarationError("the task has parameters and a config_schema.", "Declare parameters alone.")
    if defaults:
        options["config_schema"] = {name: _field(name, value) for name, value in defaults.items()}
    if tables is not None:
        if table is not None:
            raise DeclarationError("the task has table and tables.", "Declare one of them.")
        return several_tables(execution, tables, worker, options)
    if table is not None:
        return _table(execution, table, worker, options)
    return _plain(execution, worker, options)


def _plain(
    execution: Execution, worker: Worker | WorkerOf | None, options: dict[str, Any]
) -> dg.AssetsDefinition:
    """Return the asset of a task that owns no table."""
    lake_key = options["io_manager_key"] if execution.artifacts.patterns else None

    def compute(context: dg.AssetExecutionContext) -> Iterator[Any]:
        lake = lake_of(context, lake_key) if lake_key else None
        with naming_page():
            with workspace(execution.copied) as place:
                tables = place.beside / "tables"
                tables.mkdir()
                config = context.op_execution_context.op_config or {}
                report = execution.run(context, place, config, lake, tables)
            if report.failure is None:
                _refuse_missing(context, report)
            if report.succeeded:
                key = context.asset_key
                data_version = report.data_version(key)
                yield dg.MaterializeResult(metadata=report.metadata(key), data_version=data_version)
            yield from report.check_results
            if report.failure is not None:
                raise report.failure

    name = options.get("name") or dg.AssetKey.from_coercible(options["key"]).path[-1]
    compute.__name__ = name
    options["op_tags"] = declare(worker, compute, options, name)
    options["output_required"] = False
    if lake_key is not None:
        options["required_resource_keys"] = {lake_key, *(options.get("required_resource_keys") or ())}
    return cast("dg.AssetsDefinition", dg.asset(**options)(compute))


def _table(
    execution: Execution, table: Mapping[str, Any], worker: Worker | WorkerOf | None, options: dict[str, Any]
) -> dg.AssetsDefinition:
    """Return the asset of a task that owns a table."""
    refuse_unknown_options("table", table, TABLE_OPTIONS)
    lake_key, required = options["io_manager_key"], options.get("output_required", True)

    def rows(context: dg.AssetExecutionContext) -> Iterator[Any]:
        lake = lake_of(context, lake_key) if execution.artifacts.patterns else None
        with workspace(execution.copied) as place:
            tables = place.beside / "tables"
            tables.mkdir()
            given = TaskRows.of(tables, context.asset_key, asset.terms)
            report = execution.run(context, place, context.op_execution_context.op_config or {}, lake, tables)
            yield from report.check_results
            if report.failure is not None:
                raise report.failure
            yield from given.reported(report, context.asset_key, required=required)

    rows.__name__ = options.get("name") or dg.AssetKey.from_coercible(options["key"]).path[-1]
    options["output_required"] = False  # an exit code may say that the task skips
    decorate = cast("Callable[[Any], TableDefinition]", table_asset(worker=worker, **table, **options))
    asset = decorate(rows)
    return asset


def _refuse_missing(context: dg.AssetExecutionContext, report: Report) -> None:
    """Raise TaskFailed if the task ended without the result of a check: Dagster wants one of each."""
    found = {result.check_name for result in report.check_results}
    missing = [spec.name for spec in context.assets_def.check_specs if spec.name not in found]
    if missing:
        raise TaskFailed(
            f"the task ended without a result of the check {missing[0]!r}, which its asset declares.",
            f'Report it, by pipes.report_asset_check("{missing[0]}", passed=…) of Dagster Pipes, also where '
            "the task skips; or make it an asset check of its own.",
        )


def _refuse_files(
    program: Program, worker: Any, parameters: Mapping[str, Any], others: Mapping[str, object]
) -> None:
    """Raise DeclarationError for what a command cannot have whose image shares no files with its step."""
    given = [name for name, value in others.items() if value]
    if program.file is not None:
        raise DeclarationError(
            f"bare_image is declared of the file {program.file.name}, which such an image does not have.",
            'Give a command that the image has, e.g. task_asset(["report", "--daily"], bare_image=True).',
        )
    if given:
        raise DeclarationError(
            f"bare_image and {given[0]} are declared: the command shares no files with its step.",
            "Let it write to a store, or use an image with this package.",
        )
    if worker is None or (isinstance(worker, Worker) and worker.image is None):
        raise DeclarationError(
            "bare_image is declared, and no image.", 'Name it: worker=Worker(image="registry/report:3").'
        )
    for name, value in parameters.items():
        if isinstance(value, dg.EnvVar):
            raise DeclarationError(
                f"the parameter {name!r} is dg.EnvVar, which the Job of the command would show.",
                'Give it to the worker by a Kubernetes Secret: Worker(secrets=["…"]).',
            )


def _patterns(artifacts: Sequence[str], program: Program) -> Sequence[str]:
    return artifacts if isinstance(artifacts, str) else (*artifacts, *program.outputs)


def _reference(program: Program) -> dict[str, Any]:
    return {CODE_REFERENCES: file_reference(program.file, 1)} if program.file is not None else {}


def _field(name: str, value: Any) -> Any:
    """Return the configuration field of a parameter.

    Raises:
        DeclarationError: for a default that configuration cannot have, or that must not be shown in it.

    """
    if isinstance(value, dg.EnvVar):
        return dg.Field(dg.StringSource, default_value={"env": value.env_var_name})
    if isinstance(value, str) and value and is_secret(name, value):
        raise DeclarationError(
            f"the parameter {name!r} looks like a secret and has a default, which Dagster would show.",
            "Leave it out: a task has the variables of its worker. Give it to that by a Kubernetes Secret, "
            f'Worker(secrets=["…"]), or set it for the process; or write dg.EnvVar("{name}") as the default.',
        )
    return dg.Field(_config_type(name, value), default_value=value)


def _config_type(name: str, value: Any) -> Any:
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind
    raise DeclarationError(
        f"the parameter {name!r} has the default {value!r}.", "Give a text, a number or a truth value."
    )

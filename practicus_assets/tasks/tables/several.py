"""Several tables of one task: all are audited before one is committed, each in a transaction of its own."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import dagster as dg

from practicus_assets.assets.io_manager import DeltaIOManager, lake_of
from practicus_assets.assets.runs import until_end
from practicus_assets.assets.table_asset import table_asset
from practicus_assets.assets.table_definition import TableDefinition, TablesDefinition
from practicus_assets.assets.writes.checks_alone import evaluations
from practicus_assets.assets.writes.table_write import TableWrite
from practicus_assets.assets.writes.terms import TableTerms
from practicus_assets.errors import DeclarationError, did_you_mean, naming_page
from practicus_assets.lake.transactions.effect import Stopwatch
from practicus_assets.tasks.execution import Execution, Report
from practicus_assets.tasks.folder import workspace
from practicus_assets.tasks.tables.commits import Commits
from practicus_assets.tasks.tables.rows import TaskRows
from practicus_assets.wording import enumerated
from practicus_assets.workers.placement.declaration import WorkerOf, declare
from practicus_assets.workers.request.worker import Worker

TABLE_OPTIONS = frozenset(
    {
        "partition_by",
        "contract",
        "mode",
        "merge_keys",
        "delete_unmatched",
        "history_keys",
        "sequence_by",
        "apply_as_deletes",
        "on_schema_change",
        "table_properties",
        "protected",
    }
)
"""What a task says of its table; the rest are options of its asset."""

_OF_EACH_ASSET = frozenset(
    {
        "key_prefix",
        "deps",
        "metadata",
        "tags",
        "description",
        "group_name",
        "automation_condition",
        "freshness_policy",
        "code_version",
        "owners",
        "kinds",
        "output_required",
    }
)
_OF_ALL = frozenset({"partitions_def", "io_manager_key"})
_OF_THE_STEP = frozenset(
    {
        "config_schema",
        "required_resource_keys",
        "resource_defs",
        "hooks",
        "backfill_policy",
        "op_tags",
        "retry_policy",
        "pool",
    }
)


@dataclass(frozen=True)
class _Tables:
    """What the step of a task with several tables does.

    Attributes:
        execution: how the task is run.
        terms: what is declared of each table, in the order in which they are committed.
        required: the tables of which the task must give rows.
        io_manager_key: the resource key of their lake.

    """

    execution: Execution
    terms: Mapping[dg.AssetKey, TableTerms]
    required: frozenset[dg.AssetKey]
    io_manager_key: str

    def materialize(self, context: dg.AssetExecutionContext) -> Iterator[Any]:
        """Run the task, commit its tables, and yield what Dagster is to record."""
        lake = lake_of(context, self.io_manager_key)
        wanted = [key for key in self.terms if key in context.selected_asset_keys]
        commits = Commits([TableWrite(context, key, lake, self.terms[key]) for key in wanted])
        if commits.pending:
            try:
                yield from self._prepared(context, lake, commits)
                commits.land()
            except BaseException as error:
                commits.discard()
                if isinstance(error, Exception):
                    yield from commits.report_earlier()
                raise
        yield from commits.report()

    def _prepared(
        self, context: dg.AssetExecutionContext, lake: DeltaIOManager, commits: Commits
    ) -> Iterator[Any]:
        """Run the task, and stage and audit the rows that it gives."""
        pending = {write.key for write in commits.pending}
        with workspace(self.execution.copied) as place:
            folder = place.beside / "tables"
            folder.mkdir()
            given = {
                key: TaskRows.of(folder, key, terms, is_wanted=key in pending)
                for key, terms in self.terms.items()
            }
            config = context.op_execution_context.op_config or {}
            kept_in = lake if self.execution.artifacts.patterns else None
            with Stopwatch() as running:
                report = self.execution.run(context, place, config, kept_in, folder)
            commits.took(running.seconds)
            if report.failure is not None:
                yield from (result for result in report.check_results if _is_selected(result, context))
                raise report.failure
            yield from commits.prepare({key: partial(self._rows, key, given[key], report) for key in pending})

    def _rows(self, key: dg.AssetKey, given: TaskRows, report: Report) -> Iterator[Any]:
        yield from (result for result in report.check_results if result.asset_key == key)
        yield from given.reported(report, key, required=key in self.required)


def several_tables(
    execution: Execution,
    tables: Mapping[str, Mapping[str, Any]],
    worker: Worker | WorkerOf | None,
    options: Mapping[str, Any],
) -> dg.AssetsDefinition:
    """Return the assets of a task that owns several tables.

    Args:
        execution: how the task is run.
        tables: what is declared of each, by its name.
        worker: what the step asks of the place where it runs.
        options: those of `dg.asset`, of the task as a whole.

    Raises:
        DeclarationError: for a table that cannot be, and options that are none of several.

    """
    if not isinstance(tables, Mapping) or not tables:
        raise DeclarationError(
            f"tables is {tables!r}.", 'Give options by the name of each table: tables={"a": {}, "b": {}}.'
        )
    for option, value in options.items():
        if option not in {"name", *_OF_EACH_ASSET, *_OF_ALL, *_OF_THE_STEP, "check_specs"} and value:
            raise DeclarationError(
                f"a task of several tables takes no {option}.", "A table's name, with key_prefix, is its key."
            )
    name = options.get("name") or execution.program.name
    made = {key: _table(key, of_table, options) for key, of_table in tables.items()}
    terms = {asset.key: asset.terms for asset in made.values()}
    if len(terms) < len(tables):
        raise DeclarationError(f"two of the tables {enumerated(list(tables))} have one key.", "Rename one.")
    _refuse_strangers(options.get("check_specs") or (), terms)
    required = {
        asset.key
        for key, asset in made.items()
        if tables[key].get("output_required", options.get("output_required", True))
    }
    io_manager_key = options["io_manager_key"]
    step = _Tables(execution, terms, frozenset(required), io_manager_key)

    def compute(context: dg.AssetExecutionContext) -> Iterator[Any]:
        with until_end(context), naming_page():
            yield from step.materialize(context)

    compute.__name__ = name
    of_step: dict[str, Any] = {option: options[option] for option in _OF_THE_STEP if option in options}
    of_step["op_tags"] = declare(worker, compute, options, name)
    specs = [spec for asset in made.values() for spec in asset.check_specs]
    assets = dg.multi_asset(
        name=name,
        specs=[asset.get_asset_spec().with_io_manager_key(io_manager_key) for asset in made.values()],
        check_specs=specs,
        can_subset=True,
        **of_step,
    )(compute)
    partitions_def = options.get("partitions_def")

    def evaluate(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        yield from evaluations(context, terms.__getitem__, partitions_def, io_manager_key)

    checks = None
    if specs:
        checks = dg.multi_asset_check(
            name=f"{name}_checks",
            specs=specs,
            description=f"Evaluates the contracts of the tables of {name} on the tables as they are.",
            can_subset=True,
            op_tags=declare(worker, evaluate, options, name),
            required_resource_keys={io_manager_key},
            retry_policy=options.get("retry_policy"),
            pool=options.get("pool"),
        )(evaluate)
    return TablesDefinition.of_several(assets, checks)


def refuse_unknown_options(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise DeclarationError for an option that a table of a task does not have."""
    options = sorted(known)
    unknown = sorted(set(given) - set(options))
    if unknown:
        raise DeclarationError(
            f"{what} has {unknown[0]!r}, which is no option of a table.",
            did_you_mean(
                unknown[0],
                options,
                f"It has {', '.join(options)}; the others are given to task_asset itself.",
            ),
        )


def _table(name: str, of_table: Mapping[str, Any], options: Mapping[str, Any]) -> TableDefinition:
    """Return the definition that one of the tables would have alone."""
    refuse_unknown_options(f"tables: {name}:", of_table, TABLE_OPTIONS | _OF_EACH_ASSET)
    shared = {option: options[option] for option in _OF_EACH_ASSET | _OF_ALL if option in options}
    prefix = of_table.get("key_prefix", shared.get("key_prefix")) or []
    own = {**shared, **of_table}
    own.pop("key_prefix", None)
    key = dg.AssetKey([*([prefix] if isinstance(prefix, str) else prefix), *name.split("/")])
    own["metadata"] = {**(shared.get("metadata") or {}), **(of_table.get("metadata") or {})}
    own["kinds"] = {*(shared.get("kinds") or ()), *(of_table.get("kinds") or ())}
    own["output_required"] = False  # an exit code may say that the task skips
    checks = [spec for spec in options.get("check_specs") or () if spec.asset_key == key]

    def rows() -> None: ...

    rows.__name__ = key.path[-1]
    decorate = cast(
        "Callable[[Any], TableDefinition]", table_asset(key=key, check_specs=checks or None, **own)
    )
    return decorate(rows)


def _refuse_strangers(specs: Iterable[dg.AssetCheckSpec], keys: Iterable[dg.AssetKey]) -> None:
    known = set(keys)
    for spec in specs:
        if spec.asset_key not in known:
            raise DeclarationError(
                f"check_specs has {spec.name!r}, of {spec.asset_key.to_user_string()}, which is no table of "
                "the task.",
                f"It has {enumerated([key.to_user_string() for key in known])}.",
            )


def _is_selected(result: dg.AssetCheckResult, context: dg.AssetExecutionContext) -> bool:
    return result.asset_key is not None and (
        dg.AssetCheckKey(result.asset_key, str(result.check_name)) in context.selected_asset_check_keys
    )

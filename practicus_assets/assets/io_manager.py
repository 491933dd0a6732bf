"""The IO manager: the lake's configuration, inputs as snapshots, and outputs of plain assets."""

from typing import Any

import dagster as dg

from practicus_assets.assets.lakes.lake import Lake
from practicus_assets.errors import DeclarationError, naming_page

# what Dagster takes where no IO manager is set
_DEFAULTS = {"PickledObjectFilesystemIOManager", "InMemoryIOManager"}


class DeltaIOManager(Lake):
    """Stores assets as Delta tables below one root, and gives them to other assets as snapshots.

    A table lives at `root_uri`, followed by the parts of its asset key, joined by `/`.

    On a plain `@dg.asset`, the definition metadata says how: `partition_expr` (a column, or a mapping from
    partition dimension to column), `delta/mode`, `delta/merge_keys`, `delta/on_schema_change`,
    `delta/table_properties`, `delta/commit_metadata`, `delta/path`, `delta/statistics`; and on an input,
    `AssetIn(metadata=…)` says what is read: `delta/columns`, `delta/predicate`, `delta/version`.

    Attributes:
        root_uri: a folder, or an object store prefix such as `s3://bucket/lake`.
        storage_options: delta-rs's own; values may be `dg.EnvVar`. They are no part of Dagster's
            configuration, so that no page, run or event shows them.
        base_uri: the root of another lake that this one lies over, or None: tables and partitions that are
            not below `root_uri` are read there, and nothing is ever written there.
        base_storage_options: the options that reach the base; by default those of `storage_options`.
        sample_rows: the number of rows that a preview, a failed check, an error and a diff show at most;
            with 0 they show no value of any row.
        table_path: where tables lie below the root: "{key}", the parts of the asset key, or a pattern of
            `{name}`, the last of them, and `{schema}`, the one before it ("public" where there is none). An
            asset's own `delta/path` goes before it.
        mode, on_schema_change: what plain assets do that say nothing else; table assets have arguments.
        commit_metadata: entries that all commits have in the tables' histories, e.g. `userName`.

    """

    @naming_page()
    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Commit the value of a plain asset: replace its partitions, or do what `delta/mode` says.

        None writes nothing, where the annotation `X | None` or `output_required=False` allows it.
        The value of an op's output that is no asset is kept for the ops that take it.
        """
        from practicus_assets.assets.values import plain_output  # noqa: PLC0415 definitions do without

        plain_output.store(self, context, obj)

    @naming_page()
    def load_input(self, context: dg.InputContext) -> Any:
        """Return the table, or the partitions that map to the run's, as the parameter's annotation asks.

        A parameter that is a `dict[str, X]` gets an X of each of these partitions, by key; a
        `dict[str, X | None]` of those that have rows. One that is `X | None` gets None where there is no
        table, or no row of the partitions. What another op handed on, and is no asset, is returned as it was.
        """
        from practicus_assets.assets.values import loaded_input  # noqa: PLC0415 definitions do without

        return loaded_input.load(self, context)


def lake_of(context: Any, resource_key: str) -> DeltaIOManager:
    """Return the lake that a step's resources have under a key.

    Raises:
        DeclarationError: if that resource is something else.

    """
    lake = getattr(context.resources, resource_key)
    if not isinstance(lake, DeltaIOManager):
        raise no_lake(resource_key, lake)
    return lake


def no_lake(resource_key: str, resource: object) -> DeclarationError:
    """Return the error that a resource, None if there is none, is no lake."""
    kind = type(resource).__qualname__
    is_default = resource is None or kind in _DEFAULTS
    return DeclarationError(
        f"no DeltaIOManager is set as the resource {resource_key!r}"
        + (", so Dagster takes one of its own." if is_default else f", but one of the class {kind}."),
        f"Set resources={{{resource_key!r}: DeltaIOManager(root_uri=…)}}.",
    )

"""A lake's configuration: its root, its base, its options, and the place of each table."""

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import dagster as dg
from pydantic import Field, model_validator

from practicus_assets.assets.lakes import storage_options as options_of_lakes
from practicus_assets.assets.metadata import other_fields
from practicus_assets.assets.metadata.places import (
    OWN_KEY,
    place,
    refuse_pattern,
    refuse_place,
    refuse_shared,
)
from practicus_assets.assets.report.names import (
    COMMIT_METADATA,
    HISTORY_KEYS,
    IO_MANAGER_KEY,
    MERGE_KEYS,
    MODE,
    ON_SCHEMA_CHANGE,
    SEQUENCE_BY,
)
from practicus_assets.assets.settings import TableSettings
from practicus_assets.errors import DeclarationError
from practicus_assets.fields import NamedFields
from practicus_assets.lake.delta.root import refuse_nested, resolved
from practicus_assets.lake.rows.samples import SAMPLE_ROWS
from practicus_assets.workers.launch import variables

if TYPE_CHECKING:
    from practicus_assets.assets.lakes.layered_table import LayeredTable
    from practicus_assets.assets.lakes.op_outputs import OpOutputs
    from practicus_assets.lake.delta.table import Table
    from practicus_assets.lake.delta.table_folder import TableFolder

_OF_ASSETS: Mapping[str, Mapping[str, Any]] = {  # what each asset says by itself, in a mode
    "merge": {MERGE_KEYS: ["id"]},
    "history": {HISTORY_KEYS: ["id"], SEQUENCE_BY: "at"},
}


class Lake(NamedFields, dg.ConfigurableIOManager):
    """The settings of `DeltaIOManager`, and the places that they name."""

    root_uri: str
    storage_options: dg.ResourceDependency[dict[str, str]] = Field(default=cast("Any", {}), repr=False)
    sample_rows: int = Field(default=SAMPLE_ROWS, ge=0)
    table_path: str = OWN_KEY
    mode: str = "replace"
    on_schema_change: str = "add"
    commit_metadata: dict[str, str] = Field(default={})
    base_uri: str | None = None
    base_storage_options: dg.ResourceDependency[dict[str, str]] = Field(default=cast("Any", {}), repr=False)

    former_names: ClassVar[Mapping[str, str]] = {"preview_rows": "sample_rows"}
    other_fields: ClassVar[Mapping[str, str]] = other_fields.ADVICE

    @model_validator(mode="after")
    def _refuse_unusable(self) -> Self:
        """Refuse a root that no lake can have, and options that are no texts, where they are written."""
        for uri, what in ((self.root_uri, "the lake's root"), (self.base_uri, "the lake's base")):
            if uri is not None and not isinstance(uri, dg.EnvVar):  # which is read where the lake is used
                resolved(uri, what=what)
        refuse_pattern(self.table_path)
        keys = _OF_ASSETS.get(self.mode, {})  # each asset has its own
        self.settings({**keys, COMMIT_METADATA: self.commit_metadata})
        options_of_lakes.refuse_no_texts("storage_options", self.storage_options)
        options_of_lakes.refuse_no_texts("base_storage_options", self.base_storage_options)
        return self

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002 Dagster's signature
        """Refuse a lake that is gone with the pod of a step, before the step's function runs.

        Raises:
            DeclarationError: for such a lake, and where delta-rs cannot be imported.

        """
        try:
            from practicus_assets.lake.delta.table import Table  # noqa: PLC0415 definitions do without
        except ImportError as error:
            raise DeclarationError(
                f"the lake {self.root()} cannot be used here, for an import fails: {error}.",
                "Nothing was written. Install practicus-assets with all that it requires where steps run.",
            ) from error
        from practicus_assets.workers.launch.pod_storage import refuse_lost_with_pod  # noqa: PLC0415 as above

        folder = Table.at(self.root(), ["lake"], {}).local_path
        if folder is not None:
            refuse_lost_with_pod(folder.parent)

    def root(self) -> str:
        """Return where the lake is found in the region in which this process runs.

        A relative root begins at the folder in which the definitions were loaded first: by the run, of
        which every worker learns it.

        Raises:
            DeclarationError: for a root that cannot be used.

        """
        return self._here(self.root_uri)

    def base(self) -> str | None:
        """Return where the lake's base is found, as for its root; None if it has none.

        Raises:
            DeclarationError: for a base that cannot be used, or that lies in the root or around it.

        """
        if self.base_uri is None:
            return None
        base = self._here(self.base_uri, "the lake's base")
        refuse_nested(self.root(), base)
        return base

    @staticmethod
    def _here(uri: str, what: str = "the lake's root") -> str:
        roots: dict[str, str] = json.loads(os.environ.get(variables.ROOTS, "{}"))
        return resolved(roots.get(uri, uri), variables.working_folder(), what)

    def table(self, key: dg.AssetKey, metadata: Mapping[str, Any] | None = None, step: Any = None) -> "Table":
        """Return the place of an asset's table, which is named after it.

        Args:
            key: the asset's key.
            metadata: those of the asset's definition.
            step: the step that is going to write the table, if one is.

        Raises:
            DeclarationError: if there can be no such place, or an environment variable is not set; if another
                asset of the step's run has the same.

        """
        from practicus_assets.lake.delta.table import Table  # noqa: PLC0415 as above

        path = place(self.table_path, key, metadata or {})
        refuse_place(dg.AssetKey(path))
        graph = step.job_def.asset_layer.asset_graph if step is not None else None
        if graph is not None and graph.has(key):
            refuse_shared(self.table_path, graph.get(key).metadata.get(IO_MANAGER_KEY), graph.asset_nodes)
        return Table.at(self.root(), path, self._options(), self.sample_rows)

    def layered(
        self, key: dg.AssetKey, metadata: Mapping[str, Any] | None = None, step: Any = None
    ) -> "LayeredTable":
        """Return an asset's table with that of the base which it lies over; arguments and errors as above."""
        from practicus_assets.assets.lakes.layered_table import LayeredTable  # noqa: PLC0415 as above
        from practicus_assets.lake.delta.table import Table  # noqa: PLC0415 as above

        own, base = self.table(key, metadata, step), self.base()
        if base is None:
            return LayeredTable(own)
        options = options_of_lakes.resolved(self.base_storage_options) or self._options()
        path = place(self.table_path, key, metadata or {})
        below = Table.at(base, path, options, self.sample_rows, read_only=True)
        if own.local_path is not None and below.local_path is not None:
            refuse_nested(os.path.realpath(own.uri), os.path.realpath(below.uri), f"the folder of {own.name}")
        return LayeredTable(own, below, self.root(), base)

    def settings(self, metadata: Mapping[str, Any]) -> TableSettings:
        """Return the settings of an asset, with the lake's own for what its metadata do not say.

        Raises:
            DeclarationError: as for the settings themselves.

        """
        defaults = {MODE: self.mode, ON_SCHEMA_CHANGE: self.on_schema_change}
        return TableSettings.from_metadata(metadata, defaults)

    def op_outputs(self) -> "OpOutputs":
        """Return the values that ops handed on to other ops.

        Raises:
            DeclarationError: if an environment variable is not set.

        """
        from practicus_assets.assets.lakes.op_outputs import OpOutputs  # noqa: PLC0415 as above

        return OpOutputs(self.root(), self._options())

    def folder(self, path: str) -> "TableFolder":
        """Return a folder of the lake that holds no table.

        Args:
            path: its path below the root.

        Raises:
            DeclarationError: if an environment variable is not set.

        """
        from practicus_assets.lake.delta.table_folder import TableFolder  # noqa: PLC0415 as above

        return TableFolder(path, f"{self.root().rstrip('/')}/{path}", self._options())

    def _options(self) -> dict[str, str]:
        return options_of_lakes.resolved(self.storage_options)

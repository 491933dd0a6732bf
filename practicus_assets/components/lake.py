"""`Lake`: where tables are, as YAML."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import dagster as dg

from practicus_assets.components.environment import described, late


class LakeScaffolder(dg.Scaffolder[Any]):
    """What `dg scaffold defs` writes: a lake in the folder `lake`, until LAKE_URI is set."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the component's file."""
        dg.scaffold_component(request, {"root_uri": "{{ env('LAKE_URI', 'lake') }}"})


@dg.scaffold_with(LakeScaffolder)
@dataclass(frozen=True)
class Lake(dg.Component, dg.Resolvable):
    """A lake: the IO manager that stores assets as Delta tables, below one root.

    `{{ env.NAME }}` in storage_options is read where a step runs, and shown nowhere.
    """

    root_uri: Annotated[str, described("a folder, or a prefix such as s3://bucket/lake")]
    storage_options: Annotated[
        dict[str, str], late("delta-rs's own; a secret is written as {{ env.NAME }}")
    ] = field(default_factory=dict)
    base_uri: Annotated[str | None, described("the root of a lake that this one lies over")] = None
    base_storage_options: Annotated[
        dict[str, str], late("the options that reach the base; by default those of the lake")
    ] = field(default_factory=dict)
    sample_rows: Annotated[int, described("rows that previews, checks and errors show at most")] = 5
    resource_key: Annotated[str, described("the key by which assets name it")] = "io_manager"

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 Dagster's signature
        """Return the resource. Raises DeclarationError for a root that no lake can have."""
        from practicus_assets.assets.io_manager import DeltaIOManager

        lake = DeltaIOManager(
            root_uri=self.root_uri,
            storage_options=self.storage_options,
            base_uri=self.base_uri,
            base_storage_options=self.base_storage_options,
            sample_rows=self.sample_rows,
        )
        return dg.Definitions(resources={self.resource_key: lake})

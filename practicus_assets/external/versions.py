"""Data versions of sources: what a run that observes one asks its system for."""

from collections.abc import Iterable

import dagster as dg

from practicus_assets.assets.runs import partition_keys
from practicus_assets.errors import DeclarationError, naming
from practicus_assets.external.declaration import Declaration
from practicus_assets.external.observation import Observe, observation
from practicus_assets.lake.partitions.scope import Scope


def observe(
    declaration: Declaration, key: dg.AssetKey, partitions_def: dg.PartitionsDefinition[str] | None
) -> Observe:
    """Return the function that observes a source: the run's partitions, or all rows if it has none."""

    def observed(context: dg.AssetExecutionContext) -> Iterable[dg.AssetObservation]:
        keys = partition_keys(partitions_def, context.run.tags, context.instance)
        if partitions_def is not None and not keys:
            raise DeclarationError(
                f"{key.to_user_string()} has partitions, and the run that observes it has none.",
                "Observe it by partition.",
            )
        scopes = [declaration.scope(partitions_def, [each]) for each in keys] or [Scope()]
        relation = declaration.relation
        with naming(key.to_user_string()), relation.system.session() as session:
            versions = relation.versions(session, scopes, declaration.updated_at)
        if not keys:
            return [observation(key, versions[0])]
        return [observation(key, *pair) for pair in zip(versions, keys, strict=True)]

    return observed

"""Observations: the data versions of tables that others own, as Dagster records them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import dagster as dg

from practicus_assets.assets.report.names import DATA_VERSION_TAG

Observe = Callable[[dg.AssetExecutionContext], Iterable[dg.AssetObservation]]


def observation(
    key: dg.AssetKey, version: str, partition: str | None = None, metadata: Mapping[str, Any] | None = None
) -> dg.AssetObservation:
    """Return the event by which Dagster learns the data version of an asset, or of one of its partitions."""
    return dg.AssetObservation(key, partition=partition, tags={DATA_VERSION_TAG: version}, metadata=metadata)


def observable_asset(spec: dg.AssetSpec, observe: Observe) -> dg.AssetsDefinition:
    """Return an asset that Dagster does not make, and whose recorded data versions it respects.

    An `AssetSpec` alone will not do: Dagster reads observations only of assets that can be observed. Of all
    others it calls the tables downstream stale for ever, and `AutomationCondition.eager()` sees no change
    (`tests/upstream`). A run of the asset observes it, as the button "Observe" does.

    Args:
        spec: the asset, with its partitions.
        observe: the function that a run of the asset calls, and that returns what it has observed; where the
            asset has partitions, of those of the run, or of its own choice if the run has none.

    """

    def observed(context: dg.AssetExecutionContext) -> Iterable[dg.ObserveResult]:
        for event in observe(context):
            context.log_event(event)
        return ()

    decorated = dg.multi_observable_source_asset(
        specs=[spec],
        name=f"observe_{spec.key.to_python_identifier()}",
        partitions_def=spec.partitions_def,
        can_subset=True,  # else a step must yield one version, which would be that of all its partitions
    )
    return cast("dg.AssetsDefinition", decorated(observed))

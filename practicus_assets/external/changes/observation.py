"""Observations: the data versions of tables that others own, as Dagster records them."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import cast

import dagster as dg

from practicus_assets.assets.report.names import DATA_VERSION_TAG
from practicus_assets.external.names import PREVIOUS_VERSION, identifier

NEVER = "none"  # the version before the first

Observe = Callable[[dg.AssetExecutionContext], Iterable[dg.AssetObservation]]


def observation(
    key: dg.AssetKey, version: str, partition: str | None = None, previous: str | None = None
) -> dg.AssetObservation:
    """Return the event by which Dagster learns the data version of an asset, or of one of its partitions.

    Args:
        key: the asset's key.
        version: the data version.
        partition: the partition's key; None for the whole asset.
        previous: the data version that was recorded before; None if there was none.

    """
    return dg.AssetObservation(
        key,
        partition=partition,
        tags={DATA_VERSION_TAG: version},
        metadata={PREVIOUS_VERSION: NEVER if previous is None else previous},
    )


def is_first(event: dg.AssetObservation) -> bool:
    """Whether an observation is the first that was ever made of its asset or partition."""
    previous = event.metadata.get(PREVIOUS_VERSION)
    return previous is not None and previous.value == NEVER


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

    def observed(context: dg.AssetExecutionContext) -> Iterator[dg.ObserveResult]:
        for event in observe(context):
            context.log_event(event)
        yield from ()  # what returns instead has a result, and Dagster observes that once more

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        decorated = dg.multi_observable_source_asset(
            specs=[spec],
            name=f"observe_{identifier(spec.key)}",
            partitions_def=spec.partitions_def,
            can_subset=True,  # else a step must yield one version, which would be that of all its partitions
        )
        return cast("dg.AssetsDefinition", decorated(observed))

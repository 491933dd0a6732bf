"""Check specs: the rules of a contract, as the asset checks that Dagster shows."""

import warnings
from typing import Any

import dagster as dg

from practicus_assets.lake.contracts.contract import Contract


def check_specs(
    contract: Contract | None, key: dg.AssetKey, partitions_def: dg.PartitionsDefinition[Any] | None = None
) -> list[dg.AssetCheckSpec]:
    """Return an asset check for each rule; one that fails with ERROR keeps the rows from the table.

    Args:
        contract: the contract.
        key: the asset's key.
        partitions_def: the asset's partitions, which are those of its checks.

    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)  # of partitions_def
        return [
            dg.AssetCheckSpec(
                check.name,
                asset=key,
                description=check.description,
                blocking=check.severity == "ERROR",
                partitions_def=partitions_def,
            )
            for check in (contract.checks if contract else ())
        ]

"""Asset options: which parameters of `dg.asset` a table asset takes, and what replaces the others."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypedDict

import dagster as dg

from practicus_assets.errors import DeclarationError, did_you_mean

Key = dg.AssetKey | str | Sequence[str]
Dependency = Key | dg.AssetSpec | dg.AssetsDefinition | dg.SourceAsset | dg.AssetDep


class AssetOptions(TypedDict, total=False):
    """What `dg.asset` takes and a table asset hands on to it."""

    name: str | None
    key_prefix: str | Sequence[str] | None
    key: Key | None
    ins: Mapping[str, dg.AssetIn] | None
    deps: Iterable[Dependency] | None
    metadata: Mapping[str, Any] | None
    tags: Mapping[str, str] | None
    description: str | None
    check_specs: Sequence[dg.AssetCheckSpec] | None
    config_schema: Any
    required_resource_keys: AbstractSet[str] | None
    resource_defs: Mapping[str, object] | None
    hooks: AbstractSet[dg.HookDefinition] | None
    io_manager_key: str | None
    partitions_def: dg.PartitionsDefinition[str] | None
    op_tags: Mapping[str, Any] | None
    group_name: str | None
    output_required: bool
    automation_condition: dg.AutomationCondition[Any] | None
    freshness_policy: dg.FreshnessPolicy | None
    backfill_policy: dg.BackfillPolicy | None
    retry_policy: dg.RetryPolicy | None
    code_version: str | None
    owners: Sequence[str] | None
    kinds: AbstractSet[str] | None
    pool: str | None


NOT_TAKEN = {
    "dagster_type": "Declare columns and rules in the contract, which takes pandera models too.",
    "io_manager_def": "Give the DeltaIOManager as a resource, and its name as io_manager_key.",
    "is_virtual": "Declare a view as a dg.AssetSpec: a table asset is materialized.",
    "non_argument_deps": "Use deps.",
    "auto_materialize_policy": "Use automation_condition.",
    "legacy_freshness_policy": "Use freshness_policy, or a freshness check.",
    "compute_kind": "Use kinds.",
}


def refuse_others(options: Iterable[str], own: Iterable[str] = ()) -> None:
    """Refuse options that a table asset does not take.

    Args:
        options: the names of the options that were given.
        own: the parameters that the caller takes beside those of `dg.asset`.

    Raises:
        DeclarationError: naming the option and what to do instead.

    """
    taken = [*own, *AssetOptions.__annotations__]
    for option in options:
        if option in NOT_TAKEN:
            raise DeclarationError(f"a table asset takes no {option}.", NOT_TAKEN[option])
        if option not in taken:
            advice = did_you_mean(option, taken, "See dg.asset for what there is.")
            raise DeclarationError(f"a table asset has no option {option!r}.", advice)

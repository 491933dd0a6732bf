"""The definition of a table asset: a contract's checks run in the asset's step, alone, or not at all."""

import warnings
from collections.abc import Set as AbstractSet
from typing import Any

import dagster as dg


class TableDefinition(dg.AssetsDefinition):
    """An asset with checks that need not be selected together with it.

    A run that selects the asset runs the whole audit, and records the checks that it selects as well. A run
    that selects only checks has a step of its own, which has no inputs to load.

    Args:
        checks_op: the op that evaluates checks on the table as it is.
        attributes: those of `dg.AssetsDefinition`.

    """

    def __init__(self, *, checks_op: dg.OpDefinition, **attributes: Any) -> None:
        with warnings.catch_warnings():  # of parameters that Dagster itself passes
            warnings.simplefilter("ignore", dg.BetaWarning)
            warnings.simplefilter("ignore", dg.PreviewWarning)
            super().__init__(**attributes)
        self._checks_op = checks_op

    @classmethod
    def of(cls, assets: dg.AssetsDefinition, checks_op: dg.OpDefinition) -> "TableDefinition":
        """Return the definition of one asset, as `dg.asset` made it, with checks that run alone."""
        optional = {
            name: out._replace(is_required=False)
            for name, out in assets.op.outs.items()
            if name in assets.node_check_specs_by_output_name
        }
        op = assets.op.with_replaced_properties(assets.op.name, outs={**assets.op.outs, **optional})
        attributes = {**assets.get_attributes_dict(), "node_def": op, "can_subset": True}
        return cls(checks_op=checks_op, **attributes)

    @staticmethod
    def dagster_internal_init(**attributes: Any) -> "TableDefinition":
        """Return a copy with other attributes; Dagster makes all its copies by this name."""
        return TableDefinition(**attributes)

    def get_attributes_dict(self) -> dict[str, Any]:
        """Return what a copy is made of."""
        return {**super().get_attributes_dict(), "checks_op": self._checks_op}

    def subset_for(
        self,
        selected_asset_keys: AbstractSet[dg.AssetKey],
        selected_asset_check_keys: AbstractSet[dg.AssetCheckKey] | None,
    ) -> dg.AssetsDefinition:
        """Return what a job runs that selects these keys."""
        checks = (selected_asset_check_keys or set()) & self.check_keys
        if selected_asset_keys & self.keys or not checks:
            return super().subset_for(selected_asset_keys, selected_asset_check_keys)
        return dg.AssetChecksDefinition(
            keys_by_input_name=dict.fromkeys(self._checks_op.input_dict, self.key),
            keys_by_output_name={},
            node_def=self._checks_op,
            resource_defs=self.resource_defs,
            check_specs_by_output_name=self.node_check_specs_by_output_name,
            selected_asset_check_keys=checks,
            can_subset=True,
            is_subset=True,
        )

"""Definitions of table assets: a call runs the function; checks run with the asset, alone, or not at all."""

import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

import dagster as dg

from practicus_assets.assets.report.lineage import without_package
from practicus_assets.assets.writes.terms import TableTerms
from practicus_assets.lake.contracts.contract import Contract


class TablesDefinition(dg.AssetsDefinition):
    """The assets of one step that are Delta tables.

    Their checks need not be selected together with them: a run that selects an asset runs its whole audit,
    and records the checks that it selects as well. A run that selects only checks has a step of its own,
    which has no inputs to load.

    Args:
        checks_op: the op that evaluates checks on the tables as they are; None if there are no checks.
        checked: the output of the asset that each input of that op is ordered after, by the input's name.
        attributes: those of `dg.AssetsDefinition`.

    """

    def __init__(
        self, *, checks_op: dg.OpDefinition | None, checked: Mapping[str, str], **attributes: Any
    ) -> None:
        with _without_warnings():
            super().__init__(**attributes)
        self._checks_op = checks_op
        self._checked = checked

    @classmethod
    def of_several(
        cls, assets: dg.AssetsDefinition, checks: dg.AssetChecksDefinition | None
    ) -> "TablesDefinition":
        """Return the definition of assets, as `dg.multi_asset` made it, with checks that run alone."""
        outputs = {key: name for name, key in assets.node_keys_by_output_name.items()}
        inputs = checks.node_keys_by_input_name if checks is not None else {}
        return TablesDefinition(
            checks_op=checks.op if checks is not None else None,
            checked={name: outputs[key] for name, key in inputs.items()},
            **assets.get_attributes_dict(),
        )

    @staticmethod
    def dagster_internal_init(**attributes: Any) -> "TablesDefinition":
        """Return a copy with other attributes; Dagster makes all its copies by this name."""
        return TablesDefinition(**attributes)

    def map_asset_specs(self, fn: Callable[[dg.AssetSpec], dg.AssetSpec]) -> dg.AssetsDefinition:
        """Return a copy with other specs; code references keep to the author's files."""
        return super().map_asset_specs(lambda spec: without_package(fn(spec)))

    def __getattr__(self, name: str) -> Any:
        """Say that this is an asset already, where `@dg.asset` stands above it and asks for its name.

        Raises:
            AttributeError: for every name, as there are no such attributes.

        """
        if name == "__name__":
            keys = ", ".join(sorted(key.to_user_string() for key in self.keys))
            raise AttributeError(
                f"{keys} is an asset already, and no function. Take the decorator of Dagster away: "
                "@table_asset makes the asset, and takes what dg.asset takes."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def get_attributes_dict(self) -> dict[str, Any]:
        """Return what a copy is made of."""
        own = {"checks_op": self._checks_op, "checked": self._checked}
        return {**super().get_attributes_dict(), **own}

    def subset_for(
        self,
        selected_asset_keys: AbstractSet[dg.AssetKey],
        selected_asset_check_keys: AbstractSet[dg.AssetCheckKey] | None,
    ) -> dg.AssetsDefinition:
        """Return what a job runs that selects these keys."""
        checks = (selected_asset_check_keys or set()) & self.check_keys
        if selected_asset_keys & self.keys or not checks or self._checks_op is None:
            return super().subset_for(selected_asset_keys, selected_asset_check_keys)
        return dg.AssetChecksDefinition(
            keys_by_input_name={
                name: self.node_keys_by_output_name[output] for name, output in self._checked.items()
            },
            keys_by_output_name={},
            node_def=self._checks_op,
            resource_defs=self.resource_defs,
            check_specs_by_output_name=self.node_check_specs_by_output_name,
            selected_asset_check_keys=checks,
            can_subset=True,
            is_subset=True,
        )


class TableDefinition(TablesDefinition):
    """An asset that is a Delta table.

    Called, it returns what its author's function returns, as every `dg.asset` does: no table is read or
    written.

    Args:
        function_op: a function that returns the op of the author's function, which a direct call runs.
        terms: how the table is stored, and what it promises.
        attributes: those of `TablesDefinition`.

    """

    def __init__(
        self,
        *,
        function_op: Callable[[], dg.OpDefinition],
        terms: TableTerms,
        **attributes: Any,
    ) -> None:
        super().__init__(**attributes)
        self._function_op = function_op
        self.terms = terms

    @property
    def contract(self) -> Contract | None:
        """What the table promises."""
        return self.terms.contract

    @classmethod
    def of(
        cls,
        assets: dg.AssetsDefinition,
        function_op: Callable[[], dg.OpDefinition],
        checks_op: dg.OpDefinition | None,
        terms: TableTerms,
    ) -> "TableDefinition":
        """Return the definition of one asset, as `dg.asset` made it, with checks that run alone."""
        optional = {
            name: out._replace(is_required=False)
            for name, out in assets.op.outs.items()
            if name in assets.node_check_specs_by_output_name
        }
        op = assets.op.with_replaced_properties(assets.op.name, outs={**assets.op.outs, **optional})
        attributes = {
            **assets.get_attributes_dict(),
            "node_def": op,
            "can_subset": bool(optional),
        }
        [output] = assets.node_keys_by_output_name
        checked = dict.fromkeys(checks_op.input_dict, output) if checks_op is not None else {}
        return cls(function_op=function_op, checks_op=checks_op, checked=checked, terms=terms, **attributes)

    @staticmethod
    def dagster_internal_init(**attributes: Any) -> "TableDefinition":
        """Return a copy with other attributes; Dagster makes all its copies by this name."""
        return TableDefinition(**attributes)

    def get_attributes_dict(self) -> dict[str, Any]:
        """Return what a copy is made of."""
        own = {"function_op": self._function_op, "terms": self.terms}
        return {**super().get_attributes_dict(), **own}

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Return what the author's function returns; inside of a graph, make it an op that returns the rows.

        Args:
            args: the context, where one is needed, and the values of inputs, resources and configuration, as
                for every `dg.asset`.
            kwargs: those of them that are given by name.

        """
        outputs = self._outputs(*args, **kwargs)
        if not isinstance(outputs, Generator):  # a graph is being composed
            return outputs
        returned = next(outputs).value
        if isinstance(returned, Generator):
            return _relayed(returned, outputs)
        _finish(outputs)
        return returned

    def _outputs(self, *args: object, **kwargs: object) -> Any:
        """Call an asset that is like this one, and whose op is the author's function."""
        with _without_warnings():
            function_op = self._function_op()
            attributes = {
                **dg.AssetsDefinition.get_attributes_dict(self),
                "node_def": function_op,
                "can_subset": False,
                "is_subset": False,
                "check_specs_by_output_name": {},
                "selected_asset_check_keys": set(),
            }
            asset = dg.AssetsDefinition(**attributes)
        try:
            return asset(*args, **kwargs)
        except KeyError as error:  # the function has not begun
            name = error.args[0] if error.args else ""
            if name not in function_op.required_resource_keys:
                raise
            raise dg.DagsterInvalidInvocationError(
                f"No value provided for the resource {name!r} of {self.op.name!r}. Give it by name, "
                f"{self.op.name}({name}=…), or in the context, "
                f"dg.build_asset_context(resources={{{name!r}: …}})."
            ) from None


def _relayed(items: Iterator[Any], outputs: Iterator[Any]) -> Iterator[Any]:
    """Yield what the author's function yields; until then, Dagster keeps the context of the call bound."""
    try:
        yield from items
    finally:
        _finish(outputs)


def _finish(outputs: Iterator[Any]) -> None:
    for _ in outputs:
        pass


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Hide warnings of parameters that Dagster itself passes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        yield

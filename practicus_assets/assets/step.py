"""One step of a table asset: its function's rows through a transaction, or its checks on what is there."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from inspect import Parameter, Signature, signature
from typing import Any

import dagster as dg

from practicus_assets.assets.splits.declared import DeclaredSplits, refuse_undividable, split_parameter
from practicus_assets.assets.writes.terms import TableTerms
from practicus_assets.engines.spark.annotations import as_snapshot, is_frame
from practicus_assets.engines.splits import Split, Splits
from practicus_assets.errors import DeclarationError
from practicus_assets.lake.rows.annotations import hints
from practicus_assets.lake.transactions.engine_files.staged_parquet import StagedParquet

_CONTEXT_NAMES = {"context", "_context", "context_", "_"}  # those that Dagster knows

Function = Callable[..., Any]


class Step:
    """What the steps of a table asset do.

    Args:
        function: the author's function.
        terms: how the table is stored, and what it promises.
        partitions_def: the asset's partitions; None if it has none.
        io_manager_key: the resource key of its lake.

    Attributes:
        terms: as above.

    Raises:
        DeclarationError: for a parameter that Dagster could not give a value.

    """

    def __init__(
        self,
        function: Function,
        terms: TableTerms,
        partitions_def: dg.PartitionsDefinition[Any] | None,
        *,
        io_manager_key: str,
    ) -> None:
        self._function = function
        self._split = split_parameter(function)
        self._parameters = [p for p in _parameters(function) if p.name != self._split]
        self._places = [p.name for p in self._parameters if p.annotation is StagedParquet]
        self._frames = [p.name for p in self._parameters if is_frame(p.annotation)] if terms.engine else []
        self._takes_context = bool(self._parameters) and self._parameters[0].name in _CONTEXT_NAMES
        self.terms = terms
        self._partitions_def = partitions_def
        self._io_manager_key = io_manager_key

    def divided(self, splits: Splits | None, inputs: Collection[str]) -> "Step":
        """Return the step with splits.

        Args:
            splits: what the author wrote.
            inputs: the names of the inputs that Dagster sees.

        Raises:
            DeclarationError: if its function cannot be divided so.

        """
        terms = self.terms
        if splits is None:
            raise DeclarationError(
                f"{self._function.__qualname__} takes {self._split}: Split, and has no splits.",
                "Write @table_asset(splits=16).",
            )
        refuse_undividable(
            self._function,
            self._parameters,
            terms.settings.options,
            takes_context=self._takes_context,
            has_checks=bool(terms.author_specs),
            may_be_none=not terms.output_required,
            takes_staged=bool(self._places),
        )
        own = [parameter.name for parameter in self._parameters if parameter.name in inputs]
        terms = replace(terms, splits=DeclaredSplits.declared(splits, self._function, own))
        return Step(self._function, terms, self._partitions_def, io_manager_key=self._io_manager_key)

    def compute(self) -> Function:
        """Return the function of the asset's op, with the parameters of the author's."""
        own = Parameter("context", Parameter.POSITIONAL_OR_KEYWORD)
        inputs = self._parameters[1:] if self._takes_context else self._parameters
        inputs = [self._read(parameter) for parameter in inputs if parameter.name not in self._places]
        context = self._parameters[0] if self._takes_context else own

        def compute(context: Any, **values: Any) -> Iterator[Any]:
            given = (context,) if self._takes_context else ()
            from practicus_assets.assets.writes.step_run import StepRun  # noqa: PLC0415 definitions do without

            run = StepRun(_asset_context(context), self.terms, self._io_manager_key)
            yield from run.events(partial(self._call, given), values, self._places, self._frames)

        return self._alike(compute, [context.replace(name="context"), *map(self._read_by_splits, inputs)])

    def _read(self, parameter: Parameter) -> Parameter:
        """Return a parameter as Dagster sees it: what an engine reads is loaded as a snapshot."""
        if parameter.name not in self._frames:
            return parameter
        return parameter.replace(annotation=as_snapshot(parameter.annotation))

    def invoke(self) -> Function:
        """Return the function of the op that a direct call of the asset runs.

        It yields what the author's function returned, be it a generator, as one output.
        """

        def invoke(*context: Any, **values: Any) -> Iterator[dg.Output[Any]]:
            yield dg.Output(self._call(context, values))

        return self._alike(invoke, self._parameters)

    def evaluate(self) -> Function:
        """Return the function of the op that evaluates the asset's checks alone."""

        def evaluate(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
            from practicus_assets.assets.writes.checks_alone import evaluations  # noqa: PLC0415 as above

            yield from evaluations(context, lambda _: self.terms, self._partitions_def, self._io_manager_key)

        return evaluate

    def _call(self, context: Sequence[Any], values: Mapping[str, Any]) -> Any:
        """Call the author's function, by position where it takes a value in no other way."""
        kinds = {name: parameter.kind for name, parameter in signature(self._function).parameters.items()}
        by_position = [n for n, kind in kinds.items() if kind is Parameter.POSITIONAL_ONLY and n in values]
        by_name = {name: value for name, value in values.items() if name not in by_position}
        if self._split is not None:  # a direct call is the one split that there is
            by_name[self._split] = Split(partition_keys=_partition_keys())
        return self._function(*context, *(values[name] for name in by_position), **by_name)

    def _alike(self, function: Function, parameters: Sequence[Parameter]) -> Function:
        """Give a function the name, the documentation and the given parameters of the author's."""
        function.__name__ = self._function.__name__
        function.__doc__ = self._function.__doc__
        function.__module__ = self._function.__module__
        function.__signature__ = Signature(parameters)  # type: ignore[attr-defined] # what signature() reads
        function.__annotations__ = {p.name: p.annotation for p in parameters if p.annotation is not p.empty}
        return function

    def _read_by_splits(self, parameter: Parameter) -> Parameter:
        """Return a parameter as Dagster sees it: inputs that splits read are not read by the step."""
        splits = self.terms.splits
        if splits is None or parameter.name not in splits.inputs:
            return parameter
        from practicus_assets.assets.splits.inputs import input_type  # noqa: PLC0415 few assets have splits

        annotation = parameter.annotation if parameter.annotation is not parameter.empty else None
        return parameter.replace(annotation=input_type(annotation))


def _parameters(function: Function) -> list[Parameter]:
    """Return the parameters of an author's function, with annotations that are no texts.

    Each is one that Dagster takes for an input; only `**kwargs` stay what they are.
    """
    name = function.__qualname__
    annotations = hints(function)
    own = list(signature(function).parameters.values())
    for parameter in own[1:]:
        if parameter.name in _CONTEXT_NAMES:
            others = [other.name for other in own if other is not parameter]
            raise DeclarationError(
                f"{name} has the parameter {parameter.name!r}, and not as its first one.",
                "Dagster gives the context to the first parameter: "
                f"write def {function.__name__}({', '.join([parameter.name, *others])}).",
            )
    for parameter in own:
        if parameter.kind is Parameter.VAR_POSITIONAL:
            raise DeclarationError(
                f"{name} takes *{parameter.name}, and inputs have names.",
                f"Name each input, or take **{parameter.name} and declare the inputs in ins.",
            )
    named = Parameter.POSITIONAL_OR_KEYWORD
    return [
        p.replace(
            annotation=annotations.get(p.name, p.empty),
            kind=p.kind if p.kind is Parameter.VAR_KEYWORD else named,
        )
        for p in own
    ]


def _partition_keys() -> tuple[str, ...]:
    """Return the keys of the partitions of a direct call; none if it is of none."""
    try:
        context = dg.AssetExecutionContext.get()
        return tuple(context.partition_keys) if context.has_partition_key else ()
    except dg.DagsterError:
        return ()


def _asset_context(context: Any) -> dg.AssetExecutionContext:
    """Return a step's own context, also where the author asked for an `OpExecutionContext`."""
    return context if isinstance(context, dg.AssetExecutionContext) else dg.AssetExecutionContext.get()

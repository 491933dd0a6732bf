"""Declared splits: what a function with splits takes, and what it cannot be."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

from practicus_assets.engines.splits import Split, Splits
from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.lake.rows.annotations import hints
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.wording import enumerated


@dataclass(frozen=True)
class DeclaredSplits:
    """The splits of a table asset.

    Attributes:
        splits: how many there are, and what they divide.
        function: the author's function.
        inputs: the names of its parameters that are assets.
        of: the input whose rows are divided; None if there is none, or inputs are divided by a column.

    """

    splits: Splits
    function: Callable[..., Any]
    inputs: tuple[str, ...]
    of: str | None

    @classmethod
    def declared(
        cls, splits: Splits, function: Callable[..., Any], inputs: Collection[str]
    ) -> "DeclaredSplits":
        """Return the splits of a function.

        Args:
            splits: what the author wrote.
            function: the author's function.
            inputs: the names of those of its parameters that are assets.

        Raises:
            DeclarationError: if it does not say what is divided, or could not.

        """
        name, takes_split = function.__qualname__, split_parameter(function) is not None
        if splits.of is not None and splits.of not in inputs:
            raise DeclarationError(
                f"splits of {name} divide {splits.of!r}, which is no input of it.",
                did_you_mean(splits.of, inputs, f"Its inputs are {', '.join(inputs) or 'none'}."),
            )
        if splits.by is not None and not inputs:
            raise DeclarationError(
                f"splits of {name} are by {splits.by!r}, and it has no input that could have the column.",
                "Write splits=16, and divide the work by a parameter that is annotated Split.",
            )
        if not inputs and not takes_split:
            raise DeclarationError(
                f"{name} has splits, and neither an input to divide nor a parameter that is annotated Split: "
                "each split would return the same rows.",
                f"Write def {function.__name__}(split: Split), and divide the work by split.index and "
                "split.count.",
            )
        if len(inputs) > 1 and splits.of is None and splits.by is None:
            first = next(iter(inputs))
            raise DeclarationError(
                f"{name} has the inputs {enumerated(list(inputs))}, and splits do not say which is divided.",
                f'Write Splits({splits.count}, of="{first}"), which gives the others whole to each split, or '
                f'Splits({splits.count}, by="column"), which divides all that have the column.',
            )
        of = splits.of or (next(iter(inputs)) if len(inputs) == 1 else None)
        return cls(splits, function, tuple(inputs), of if splits.by is None else None)


def split_parameter(function: Callable[..., Any]) -> str | None:
    """Return the name of the parameter that is annotated `Split`; None if there is none."""
    return next((name for name, hint in hints(function).items() if hint is Split and name != "return"), None)


def refuse_undividable(
    function: Callable[..., Any],
    parameters: Sequence[Parameter],
    options: WriteOptions,
    *,
    takes_context: bool,
    has_checks: bool,
    may_be_none: bool,
    takes_staged: bool,
) -> None:
    """Raise DeclarationError for what a table with splits cannot have.

    Args:
        function: the author's function.
        parameters: its parameters.
        options: how the table is written.
        takes_context: whether it takes Dagster's context.
        has_checks: whether its author declared checks of its own.
        may_be_none: whether it may return None.
        takes_staged: whether it takes a place for an engine's files.

    """
    reasons = {
        "takes Dagster's context, which belongs to the step's process": (
            takes_context,
            "Take split: Split, which has the keys of the run's partitions.",
        ),
        "takes parameters by **, and inputs of splits have names": (
            any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters),
            "Name each input.",
        ),
        "takes a StagedParquet": (
            takes_staged,
            "Let the engine write all rows, without splits; or return the rows of each split.",
        ),
        'has mode="history", in which the rows of a key must meet in one process': (
            options.mode == "history",
            "Compute the rows with splits in a table of their own, and keep its history in a second one.",
        ),
        "declares check_specs, whose results a split cannot give for all of them": (
            has_checks,
            "Promise it in the contract, whose rules are judged on the rows of all splits.",
        ),
        "may return None, or has output_required=False": (
            may_be_none,
            "Let a split that has nothing return a table without rows.",
        ),
    }
    for problem, (is_so, advice) in reasons.items():
        if is_so:
            raise DeclarationError(f"{function.__qualname__} has splits, and {problem}.", advice)

"""Checks: the rules of a contract, as an audit runs them and Dagster shows them."""

import inspect
import re
import sysconfig
import tokenize
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from practicus_assets.errors import DataRefused, DeclarationError

Severity = Literal["ERROR", "WARN", "QUARANTINE"]

Kind = Literal[
    "schema",
    "not_null",
    "minimum",
    "maximum",
    "range",
    "allowed",
    "pattern",
    "unique",
    "row_count",
    "row",
    "table",
]


@dataclass(frozen=True)
class Check:
    """One rule of a contract.

    Attributes:
        name: the name of the asset check.
        kind: how the rule is run.
        columns: the columns that it reads; none for a rule on whole rows or on the table.
        description: what is promised, in words.
        severity: "ERROR" ends the transaction, "WARN" is recorded, "QUARANTINE" rejects the bad rows.
        argument: the bounds, values, pattern or function of the rule.

    """

    name: str
    kind: Kind
    columns: tuple[str, ...]
    description: str
    severity: Severity
    argument: Any = None

    @property
    def source(self) -> str:
        """The argument as text that is the same in each process: a function by its source."""
        if not callable(self.argument):
            return repr(self.argument)
        try:
            return inspect.getsource(self.argument)
        except (OSError, TypeError, SyntaxError, tokenize.TokenError):
            kind = type(self.argument)
            name = getattr(self.argument, "__qualname__", None) or kind.__qualname__
            return f"{name} {self.argument}" if "__str__" in vars(kind) else str(name)


def check_name(text: str) -> str:
    """Return a text as the name of an asset check."""
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


def refuse_severity(name: str, severity: object) -> None:
    """Raise DeclarationError for a severity of a column or a rule that does not exist."""
    if severity not in get_args(Severity):
        raise DeclarationError(
            f"{name!r} of the contract has the severity {severity!r}.",
            'Write "ERROR", which ends the transaction, "WARN", which is recorded, or "QUARANTINE", which '
            "rejects the bad rows.",
        )


def rows_parameter(function: Callable[[Any], Any]) -> Any:
    """Return the annotation of a rule function's first parameter; None where there is none."""
    try:
        parameters = list(inspect.signature(function).parameters)
        return get_type_hints(function).get(parameters[0]) if parameters else None
    except (NameError, TypeError, ValueError):
        return None


@contextmanager
def blaming(check: Check) -> Iterator[None]:
    """Name the rule whose function raised."""
    try:
        yield
    except Exception as error:
        place = _place_in(check.argument, error)
        raise DataRefused(
            f"rule {check.name!r} raised {type(error).__name__} in line {place.lineno} of "
            f"{Path(place.filename).name}.",
            "Fix the rule or the data.",
            f"It says: {error}.",
        ) from error


def _place_in(function: Any, error: Exception) -> traceback.FrameSummary:
    """Return the line of the author's file at which a rule's function raised, or called what raised."""
    frames = traceback.extract_tb(error.__traceback__)
    code = getattr(inspect.unwrap(function), "__code__", None)
    inside = [frame for frame in frames if code is not None and frame.filename == code.co_filename]
    libraries = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(Path(__file__).parents[2]))
    others = [frame for frame in frames if not frame.filename.startswith(libraries)]
    return (inside or others or frames)[-1]

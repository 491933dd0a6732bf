"""Rules: conditions on rows and on a table, which an author writes as functions."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contracts.check import Check, Kind, Severity, refuse_severity
from practicus_assets.parameters import named_parameters
from practicus_assets.wording import readable

_CHECK_NAME = re.compile(r"[A-Za-z0-9_]+")  # what Dagster takes as the name of an asset check


@named_parameters
@dataclass(frozen=True)
class RowRule:
    """A condition on each row, run batch by batch.

    Attributes:
        name: the name of the asset check.
        check: a function that takes rows as a `pyarrow.Table`, or as its annotation says, and returns one
            boolean per row; null counts as true, as in SQL.
        description: what is promised, in words.
        severity: "WARN" records a failure and commits, and "QUARANTINE" commits all but the bad rows, which
            go to the table of rejected rows.

    """

    name: str
    check: Callable[[Any], Any]
    description: str = ""
    severity: Severity = "ERROR"


@named_parameters
@dataclass(frozen=True)
class TableRule:
    """A condition on all staged rows together, run once before the commit.

    Attributes:
        name: the name of the asset check.
        check: a function that takes the rows as its annotation says (by default a DataFrame;
            `pa.RecordBatchReader` streams) and returns either a bool, True if the rule holds, or a table of
            the cases that break it, without rows if there are none. A number is refused.
        description: what is promised, in words.
        severity: "WARN" records a failure and commits.

    """

    name: str
    check: Callable[[Any], Any]
    description: str = ""
    severity: Severity = "ERROR"


def rule_check(rule: Any) -> Check:
    """Return the check that runs a rule.

    Args:
        rule: a `RowRule` or a `TableRule`.

    Raises:
        DeclarationError: if it is neither, or if its name, function or severity is none.

    """
    if not isinstance(rule, RowRule | TableRule):
        raise DeclarationError(
            f"the contract's rules have {readable(rule)}, which is no rule.",
            'Write RowRule("name", function) for a condition on each row, or TableRule("name", function) for '
            "one on all rows together.",
        )
    if not isinstance(rule.name, str) or not _CHECK_NAME.fullmatch(rule.name):
        raise DeclarationError(
            f"rule name {rule.name!r} cannot name an asset check.", "Use letters, digits and '_'."
        )
    refuse_severity(rule.name, rule.severity)
    if isinstance(rule, TableRule) and rule.severity == "QUARANTINE":
        raise DeclarationError(
            f'rule {rule.name!r} is on all rows together, and has the severity "QUARANTINE": of no row does '
            "it say that it is a bad one.",
            'Write a RowRule, which answers for each row, or the severity "ERROR" or "WARN".',
        )
    if not callable(rule.check) or not _takes_rows(rule.check):
        raise DeclarationError(
            f"the check of rule {rule.name!r} is {readable(rule.check)}, which cannot be called with rows.",
            "Write a function with one parameter.",
        )
    kind: Kind = "row" if isinstance(rule, RowRule) else "table"
    sentence = rule.description or inspect.getdoc(rule.check) or rule.name.replace("_", " ")
    return Check(rule.name, kind, (), sentence.rstrip("."), rule.severity, rule.check)


def _takes_rows(function: Callable[..., Any]) -> bool:
    """Return whether a function can be called with rows alone."""
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # a builtin that does not say it
        return True
    return True

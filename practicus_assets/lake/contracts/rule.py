"""Rules: conditions on rows and on a table, which an author writes as functions."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contracts.check import Check, Kind, Severity, refuse_severity

_CHECK_NAME = re.compile(r"[A-Za-z0-9_]+")  # what Dagster takes as the name of an asset check


@dataclass(frozen=True)
class RowRule:
    """A condition on each row, run batch by batch.

    Attributes:
        name: the name of the asset check.
        check: a function that takes rows as a `pyarrow.Table`, or as its annotation says, and returns one
            boolean per row; null counts as true, as in SQL.
        description: what is promised, in words.
        severity: "WARN" records a failure and commits.

    """

    name: str
    check: Callable[[Any], Any]
    description: str = ""
    severity: Severity = "ERROR"


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


def rule_check(rule: RowRule | TableRule) -> Check:
    """Return the check that runs a rule.

    Raises:
        DeclarationError: if the rule's name or severity is none.

    """
    refuse_severity(rule.name, rule.severity)
    if not _CHECK_NAME.fullmatch(rule.name):
        raise DeclarationError(
            f"rule name {rule.name!r} cannot name an asset check.", "Use letters, digits and '_'."
        )
    kind: Kind = "row" if isinstance(rule, RowRule) else "table"
    sentence = rule.description or inspect.getdoc(rule.check) or rule.name.replace("_", " ")
    return Check(rule.name, kind, (), sentence.rstrip("."), rule.severity, rule.check)

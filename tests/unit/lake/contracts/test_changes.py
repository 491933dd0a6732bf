"""What changed between two contracts, and whether it breaks readers."""

import datetime as dt
from typing import Any

import pytest

from practicus_assets import Column, Contract, RowRule, TableRule
from practicus_assets.lake.contracts.changes import changes


def odd(rows: Any) -> Any:
    return rows["n"] > 1


def even(rows: Any) -> Any:
    return rows["n"] > 2


def of(**column: Any) -> Contract:
    """Return a contract of one column."""
    return Contract({"n": Column(**{"type": "int64", **column})})


LOOSER: list[tuple[str, Contract, Contract, str, str]] = [  # the second promises less
    ("nullable", of(nullable=False), of(), "n: may be null now", "n: is never null now"),
    ("minimum", of(minimum=1), of(minimum=0), "n: minimum 1 becomes 0", "n: minimum 0 becomes 1"),
    ("no minimum", of(minimum=1), of(), "n: minimum 1 becomes none", "n: minimum none becomes 1"),
    (
        "maximum",
        of(type="date", maximum=dt.date(2026, 1, 1)),
        of(type="date", maximum=dt.date(2026, 1, 2)),
        "n: maximum 2026-01-01 becomes 2026-01-02",
        "n: maximum 2026-01-02 becomes 2026-01-01",
    ),
    ("allowed", of(allowed=[1]), of(allowed=[1, 2, 3]), "n: may be 2 or 3 as well", "n: is never 2 or 3 now"),
    ("any", of(allowed=[1]), of(), "n: any value is allowed now", "n: is one of [1] now"),
    (
        "pattern",
        of(type="string", pattern="a"),
        of(type="string"),
        "n: pattern 'a' becomes null",
        "n: pattern null becomes 'a'",
    ),
    (
        "severity",
        of(),
        of(severity="WARN"),
        "n: severity ERROR becomes WARN",
        "n: severity WARN becomes ERROR",
    ),
    (
        "key",
        Contract(unique=[["a"]]),
        Contract(unique=[["a", "b"]]),
        "a: may have the same values in several rows now",
        "a: tells each row apart now",
    ),
    (
        "rows",
        Contract(rows=(5, None)),
        Contract(rows=(1, None)),
        "rows: the least number of rows, 5, becomes 1",
        "rows: the least number of rows, 1, becomes 5",
    ),
    (
        "most rows",
        Contract(rows=(None, 5)),
        Contract(),
        "rows: the most number of rows, 5, becomes none",
        "rows: the most number of rows, none, becomes 5",
    ),
    (
        "rule",
        Contract(rules=[RowRule("odd", odd)]),
        Contract(),
        "odd: the rule is gone",
        "odd: the rule is new",
    ),
    (
        "rule's severity",
        Contract(rules=[RowRule("odd", odd)]),
        Contract(rules=[RowRule("odd", odd, severity="WARN")]),
        "odd: severity ERROR becomes WARN",
        "odd: severity WARN becomes ERROR",
    ),
    (
        "rejected",
        Contract({"n": Column("int64", nullable=False, severity="QUARANTINE")}, max_rejected=5),
        Contract({"n": Column("int64", nullable=False, severity="QUARANTINE")}),
        "max_rejected: the rows that may be rejected, 5, become any number",
        "max_rejected: the rows that may be rejected, any number, become 5",
    ),
    (
        "closed",
        Contract({"n": "int64"}, closed=True),
        Contract({"n": "int64"}),
        "columns: others are allowed now",
        "columns: no others are allowed any more",
    ),
    (
        "column",
        Contract({"n": "int64", "m": "date"}),
        Contract({"n": "int64"}),
        "m: the column is gone (date32[day])",
        "m: the column is new (date32[day])",
    ),
    (
        "field",
        of(type="struct<a: int64, b: string>"),
        of(type="struct<a: int64>"),
        "n: struct<a: int64, b: string> becomes struct<a: int64>",
        "n: struct<a: int64> becomes struct<a: int64, b: string>",
    ),
]


@pytest.mark.parametrize(
    ("strict", "loose", "breaks", "keeps"), [c[1:] for c in LOOSER], ids=[c[0] for c in LOOSER]
)
def test_what_promises_less_breaks_and_what_promises_more_does_not(
    strict: Contract, loose: Contract, breaks: str, keeps: str
) -> None:
    assert [(c.effect, f"{c.where}: {c.what}") for c in changes(strict, loose)] == [("breaking", breaks)]
    assert [(c.effect, f"{c.where}: {c.what}") for c in changes(loose, strict)] == [("compatible", keeps)]
    assert changes(strict, strict) == changes(loose, loose) == []


BREAKS_BOTH_WAYS: list[tuple[str, Contract, Contract]] = [
    ("type", of(), of(type="int32")),
    ("not null inside", of(type="struct<a: int64 not null>"), of(type="struct<a: int64>")),
    ("pattern", of(type="string", pattern="a"), of(type="string", pattern="b")),
    ("function", Contract(rules=[RowRule("odd", odd)]), Contract(rules=[RowRule("odd", even)])),
    ("renamed", Contract({"n": "int64"}), Contract({"m": "int64"})),
]


@pytest.mark.parametrize(
    ("one", "other"), [c[1:] for c in BREAKS_BOTH_WAYS], ids=[c[0] for c in BREAKS_BOTH_WAYS]
)
def test_what_is_otherwise_breaks_both_ways(one: Contract, other: Contract) -> None:
    assert changes(one, other)[0].effect == "breaking"
    assert changes(other, one)[0].effect == "breaking"


def test_a_new_column_breaks_who_was_promised_no_others() -> None:
    old = Contract({"n": "int64"}, closed=True)
    [change] = changes(old, Contract({"n": "int64", "m": "date"}, closed=True))
    assert (change.effect, change.what) == (
        "breaking",
        "the column is new (date32[day]), which the older contract excludes",
    )


def test_types_that_are_spelled_otherwise_and_descriptions_break_nothing() -> None:
    old = Contract({"n": Column("long", "a"), "at": "timestamp"})
    new = Contract({"n": Column("int64", "b", comes_from={"t": "x"}), "at": "timestamp[us, tz=UTC]"})
    assert [(c.effect, c.where) for c in changes(old, new)] == [("documentation", "n")] * 2


def test_rules_of_one_name_are_one_where_a_file_has_no_functions() -> None:
    old, new = Contract(rules=[RowRule("odd", odd)]), Contract(rules=[TableRule("odd", bool)])
    assert changes(old, new, rules_by_name=True) == []
    assert changes(old, Contract(), rules_by_name=True)[0].what == "the rule is gone"


def test_breaking_changes_come_first() -> None:
    old = Contract({"a": Column("int64", "x"), "b": "int64"}, rows=(1, None))
    new = Contract({"a": Column("int64", "y"), "c": "int64"}, rows=(2, None))
    assert [c.effect for c in changes(old, new)] == ["breaking", "compatible", "compatible", "documentation"]

"""Changes: what one contract promises otherwise than an older one, and whether that breaks its readers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.rows.casts import exact_scalar
from practicus_assets.lake.rows.nested import joined
from practicus_assets.lake.rows.types import stored_type
from practicus_assets.wording import enumerated, readable

Effect = Literal["breaking", "compatible", "documentation"]

_WARN = "WARN"


@dataclass(frozen=True)
class ContractChange:
    """One change.

    Attributes:
        effect: "breaking" if rows or columns may come that the older contract excludes, "compatible" if not,
            and "documentation" if no row is concerned.
        where: the column, or the rule.
        what: what changed, in words.

    """

    effect: Effect
    where: str
    what: str


def changes(old: Contract, new: Contract, *, rules_by_name: bool = False) -> list[ContractChange]:
    """Return what a contract promises otherwise than an older one: breaking changes first.

    Args:
        old: the older contract.
        new: the newer one.
        rules_by_name: whether rules of one name are the same, as where one of both was read from a file,
            which has no functions.

    """
    found = [
        *_of_columns(old, new),
        *_of_keys(old.unique, new.unique),
        *_of_rows(old.rows, new.rows),
        *_of_rejected(old.max_rejected, new.max_rejected),
        *_of_rules(old, new, by_name=rules_by_name),
    ]
    order: list[Effect] = ["breaking", "compatible", "documentation"]
    return sorted(found, key=lambda change: order.index(change.effect))


def _of_columns(old: Contract, new: Contract) -> Iterator[ContractChange]:
    if old.columns and old.closed and not (new.closed and new.columns):
        yield ContractChange("breaking", "columns", "others are allowed now")
    elif new.columns and new.closed and not (old.closed and old.columns):
        yield ContractChange("compatible", "columns", "no others are allowed any more")
    for name, column in old.columns.items():
        if name not in new.columns:
            yield ContractChange("breaking", name, f"the column is gone ({column.arrow_type})")
        else:
            yield from _of_column(name, column, new.columns[name])
    for name, column in new.columns.items():
        if name not in old.columns:
            effect: Effect = "breaking" if old.closed and old.columns else "compatible"
            why = ", which the older contract excludes" if effect == "breaking" else ""
            yield ContractChange(effect, name, f"the column is new ({column.arrow_type}){why}")


def _of_column(name: str, old: Column, new: Column) -> Iterator[ContractChange]:
    before, after = (stored_type(column.arrow_type, name, keeps_required=True) for column in (old, new))
    if before != after:
        effect: Effect = "compatible" if _has_only_new_fields(before, after) else "breaking"
        yield ContractChange(effect, name, f"{old.arrow_type} becomes {new.arrow_type}")
    if old.nullable != new.nullable:
        what = "may be null now" if new.nullable else "is never null now"
        yield ContractChange("breaking" if new.nullable else "compatible", name, what)
    yield from _of_bounds(name, old, new, after)
    yield from _of_allowed(name, old.allowed, new.allowed)
    if old.pattern != new.pattern:
        effect = "compatible" if old.pattern is None else "breaking"
        yield ContractChange(effect, name, f"pattern {readable(old.pattern)} becomes {readable(new.pattern)}")
    if old.severity != new.severity:
        effect = "breaking" if new.severity == _WARN else "compatible"
        yield ContractChange(effect, name, f"severity {old.severity} becomes {new.severity}")
    if old.description != new.description:
        yield ContractChange("documentation", name, "description")
    if sorted(old.source_columns) != sorted(new.source_columns):
        yield ContractChange("documentation", name, "the columns that it is computed from")


def _has_only_new_fields(before: pa.DataType, after: pa.DataType) -> bool:
    """Return whether a nested type has gained fields, and is the same otherwise."""
    return bool(pa.types.is_nested(before) and joined(before, after, all_rows=False) == after)


def _of_bounds(name: str, old: Column, new: Column, type_: pa.DataType) -> Iterator[ContractChange]:
    for side, sign in (("minimum", 1), ("maximum", -1)):
        before, after = getattr(old, side), getattr(new, side)
        if before == after:
            continue
        is_tighter = before is None or (after is not None and _compared(before, after, type_) * sign > 0)
        effect: Effect = "compatible" if is_tighter else "breaking"
        texts = [readable(bound) if bound is not None else "none" for bound in (before, after)]
        yield ContractChange(effect, name, f"{side} {texts[0]} becomes {texts[1]}")


def _compared(before: Any, after: Any, type_: pa.DataType) -> int:
    """Return 1 if a value is above another of a column's type, -1 if below, and 0 if that cannot be told."""
    try:
        low, high = (exact_scalar(value, type_).as_py() for value in (before, after))
        return int(high > low) - int(high < low)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return 0


def _of_allowed(name: str, old: Sequence[Any] | None, new: Sequence[Any] | None) -> Iterator[ContractChange]:
    if old is None or new is None:
        if (old is None) != (new is None):
            what = "any value is allowed now" if new is None else f"is one of {readable(list(new or ()))} now"
            yield ContractChange("breaking" if new is None else "compatible", name, what)
        return
    more, fewer = [v for v in new if v not in old], [v for v in old if v not in new]
    if more:
        yield ContractChange("breaking", name, f"may be {enumerated([*map(readable, more)], 'or')} as well")
    if fewer:
        yield ContractChange("compatible", name, f"is never {enumerated([*map(readable, fewer)], 'or')} now")


def _of_keys(old: Sequence[Sequence[str]], new: Sequence[Sequence[str]]) -> Iterator[ContractChange]:
    for key in old:
        if not any(set(other) <= set(key) for other in new):
            yield ContractChange("breaking", ", ".join(key), "may have the same values in several rows now")
    for key in new:
        if not any(set(other) <= set(key) for other in old):
            yield ContractChange("compatible", ", ".join(key), "tells each row apart now")


def _of_rows(
    old: tuple[int | None, int | None], new: tuple[int | None, int | None]
) -> Iterator[ContractChange]:
    for which, sign, before, after in zip(("least", "most"), (1, -1), old, new, strict=True):
        if before == after:
            continue
        is_tighter = before is None or (after is not None and (after - before) * sign > 0)
        texts = ["none" if bound is None else f"{bound:,}" for bound in (before, after)]
        yield ContractChange(
            "compatible" if is_tighter else "breaking",
            "rows",
            f"the {which} number of rows, {texts[0]}, becomes {texts[1]}",
        )


def _of_rejected(old: float | None, new: float | None) -> Iterator[ContractChange]:
    if old == new:
        return
    both_alike = type(old) is type(new)  # rows, or shares of them
    is_tighter = old is None or (both_alike and new is not None and new < old)
    texts = ["any number" if most is None else str(most) for most in (old, new)]
    yield ContractChange(
        "compatible" if is_tighter else "breaking",
        "max_rejected",
        f"the rows that may be rejected, {texts[0]}, become {texts[1]}",
    )


def _of_rules(old: Contract, new: Contract, *, by_name: bool) -> Iterator[ContractChange]:
    before, after = _rules(old), _rules(new)
    for name, rule in before.items():
        if name not in after:
            yield ContractChange("breaking", name, "the rule is gone")
            continue
        if by_name:
            continue
        severity, source = after[name]
        if rule[0] != severity:
            effect: Effect = "breaking" if severity == _WARN else "compatible"
            yield ContractChange(effect, name, f"severity {rule[0]} becomes {severity}")
        if rule[1] != source:
            yield ContractChange("breaking", name, "the rule's function is another: read it")
    for name in after:
        if name not in before:
            yield ContractChange("compatible", name, "the rule is new")


def _rules(contract: Contract) -> Mapping[str, tuple[str, str]]:
    """Return severity and source of each rule that is a function, by its name."""
    checks = {check.name: check for check in contract.checks}
    return {rule.name: (rule.severity, checks[rule.name].source) for rule in contract.rules}

"""Quarantine: bad rows that are taken out of a batch, and how many of them a contract puts up with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contracts.check import Check
from practicus_assets.wording import number_of, readable


@dataclass(frozen=True)
class Divided:
    """A batch of which the bad rows were taken out.

    Attributes:
        good: the rows that are published.
        bad: those that are not.
        rules: for each of these, the names of the rules that it breaks.

    """

    good: pa.RecordBatch
    bad: pa.RecordBatch
    rules: pa.ListArray


def divided(batch: pa.RecordBatch, broken: Mapping[str, pa.BooleanArray]) -> Divided:
    """Take the rows that break any rule out of a batch.

    Args:
        batch: the rows.
        broken: by the name of each rule, which rows break it; without nulls.

    """
    names = pa.array(list(broken), pa.string())
    masks = np.array([np.asarray(mask) for mask in broken.values()], dtype=bool).reshape(len(names), -1)
    is_bad = masks.any(axis=0)
    if not is_bad.any():
        return Divided(batch, batch.slice(0, 0), pa.array([], pa.list_(pa.string())))
    bad = batch.filter(pa.array(is_bad))
    by_row = masks[:, is_bad].T
    offsets = np.concatenate([[0], np.cumsum(by_row.sum(axis=1))]).astype(np.int32)
    rules = pa.ListArray.from_arrays(pa.array(offsets), names.take(pa.array(np.nonzero(by_row)[1])))
    return Divided(batch.filter(pa.array(~is_bad)), bad, rules)


def refuse_limit(most: object, checks: Sequence[Check]) -> None:
    """Raise DeclarationError for a `max_rejected` that is none, or where no row could be rejected."""
    if most is None:
        return
    is_rows = isinstance(most, int) and not isinstance(most, bool) and most >= 0
    is_share = isinstance(most, float) and 0 <= most < 1
    if not is_rows and not is_share:
        raise DeclarationError(
            f"max_rejected is {readable(most)}.",
            "Write a number of rows, e.g. 100, or a share of them below 1, e.g. 0.01.",
        )
    if not any(check.severity == "QUARANTINE" for check in checks):
        raise DeclarationError(
            f'max_rejected is {most}, and no rule has the severity "QUARANTINE", so that no row is rejected.',
            'Give a Column or a RowRule severity="QUARANTINE", or leave max_rejected out.',
        )


def excess(most: float | None, rejected: int, rows: int) -> str:
    """Return what is wrong with the number of rejected rows, in words; empty if nothing is.

    Args:
        most: the contract's `max_rejected`.
        rejected: how many rows would be rejected.
        rows: out of how many.

    """
    if most is None or not rejected:
        return ""
    limit = most * rows if isinstance(most, float) else most
    if rejected <= limit:
        return ""
    return f"{rejected:,} of {number_of(rows, 'row')} would be rejected, and max_rejected is {most}"

"""What tests of histories share: rows that runs give, and what a history of them is, the slow way."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from practicus_assets.lake.transactions.options import WriteOptions

Given = tuple[int, int, str | None]  # id, time, and value; None where the id ends
Row = tuple[str, int, int, str | None, int | None]  # partition, and until when it is valid

OPTIONS = WriteOptions(
    partition_by=["p"], mode="history", history_keys=["id"], sequence_by="t", apply_as_deletes="gone"
)
LISTS = WriteOptions(
    partition_by=["p"], mode="history", history_keys=["id"], sequence_by="t", delete_unmatched=True
)
given_rows = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 4), st.sampled_from(["A", "B", None])),
    max_size=6,
    unique_by=lambda row: row[:2],
)


def table_of(p: str, rows: Iterable[Given]) -> pa.Table:
    """Return rows that a run of one partition gives."""
    ids, times, values = [*zip(*rows, strict=True)] or ((), (), ())
    return pa.table(
        {
            "p": pa.array([p] * len(ids), pa.string()),
            "id": pa.array(ids, pa.int64()),
            "t": pa.array(times, pa.int64()),
            "v": pa.array(values, pa.string()),
            "gone": pa.array([value is None for value in values], pa.bool_()),
        }
    )


def expected(given: Mapping[str, Iterable[Given]]) -> list[Row]:
    """Return the history of rows, by the partitions that they were given in; one after the other."""
    rows = [(key, time, p, value) for p, rows in given.items() for key, time, value in rows]
    history: list[Row] = []
    for _, of_key in groupby(sorted(rows, key=lambda row: row[:3]), key=lambda row: row[0]):
        is_so: str | None = None  # the value, and the row by which it is
        since = -1
        told = [*of_key]
        for number, (key, time, p, value) in enumerate(told):
            overruled = number + 1 < len(told) and told[number + 1][1] == time
            if not overruled and value != is_so:
                if is_so is not None:
                    history[since] = (*history[since][:4], time)
                is_so, since = value, len(history)
                if value is not None:
                    history.append((p, key, time, value, None))
                    continue
            history.append((p, key, time, value, time))
    return sorted(history, key=repr)


def expected_of_lists(given: Mapping[str, Iterable[Given]]) -> list[Row]:
    """Return the history of lists, by the partitions that they were given in: one time after the other."""
    rows = [(time, key, p, value) for p, rows in given.items() for key, time, value in rows]
    times = sorted({time for time, *_ in rows})
    history: list[Row] = []
    for wanted in {key for _, key, *_ in rows}:
        is_so: str | None = None
        since = -1
        for now in times:
            told = sorted((p, value) for time, key, p, value in rows if (time, key) == (now, wanted))
            history += [(p, wanted, now, value, now) for p, value in told[:-1]]
            _, value = told[-1] if told else ("", None)
            if value != is_so and is_so is not None:
                history[since] = (*history[since][:4], now)
            if told:
                end = now if value == is_so else None
                since = since if value == is_so else len(history)
                history.append((told[-1][0], wanted, now, value, end))
            is_so = value
    return sorted(history, key=repr)


def rows_of(stored: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return the rows of a stored history, in the order of `expected`."""
    found = []
    for row in stored:
        assert row["valid_from"] == row["t"]
        assert row["gone"] == (row["v"] is None)
        found.append((row["p"], row["id"], row["t"], row["v"], row["valid_to"]))
    return sorted(found, key=repr)

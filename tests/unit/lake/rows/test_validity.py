"""Validity: from when to when rows are valid, against the slow way to find out."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from practicus_assets.lake.rows.histories.validity import validity
from tests.unit.lake.transactions.histories import expected

ROWS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 1), st.integers(0, 5), st.sampled_from(["A", "B", None])),
    max_size=14,
    unique_by=lambda row: row[:3],
)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(rows=ROWS)
def test_rows_are_valid_until_the_next_one_says_something_else(
    rows: list[tuple[str, int, int, str | None]],
) -> None:
    ordered = sorted(rows, key=lambda row: (row[1], row[2], row[0]))
    p, ids, times, values = [*zip(*ordered, strict=True)] or ((), (), (), ())
    table = pa.table({"id": pa.array(ids, pa.int64()), "t": pa.array(times, pa.int64())})
    table = table.append_column("v", pa.array(values, pa.string()))
    found = validity(table, ["id"], "t", ["v"], np.array([value is None for value in values], dtype=bool))
    ends = found.valid_to.to_pylist()
    by_partition = {key: [row[1:] for row in rows if row[0] == key] for key in "ab"}
    assert sorted(zip(p, ids, times, values, ends, strict=True), key=repr) == expected(by_partition)
    assert found.is_version.tolist() == [end is None or end > t for t, end in zip(times, ends, strict=True)]
    every = zip(ids, times, ends, found.is_version, strict=True)
    versions = [(key, time, end) for key, time, end, is_one in every if is_one]
    for (key, _, end), (other, start, _) in pairwise(versions):
        assert key != other or (end is not None and end <= start)

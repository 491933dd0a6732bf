"""Breaches of many partitions, in pieces."""

import pytest

from practicus_assets.lake.contracts import breaches
from practicus_assets.lake.contracts.breaches import Breach, Breaches, add


def piece(*keys: str, rows: int = 1) -> Breaches:
    return {key: Breach(rows, [{"x": n} for n in range(rows)]) for key in keys}


def test_samples_of_all_pieces_are_of_few_partitions_and_all_rows_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(breaches, "_SAMPLED_PARTITIONS", 2)
    total: Breaches = {}
    for keys in ["ab", "cd", "ad"]:
        add(total, piece(*keys), 5)
    assert {key: (breach.rows, len(breach.sample)) for key, breach in total.items()} == {
        "a": (2, 2),
        "b": (1, 1),
        "c": (1, 0),
        "d": (2, 0),
    }


def test_a_sample_does_not_grow_by_a_piece_that_has_a_smaller_one() -> None:
    total = piece("a", rows=4)
    add(total, piece("a", rows=3), 3)
    assert (total["a"].rows, len(total["a"].sample)) == (7, 4)

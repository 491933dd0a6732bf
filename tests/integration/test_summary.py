"""What a materialization says of its commit: changes, checks, inputs, time; and what its keys mean."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import Column, Contract, DeltaIOManager, Split, table_asset
from practicus_assets.assets.report import account
from practicus_assets.assets.report.changes import changes_of
from practicus_assets.assets.report.names import DURATION_S
from practicus_assets.assets.report.summary import MEANINGS, meaning, summary
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.workers.launch.usage import Usage
from tests.integration.bench import Bench

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")
FIRST, SECOND, THIRD = "2024-01-01", "2024-01-02", "2024-01-03"
SINGLE_RUN = dg.BackfillPolicy.single_run()
TIMES = ("delta/function_s", "delta/audit_s", "delta/write_s", "delta/commit_s")


def table_of(frames: list[pd.DataFrame], **options: Any) -> dg.AssetsDefinition:
    """Return `orders`, whose runs give one of the frames after the other."""

    @table_asset(**options)
    def orders() -> pd.DataFrame:
        return frames.pop(0)

    return orders


def numbers(*values: int, text: str = "a") -> pd.DataFrame:
    return pd.DataFrame({"n": list(values), "text": text})


def counts(metadata: dict[str, Any]) -> dict[str, int]:
    """Return what a materialization says became of rows."""
    names = ("before", "added", "removed", "changed")
    return {name: metadata[f"delta/rows_{name}"] for name in names if f"delta/rows_{name}" in metadata}


def said(metadata: dict[str, Any], subject: str) -> str:
    """Return the paragraph of a summary on a subject; empty if there is none."""
    found = re.search(
        rf"^\*\*{subject}\*\*.*?(?=^\*\*|^\||\Z)", metadata["delta/summary"], re.DOTALL | re.MULTILINE
    )
    return found[0].strip() if found else ""


def runs(bench: Bench, frames: Sequence[pd.DataFrame], **options: Any) -> list[dict[str, Any]]:
    """Return the metadata of one materialization for each frame."""
    orders = table_of(list(frames), **options)
    events = []
    for _ in frames:
        bench.run([orders])
        events.append(bench.metadata("orders"))
    return events


def test_a_new_table_has_only_rows_that_were_added(bench: Bench) -> None:
    [first] = runs(bench, [numbers(1, 2, 3)])
    assert counts(first) == {"before": 0, "added": 3, "removed": 0, "changed": 0}
    assert first["delta/summary"].startswith("**Version 0**: the table is new.")
    assert said(first, "Rows") == "**Rows**: 0 before, 3 now, 3 added, 0 removed, 0 changed."


def test_a_commit_that_was_found_again_does_not_say_that_the_table_is_new(tmp_path: Path) -> None:
    table = Table.at(str(tmp_path), ["orders"])

    def told(commit: Commit) -> str:
        found = replace(commit, before=None)  # as of one that landed though the store's answer was lost
        changes = changes_of("orders", Snapshot(table.open(), Scope()), found, "replace")
        return summary(found, changes, {}, {}).value.splitlines()[0]

    assert told(Transaction(table).write(numbers(1))) == "**Version 0**: the table is new."
    second = Transaction(table).write(numbers(1, 2))
    assert second.before is not None
    assert told(second).startswith("**Version 1**: what it changed is not known")


def test_rows_that_were_replaced_are_not_counted_and_the_summary_says_why(bench: Bench) -> None:
    _, second = runs(bench, [numbers(1, 2, 3), numbers(1, 2, 3, 4)], contract=Contract(unique=[["n"]]))
    assert counts(second) == {"before": 3}
    assert second["delta/summary"].startswith("**Version 1**, on version 0.")
    assert said(second, "Rows") == (
        "**Rows**: 3 before, 4 now. Not counted is how many were added, removed or changed: old rows were "
        "replaced as a whole, and are not read for it; practicus-assets diff orders 0 1 compares them."
    )


def test_an_emptied_table_has_only_rows_that_were_removed(bench: Bench) -> None:
    _, second = runs(bench, [numbers(1, 2, 3), numbers(1).head(0)])
    assert counts(second) == {"before": 3, "added": 0, "removed": 3, "changed": 0}


def test_an_append_says_how_many_rows_came(bench: Bench) -> None:
    _, second = runs(bench, [numbers(1, 2, 3), numbers(4, 5)], mode="append")
    assert (second["delta/rows"], counts(second)) == (2, {"removed": 0, "changed": 0})
    assert said(second, "Rows") == "**Rows**: 2 added, 0 removed, 0 changed."


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"before": 3, "added": 2, "removed": 0, "changed": 1}),
        ({"merge_kind": "update"}, {"before": 3, "added": 0, "removed": 0, "changed": 1}),
        ({"merge_kind": "insert"}, {"before": 3, "added": 2, "removed": 0, "changed": 0}),
        ({"delete_unmatched": True}, {"before": 3}),
    ],
)
def test_a_merge_counts_rows_by_its_keys(
    bench: Bench, options: dict[str, Any], expected: dict[str, int]
) -> None:
    runs(bench, [numbers(1, 2, 3)])
    [merged] = runs(bench, [numbers(3, 4, 5, text="b")], mode="merge", merge_keys=["n"], **options)
    assert counts(merged) == expected


def test_old_rows_of_one_key_that_one_row_takes_the_place_of_are_removed_but_for_one(bench: Bench) -> None:
    runs(bench, [numbers(1, 1, 1, 2)])
    [merged] = runs(bench, [numbers(1, 7, 8)], mode="merge", merge_keys=["n"])
    assert counts(merged) == {"before": 4, "added": 2, "removed": 2, "changed": 1}
    assert len(bench.frame("orders")) == 4


def test_each_partition_of_a_run_says_what_became_of_its_own_rows(bench: Bench) -> None:
    rows = {FIRST: 2, SECOND: 3, THIRD: 0}

    @table_asset(partitions_def=DAYS, partition_by="day", backfill_policy=SINGLE_RUN)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        days = [day for day in context.partition_keys for _ in range(rows[day])]
        return pd.DataFrame({"day": days, "n": 1})

    bench.run([orders], between=(FIRST, SECOND))
    rows |= {FIRST: 4, SECOND: 0, THIRD: 1}
    bench.run([orders], between=(FIRST, THIRD))
    days = [bench.metadata("orders", day) for day in (FIRST, SECOND, THIRD)]
    assert [counts(day) for day in days] == [
        {"before": 2},
        {"before": 3, "added": 0, "removed": 3, "changed": 0},
        {"before": 0, "added": 1, "removed": 0, "changed": 0},
    ]
    assert said(days[0], "Partitions") == (
        "**Partitions**: 1 replaced, 1 deleted, 1 added.\n\n"
        "- 2024-01-01: replaced, 4 rows, 2 before\n"
        "- 2024-01-02: deleted, 0 rows, 3 before\n"
        "- 2024-01-03: added, 1 row"
    )


def test_the_partitions_of_a_whole_table_are_those_that_its_rows_have(bench: Bench) -> None:
    frames = [pd.DataFrame({"shop": shops, "n": 1}) for shops in (["a", "b", "b"], ["b", "c|<i>"])]
    _, second = runs(bench, frames, partition_by="shop")
    assert said(second, "Partitions") == (
        "**Partitions**: 1 deleted, 1 replaced, 1 added.\n\n"
        "- shop='a': deleted, 0 rows, 1 before\n"
        "- shop='b': replaced, 1 row, 2 before\n"
        "- shop='c\\|&lt;i\\>': added, 1 row"
    )


def test_no_value_of_a_row_is_in_a_summary_where_samples_are_switched_off(bench: Bench) -> None:
    frames = [pd.DataFrame({"shop": ["secretshop"], "n": [1]}), pd.DataFrame({"shop": ["other"], "n": [1]})]
    bench.resources = {"io_manager": DeltaIOManager(root_uri=bench.root, sample_rows=0)}
    for event in runs(bench, frames, partition_by="shop"):
        assert "secretshop" not in str(event)
    assert said(event, "Partitions") == "**Partitions**: 1 added, 1 deleted."


def test_changes_of_columns_are_told_whatever_their_names_are(bench: Bench) -> None:
    odd = "a|b`*_\n![x](http://evil)<script>"
    frames = [
        pd.DataFrame({"n": [1], "gone": "a"}),
        pd.DataFrame({"n": [1.5], odd: "x", "s": [{"\n# b": 1}]}),
    ]
    _, second = runs(bench, frames, on_schema_change="replace")
    assert said(second, "Columns") == (
        "**Columns**: n was int64, and is double; "
        r"a\|b\`\*\_\\n\!\[x\](http://evil)&lt;script\> (string) is new; "
        r"s (struct&lt;\\n\# b: int64\>) is new; gone (string) is gone."
    )
    assert len(second["delta/preview"].splitlines()) == 3
    assert "![x]" not in second["delta/preview"]


def test_checks_that_warned_are_told_with_what_they_counted(bench: Bench) -> None:
    contract = Contract({"n": Column("int64", maximum=1, severity="WARN"), "text": "string"})
    [first] = runs(bench, [numbers(1, 2, 3)], contract=contract)
    assert said(first, "Checks") == "**Checks**: 1 passed, 1 warned:\n\n- n\\_maximum: 2 bad rows"


def test_what_was_read_is_told_and_linked(bench: Bench) -> None:
    @table_asset(key=["shop", "orders"])
    def orders() -> pd.DataFrame:
        return numbers(1)

    @table_asset(ins={"orders": dg.AssetIn(["shop", "orders"])})
    def copy(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    @dg.asset(ins={"orders": dg.AssetIn(["shop", "orders"])})
    def plain(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    bench.run([orders, copy, plain])
    for name in ("copy", "plain"):
        event = bench.metadata(name)
        assert said(event, "Inputs") == "**Inputs**: shop/orders version 0."
        assert event["delta/inputs/shop/orders"] == orders.key
        assert event["delta/read_inputs_s"] > 0
        assert "reading inputs" in said(event, "Time")
    assert "delta/inputs/shop/orders" not in bench.metadata("shop/orders")


def test_a_run_that_changes_nothing_says_so(bench: Bench) -> None:
    _, second = runs(bench, [numbers(1), numbers(1)])
    assert second["delta/summary"].startswith("**Nothing changed**: version 0 has these rows already.")
    assert counts(second) == {}
    assert said(second, "Written") == ""


def test_the_time_of_a_stream_is_that_of_the_function_and_not_of_writing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    @table_asset
    def orders() -> Any:
        for number in range(3):
            clock[0] += 5.0
            yield numbers(number)

    bench.run([orders])
    event = bench.metadata("orders")
    assert event["delta/function_s"] == 15.0
    assert max(event["delta/write_s"], event["delta/commit_s"]) < 5.0
    assert said(event, "Time").startswith("**Time**: the function 15 s, ")


def test_the_time_of_splits_is_that_of_all_and_has_no_parts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    @table_asset(splits=3)
    def orders(split: Split) -> pd.DataFrame:
        clock[0] += 5.0
        return numbers(split.index)

    bench.run([orders])
    event = bench.metadata("orders")
    assert event["delta/duration_s"] == 15.0
    assert [name for name in TIMES if name in event] == ["delta/commit_s"]
    assert said(event, "Time") == "**Time**: the commit 0 s."
    assert "| `delta/splits` | into how many splits the step was cut |" in event["delta/summary"]


def test_a_run_of_several_partitions_tells_time_and_worker_once_and_not_for_each(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = Usage(2.0, 1.0, 1 << 30, None, 1 << 28, 1.0)
    monkeypatch.setattr(account, "usage", lambda *_, is_alone: used if is_alone else None)
    partitions_in_turns(bench)
    several, one = (bench.metadata("orders", day) for day in (THIRD, FIRST))
    assert not [name for name in several if name.startswith("worker/") or name in TIMES]
    assert said(several, "Time").startswith("**Time**: the function ")
    assert said(several, "Worker").startswith("**Worker**: asked 1 core and 1 Gi; ")
    assert several["delta/summary"].endswith("\n\nWhat each entry means: docs/tables.md")
    assert one["delta/summary"] == several["delta/summary"]


def test_the_worker_of_a_step_whose_rows_other_processes_make_is_not_told_as_if_it_were_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(account, "usage", lambda *_, is_alone: asked.append(is_alone))

    @table_asset(splits=2)
    def parts(split: Split) -> pd.DataFrame:
        return numbers(split.index)

    bench.run([parts])
    runs(bench, [numbers(1)])
    assert asked == [False, True]


@pytest.mark.parametrize(
    ("seconds", "words"), [(1834.4, "1,834"), (99.96, "100"), (12.34, "12.3"), (0.045, "0.045"), (0.0, "0")]
)
def test_times_in_words_are_plain_figures(tmp_path: Path, seconds: float, words: str) -> None:
    commit = Transaction(Table.at(str(tmp_path), ["orders"])).write(numbers(1))
    told = summary(commit, None, {}, {"delta/write_s": seconds}).value
    assert f"**Time**: writing {words} s." in told


def test_times_are_numbers_that_plot_and_no_worker_is_made_up(bench: Bench) -> None:
    [first] = runs(bench, [numbers(1)], contract=Contract({"n": "int64", "text": "string"}))
    assert [type(first[name]) for name in TIMES] == [float] * 4
    assert first["dagster/size_bytes"] == round(first["delta/size_mb"] * 1e6)
    assert not [name for name in first if name.startswith("worker/")]


def in_turns(bench: Bench) -> None:
    """Leave materializations of many kinds in the instance."""
    rejecting = Contract({"n": Column("int64", maximum=2, severity="QUARANTINE"), "text": "string"})
    runs(bench, [numbers(1, 2, 3), numbers(1, 2)], contract=rejecting, metadata={"delta/statistics": ["n"]})


def partitions_in_turns(bench: Bench) -> None:
    @table_asset(partitions_def=DAYS, partition_by="day", backfill_policy=SINGLE_RUN)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"n": range(len(context.partition_keys)), "day": context.partition_keys})

    bench.run([orders], partition=FIRST)
    bench.run([orders], between=(FIRST, THIRD))


def one_partition_in_turns(bench: Bench) -> None:
    orders = table_of([numbers(1), numbers(2)], partitions_def=DAYS, partition_by="day")
    for day in (FIRST, SECOND):
        bench.run([orders], partition=day)


def plain(bench: Bench) -> None:
    @dg.asset(metadata={"delta/mode": "append"})
    def orders() -> pd.DataFrame:
        return numbers(1)

    bench.run([orders])
    bench.run([orders])


@pytest.mark.parametrize("leave", [in_turns, one_partition_in_turns, plain])
def test_each_key_that_only_we_understand_is_explained_beside_it(
    bench: Bench, leave: Callable[[Bench], None]
) -> None:
    leave(bench)
    records = bench.instance.fetch_materializations(dg.AssetKey("orders"), limit=100).records
    assert len(records) > 1
    for record in records:
        assert record.asset_materialization is not None
        metadata = record.asset_materialization.metadata
        summary = str(metadata["delta/summary"].value)
        for name in metadata:
            if name.startswith(("delta/", "worker/")) and name != "delta/summary":
                assert meaning(name) is not None
                prefix = next((p for p in MEANINGS if p.endswith(("/", "_")) and name.startswith(p)), name)
                assert f"| `{prefix}" in summary


def test_a_key_of_an_author_is_not_explained() -> None:
    assert meaning("mine") is None
    assert meaning(DURATION_S) == "seconds from the first row to the commit"

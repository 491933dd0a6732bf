"""Backfills in batches, each of which is a commit, and what is left to do after one failed."""

import re
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from practicus_assets import table_asset
from tests.integration.bench import Bench, errors

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-08")
BATCHES = [("2024-01-01", "2024-01-03"), ("2024-01-04", "2024-01-06"), ("2024-01-07", "2024-01-07")]


def test_each_batch_is_a_commit_and_what_failed_is_resumed_alone(bench: Bench) -> None:
    bad = {"2024-01-05"}

    @table_asset(
        partition_by="day",
        partitions_def=DAYS,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=3),
    )
    def visits(context: dg.AssetExecutionContext) -> pd.DataFrame:
        if bad & set(context.partition_keys):
            raise ValueError("no visits yet")
        return pd.DataFrame({"day": pd.to_datetime(context.partition_keys).date, "run": context.run.run_id})

    for batch in BATCHES:
        bench.run([visits], between=batch, fails=batch == BATCHES[1])
    assert bench.version("visits") == 1
    done = bench.instance.get_materialized_partitions(visits.key)
    missing = sorted(set(DAYS.get_partition_keys()) - done)
    assert missing == ["2024-01-04", "2024-01-05", "2024-01-06"]
    before = dict(bench.rows("visits", "day", "run"))
    bad.clear()
    bench.run([visits], between=(missing[0], missing[-1]))
    after = dict(bench.rows("visits", "day", "run"))
    assert len(after) == 7
    assert {day: run for day, run in after.items() if day in before} == before


def test_the_blocks_of_the_page_on_backfills_and_protected_tables_run(bench: Bench) -> None:
    text = PAGE.read_text(encoding="utf-8")
    part = text[text.index("## Backfills") : text.index("## Rollback")]
    names: dict[str, Any] = {"dg": dg, "pd": pd, "table_asset": table_asset}
    blocks = re.findall(r"```python\n(.*?)```", part, re.DOTALL)
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 the page's code
    ledger, week = names["ledger"], ("2024-01-01", "2024-01-07")
    bench.run([ledger], between=week)
    refused = errors(bench.run([ledger], between=week, fails=True))
    [message] = re.findall(r"\n    (ledger \[.*?\n.*?)\n\n", part)
    said = " ".join(message.split()).partition(": ")[2]
    assert said in refused
    assert "replace_ledger" in names
    bench.run([ledger], between=week, tags={"practicus/replace": "ledger"})

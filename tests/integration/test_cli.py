import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.bench import Bench
from tests.servers.server import HANGS_S

DEFINITIONS = """
import dagster as dg
import pandas as pd
from practicus_assets import Column, Contract, DeltaIOManager, table_asset

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")

@table_asset(partitions_def=DAYS, partition_by="day", backfill_policy=dg.BackfillPolicy.single_run())
def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return pd.DataFrame({"day": context.partition_keys, "n": range(len(context.partition_keys))})

@table_asset(
    partitions_def=DAYS,
    partition_by="day",
    backfill_policy=dg.BackfillPolicy.single_run(),
    contract=Contract({"n": Column("int64", maximum=1)}),
)
def checked(orders: pd.DataFrame) -> pd.DataFrame:
    return orders

defs = dg.Definitions(
    assets=[orders, checked],
    resources={"io_manager": DeltaIOManager(root_uri="lake")},
    executor=dg.in_process_executor,
)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (tmp_path / "definitions.py").write_text(DEFINITIONS)
    return tmp_path


def dagster(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "DAGSTER_HOME": str(folder / "home"), "PYTHONPATH": paths}
    return subprocess.run(
        [sys.executable, "-m", "dagster", *arguments, "-f", "definitions.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_S,
    )


def test_the_command_line_materializes_a_partition_and_a_range(folder: Path, bench: Bench) -> None:
    bench.root = str(folder / "lake")
    one = dagster(folder, "asset", "materialize", "--select", "*", "--partition", "2024-01-01")
    assert one.returncode == 0, one.stderr
    assert bench.rows("checked", "day", "n") == [("2024-01-01", 0)]
    both = dagster(
        folder, "asset", "materialize", "--select", "orders,checked",
        "--partition-range", "2024-01-02...2024-01-03",
    )  # fmt: skip
    assert both.returncode == 0, both.stderr
    assert bench.rows("checked", "day", "n") == [("2024-01-01", 0), ("2024-01-02", 0), ("2024-01-03", 1)]
    assert bench.version("checked") == 1


def test_a_broken_contract_fails_the_command_and_says_why(folder: Path, bench: Bench) -> None:
    bench.root = str(folder / "lake")
    done = dagster(
        folder, "asset", "materialize", "--select", "*", "--partition-range", "2024-01-01...2024-01-05"
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "checked [2024-01-01 … 2024-01-05, 5 partitions]: the contract is broken." in said
    assert "n_maximum (n is at most 1): 3 bad rows, e.g. day='2024-01-03', n=2." in said
    assert "Nothing was written." in said
    assert bench.exists("orders")
    assert not bench.exists("checked")
    ours = [line for line in said.splitlines() if "practicus_assets/" in line]
    assert len(ours) <= 2 * 6  # frames of ours in the two places where Dagster prints the error


def test_the_definitions_validate(folder: Path) -> None:
    done = dagster(folder, "definitions", "validate")
    assert done.returncode == 0, done.stderr

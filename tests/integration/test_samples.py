"""Rows that people are shown: with `sample_rows=0` no value of any row leaves the step that has it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

from practicus_assets import Column, Contract, DeltaIOManager, RowRule, TableRule, build_diff_job, table_asset
from practicus_assets.cli import main
from tests.integration.bench import Bench

PERSON = "Ada-Lovelace"
DAYS = dg.StaticPartitionsDefinition(["a", "b"])


def raises(rows: Any) -> bool:
    raise ValueError(f"{PERSON} is no name, of {len(rows)}")


TEXT = pa.table({"n": [1, 2], "t": [PERSON, PERSON]})
RULES: dict[str, Contract] = {
    "not null": Contract({name: Column("string", nullable=name == "t") for name in "tx"}),
    "minimum": Contract({"n": Column("int64"), "t": Column("string", minimum="Z")}),
    "allowed": Contract({"n": Column("int64"), "t": Column("string", allowed=["x"])}),
    "pattern": Contract({"n": Column("int64"), "t": Column("string", pattern="x")}),
    "warning": Contract({"n": Column("int64"), "t": Column("string", pattern="x", severity="WARN")}),
    "unique": Contract(unique=[["t"]]),
    "row rule": Contract(rules=[RowRule("rule", lambda rows: [False] * len(rows))]),
    "table rule": Contract(rules=[TableRule("rule", lambda rows: rows)]),
    "row rule that raises": Contract(rules=[RowRule("rule", raises)]),
    "table rule that raises": Contract(rules=[TableRule("rule", raises)]),
    "no rule": Contract(),
}


def with_rule(rule: str) -> dg.AssetsDefinition:
    @table_asset(name="people", contract=RULES[rule])
    def people() -> pa.Table:
        return pa.table({"t": [PERSON], "x": pa.nulls(1)}) if rule == "not null" else TEXT

    return people


def returning(rows: Callable[[], Any], **options: Any) -> dg.AssetsDefinition:
    @table_asset(name="people", **options)
    def people() -> Any:
        return rows()

    return people


def batches() -> Iterator[pa.RecordBatch]:
    yield pa.record_batch({"s": pa.array([{"t": PERSON, "x": 1.5}])})


NESTED = Contract({"s": Column(pa.struct([("t", pa.string()), ("x", pa.int64())]))})
INNER = Contract({"s": Column(pa.struct([("t", pa.string()), pa.field("x", pa.int64(), nullable=False)]))})
PARTITIONED: dict[str, Any] = {"partitions_def": DAYS, "partition_by": "p"}
LONG = f"{PERSON}{'x' * 300}"
REFUSALS: dict[str, dg.AssetsDefinition] = {
    "a value that would change": returning(batches, contract=NESTED),
    "a null inside": returning(lambda: pa.table({"s": [{"t": PERSON, "x": None}]}), contract=INNER),
    "mixed objects": returning(lambda: pd.DataFrame({"t": [1, PERSON]})),
    "mixed dates": returning(lambda: pd.DataFrame({"t": [b"x", PERSON]})),
    "a row outside": returning(lambda: pa.table({"p": ["z"], "t": [PERSON]}), **PARTITIONED),
    "a partition outside": returning(lambda: pa.table({"p": [PERSON], "n": [1]}), **PARTITIONED),
    "a long partition": returning(lambda: pa.table({"p": [LONG], "n": [1]}), partition_by="p"),
    "merge keys": returning(lambda: TEXT, mode="merge", merge_keys=["t"]),
}


def everything(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> str:
    """Return all that a run left in Dagster's database, as text."""
    return "\n".join(dg.serialize_value(entry) for entry in instance.all_logs(result.run_id))


@pytest.mark.parametrize("sample_rows", [5, 0])
@pytest.mark.parametrize("case", [*RULES, *REFUSALS])
def test_a_run_shows_values_of_rows_only_if_it_may(
    bench: Bench, capfd: pytest.CaptureFixture[str], case: str, sample_rows: int
) -> None:
    bench.resources = {"io_manager": DeltaIOManager(root_uri=bench.root, sample_rows=sample_rows)}
    asset = REFUSALS[case] if case in REFUSALS else with_rule(case)
    run_config = {"loggers": {"console": {"config": {"log_level": "DEBUG"}}}}
    partition = "a" if asset.partitions_def is not None else None
    fails = case not in {"warning", "no rule"}
    result = bench.run([asset], partition=partition, run_config=run_config, fails=fails)
    printed = "".join(capfd.readouterr())
    assert (PERSON in everything(bench.instance, result)) is bool(sample_rows)
    assert (PERSON in printed) is (bool(sample_rows) and fails)


def test_a_plain_asset_and_checks_that_run_alone_show_no_row_either(bench: Bench) -> None:
    bench.resources = {"io_manager": DeltaIOManager(root_uri=bench.root, sample_rows=0)}

    @dg.asset
    def plain() -> pd.DataFrame:
        return pd.DataFrame({"t": [PERSON]})

    @dg.asset
    def mixed() -> pd.DataFrame:
        return pd.DataFrame({"t": [1, PERSON]})

    people = with_rule("warning")
    runs = [
        bench.run([plain]),
        bench.run([mixed], fails=True),
        bench.run([people]),
        bench.run([people], select=dg.AssetSelection.checks_for_assets(people)),
    ]
    assert not any(PERSON in everything(bench.instance, run) for run in runs)


DEFINITIONS = """
import dagster as dg
import pyarrow as pa
from practicus_assets import DeltaIOManager, table_asset

@table_asset
def people():
    return pa.table({"t": ["Ada-Lovelace"]})

defs = dg.Definitions([people], resources={"io_manager": DeltaIOManager(root_uri="LAKE", sample_rows=ROWS)})
"""


@pytest.mark.parametrize("sample_rows", [5, 0])
def test_the_diff_of_two_versions_shows_rows_only_if_it_may(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample_rows: int
) -> None:
    resources = {"io_manager": DeltaIOManager(root_uri=bench.root, sample_rows=sample_rows)}
    for rows in (TEXT, TEXT.slice(1)):
        assets = [returning(lambda rows=rows: rows)]
        assert dg.materialize(assets, instance=bench.instance, resources=resources).success
    defs = dg.Definitions(assets, jobs=[build_diff_job()], resources=resources)
    config = {"ops": {"diff": {"config": {"table": "people", "before": "0", "after": "1"}}}}
    result = defs.resolve_job_def("table_diff").execute_in_process(run_config=config, instance=bench.instance)
    assert (PERSON in everything(bench.instance, result)) is bool(sample_rows)

    text = DEFINITIONS.replace("LAKE", bench.root).replace("ROWS", str(sample_rows))
    (tmp_path / "shown_definitions.py").write_text(text)
    (tmp_path / "workspace.yaml").write_text("load_from: [{python_file: shown_definitions.py}]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    for options in ([], ["--json"], ["--samples", "9"]):
        answer = CliRunner().invoke(main, ["diff", "people", "0", "1", *options])
        assert answer.exit_code == 0, answer.output
        assert "people" in answer.output or "lost" in answer.output
        assert (PERSON in answer.output) is bool(sample_rows)

"""Operations, commands and runs whose store fails, or whose table is damaged: each says what to do."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from click.testing import CliRunner

from practicus_assets.assets.io_manager import DeltaIOManager
from practicus_assets.assets.table_asset import table_asset
from practicus_assets.cli import main
from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.delta.conditional_puts import _proven
from tests.faults.proxy import Fault, FaultProxy
from tests.operations import OPERATIONS, Lake, failing, fill
from tests.servers.ports import free_port
from tests.servers.seaweedfs import SeaweedFS

PATIENCE = {"timeout": "5s", "max_retries": "0", "AWS_MAX_RETRIES": "0"}
ALWAYS = 1_000_000_000

DEFINITIONS = """
import os
import dagster as dg
import pandas as pd
from practicus_assets import DeltaIOManager, table_asset

KEYS = dg.StaticPartitionsDefinition(["a", "b"])

@table_asset(partitions_def=KEYS, partition_by="p")
def t() -> pd.DataFrame: ...

lake = DeltaIOManager(root_uri=os.environ["LAKE"])
defs = dg.Definitions(assets=[t], resources={"io_manager": lake})
"""
COMMANDS = [
    ("history", "t"),
    ("diff", "t", "0", "4"),
    ("verify", "t"),
    ("verify", "t", "--rows"),
    ("rollback", "t", "--to", "1"),
    ("rollback", "t", "--to", "1", "--undo-newer", "--apply"),
    ("maintain", "t"),
    ("maintain", "t", "--compact", "--apply"),
    ("maintain", "t", "--checkpoint", "--apply"),
    ("maintain", "t", "--z-order", "n", "--apply"),
    ("release", "list"),
    ("release", "publish", "second", "t"),
]


def ends_badly(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "a data file": lambda root: ends_badly(min((root / "t" / "p=a").glob("*.parquet"))),
    "an entry": lambda root: ends_badly(root / "t" / "_delta_log" / f"{3:020}.json"),
    "the newest entry": lambda root: (root / "t" / "_delta_log" / f"{4:020}.json").write_text(""),
    "the checkpoint": lambda root: ends_badly(next((root / "t" / "_delta_log").glob("*.parquet"))),
    "the file of releases": lambda root: ends_badly(next((root / "_releases").glob("*.parquet"))),
}


@pytest.fixture
def stored(seaweedfs: SeaweedFS, tmp_path: Path) -> Lake:
    lake = Lake(f"{seaweedfs.root_uri}/{tmp_path.name}", seaweedfs.storage_options() | PATIENCE)
    fill(lake)
    return lake


@pytest.fixture(scope="module")
def proxy(seaweedfs: SeaweedFS) -> Iterator[FaultProxy]:
    with FaultProxy(seaweedfs.endpoint) as running:
        yield running


@pytest.mark.parametrize("refusal", ["wrong key", "unknown key", "nobody listens", "no such bucket"])
def test_every_operation_on_a_store_that_refuses_says_what_to_do(refusal: str, stored: Lake) -> None:
    options, root = dict(stored.options), stored.root_uri
    if refusal == "wrong key":
        options["AWS_SECRET_ACCESS_KEY"] = "wrong-secret-key"  # noqa: S105 of nobody
    elif refusal == "unknown key":
        options["AWS_ACCESS_KEY_ID"] = "unknown-access-key"
    elif refusal == "nobody listens":
        options["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{free_port()}"
    else:
        root = "s3://no-such-bucket/lake"
    ends = {name: failing(name, Lake(root, options)) for name in OPERATIONS}
    assert {name: problem for name, (_, problem) in ends.items() if problem} == {}
    if refusal != "no such bucket":
        works = [name for name, (end, _) in ends.items() if not isinstance(end, PracticusAssetsError)]
        assert [name for name in works if not name.startswith("verify")] == []
        assert not any("wrong-secret-key" in str(end) for end, _ in ends.values())


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 3, 9])
def test_every_operation_on_a_store_that_goes_away_says_what_to_do(
    at: int, stored: Lake, proxy: FaultProxy
) -> None:
    faulty = Lake(stored.root_uri, {**stored.options, "AWS_ENDPOINT_URL": proxy.endpoint})
    problems = {}
    for name in OPERATIONS:
        _proven.clear()
        proxy.arm(Fault("500 before", at, count=ALWAYS))
        problems[name] = failing(name, faulty)[1]
    assert {name: problem for name, problem in problems.items() if problem} == {}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_command_on_a_damaged_table_works_or_says_what_to_do_without_a_traceback(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "doors.py").write_text(DEFINITIONS)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAKE", str(tmp_path / "lake"))
    with dg.DagsterInstance.get() as instance:  # Dagster knows what the lake holds
        for key in ("a", "b"):
            instance.report_runless_asset_event(dg.AssetMaterialization("t", partition=key))
    problems = {}
    for number, arguments in enumerate(COMMANDS):
        root = tmp_path / "lake"
        if number:
            root.rename(tmp_path / str(number))
        fill(Lake(str(root)))
        DAMAGES[damage](root)
        result = CliRunner().invoke(main, [*arguments, "-f", "doors.py"])
        is_clear = not result.exit_code or (damage != "nothing" and "Traceback" not in result.output)
        if not is_clear or not isinstance(result.exception, SystemExit | None):
            problems[arguments] = f"{result.output} {result.exception!r}"
    assert problems == {}


def test_a_run_that_reads_a_damaged_table_fails_with_what_to_do(tmp_path: Path) -> None:
    fill(Lake(str(tmp_path)))
    DAMAGES["a data file"](tmp_path)
    t = dg.AssetSpec("t")

    @table_asset
    def copied(t: pd.DataFrame) -> pd.DataFrame:
        return t

    result = dg.materialize(
        [t, copied],
        resources={"io_manager": DeltaIOManager(root_uri=str(tmp_path))},
        raise_on_error=False,
    )
    [failure] = result.get_step_failure_events()
    error = failure.step_failure_data.error
    texts = []
    while error is not None:
        texts.append(f"{error.cls_name}: {error.message}")
        error = error.cause
    assert any("StoreFailed: t: the data file p=a/" in text for text in texts), texts
    assert "practicus-assets verify t shows every file that is damaged" in json.dumps(texts)

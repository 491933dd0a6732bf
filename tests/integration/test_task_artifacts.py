"""Artifacts of tasks: how large they may be, how they are kept, and who removes them."""

import json
import os
import time
import tracemalloc
import uuid
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from click.testing import CliRunner

from practicus_assets import DeltaIOManager, table_asset, task_asset
from practicus_assets.assets.catalog import catalog
from practicus_assets.cli import main
from practicus_assets.errors import DeclarationError, StoreFailed
from practicus_assets.lake.delta.table_folder import TableFolder
from practicus_assets.operations.configs import MaintainConfig
from practicus_assets.operations.maintain import maintain_artifacts
from tests.integration.bench import Bench, errors
from tests.servers.seaweedfs import SeaweedFS

MIB = 2**20
DAY = 86_400


def test_artifacts_beyond_their_limit_fail_the_step_and_name_the_largest(
    bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "t.sh"
    path.write_text("head -c 900 /dev/zero > small.bin; head -c 2000 /dev/zero > large.bin")
    text = errors(bench.run([task_asset(path, artifacts=["*.bin"], artifacts_limit="2Ki")], fails=True))
    assert "more than artifacts_limit, which is 2Ki; the largest is large.bin" in text
    assert not [*Path(bench.root).rglob("*.bin")]
    bench.run([task_asset(path, artifacts=["*.bin"], artifacts_limit="3Ki")])
    assert bench.metadata("t")["practicus/artifact_files"] == ["large.bin", "small.bin"]


@pytest.mark.parametrize("limit", ["many", "0", "-1Gi", "0.5"])
def test_a_limit_that_is_no_size_is_refused(limit: str) -> None:
    with pytest.raises(DeclarationError, match=r"artifacts_limit is .*Write a size"):
        task_asset(["true"], artifacts_limit=limit)


def test_a_large_file_is_kept_in_pieces(tmp_path: Path) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(os.urandom(32 * MIB))
    tracemalloc.start()
    TableFolder("t", str(tmp_path / "lake")).copy(source, "a/model.bin")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "lake/a/model.bin").read_bytes() == source.read_bytes()
    assert peak < 8 * MIB
    assert [p.name for p in (tmp_path / "lake/a").iterdir()] == ["model.bin"]


def test_a_file_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed):
        TableFolder("t", str(tmp_path / "lake")).copy(tmp_path / "gone", "a/gone")
    assert not (tmp_path / "lake/a/gone").exists()


def test_a_large_file_goes_to_an_object_store_whole(seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(os.urandom(11 * MIB + 7))
    folder = TableFolder("t", f"{seaweedfs.root_uri}/{tmp_path.name}", seaweedfs.storage_options())
    folder.copy(source, "a/model.bin")
    assert folder.read("a/model.bin") == source.read_bytes()


class TestRetention:
    @pytest.fixture
    def definitions(self, bench: Bench) -> dg.Definitions:
        @table_asset
        def orders() -> pa.Table:
            return pa.table({"n": [1]})

        return dg.Definitions([orders], resources={"io_manager": DeltaIOManager(root_uri=bench.root)})

    def kept(self, bench: Bench, asset: str, run: str, days: float, name: str = "a.html") -> Path:
        path = Path(bench.root, "_artifacts", asset, run, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        os.utime(path, (time.time() - days * DAY,) * 2)
        return path

    def maintain(self, bench: Bench, definitions: dg.Definitions, **config: object) -> list[str]:
        settings = MaintainConfig(**{"apply": True, "vacuum": False, **config})
        return [
            str(done) for done in maintain_artifacts(catalog(definitions).values(), bench.instance, settings)
        ]

    def test_old_artifacts_go_but_for_those_of_each_tasks_newest_run(
        self, bench: Bench, definitions: dg.Definitions
    ) -> None:
        runs = [str(uuid.uuid4()) for _ in range(3)]
        gone = [self.kept(bench, "shop/a", runs[0], 50), self.kept(bench, "shop/a", runs[0], 50, "x/b.html")]
        stay = [self.kept(bench, "shop/a", runs[1], 10), self.kept(bench, "shop/b", runs[0], 90)]
        [done] = self.maintain(bench, definitions, artifact_days=30)
        assert "/_artifacts: 2 artifacts of tasks, written before" in done
        assert done.endswith("UTC, 2 of them removed")
        assert [path.exists() for path in (*gone, *stay)] == [False, False, True, True]
        assert not gone[0].parent.exists()

    def test_artifacts_stay_unless_their_days_are_given_and_in_a_preview(
        self, bench: Bench, definitions: dg.Definitions
    ) -> None:
        runs = [str(uuid.uuid4()) for _ in range(2)]
        old, _ = self.kept(bench, "a", runs[0], 900), self.kept(bench, "a", runs[1], 1)
        assert self.maintain(bench, definitions, vacuum=True) == []
        [preview] = self.maintain(bench, definitions, artifact_days=30, apply=False)
        assert preview.endswith("to be removed")
        assert self.maintain(bench, definitions, artifact_days=30, tables=["orders"]) == []
        assert old.exists()

    def test_artifacts_of_a_run_in_progress_stay(self, bench: Bench, definitions: dg.Definitions) -> None:
        job = dg.Definitions(jobs=[dg.GraphDefinition("shop").to_job()]).resolve_job_def("shop")
        run = bench.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        old = self.kept(bench, "a", run.run_id, 900)
        self.kept(bench, "a", str(uuid.uuid4()), 1)
        assert self.maintain(bench, definitions, artifact_days=0) == []
        assert old.exists()


def test_the_command_removes_artifacts_of_all_tasks_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    (tmp_path / "shop.py").write_text(
        "import dagster as dg\nfrom practicus_assets import DeltaIOManager, task_asset\n"
        f"defs = dg.Definitions([task_asset(['true'], name='a')], resources={{'io_manager': "
        f"DeltaIOManager(root_uri={bench.root!r})}})"
    )
    (tmp_path / "home").mkdir()
    (tmp_path / "home/dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    old, new = (TestRetention().kept(bench, "a", str(uuid.uuid4()), days) for days in (90, 1))
    command = ["maintain", "-f", str(tmp_path / "shop.py"), "--artifact-days", "30"]
    assert "Give --all with it" in CliRunner().invoke(main, [*command, "a"]).stderr
    shown = CliRunner().invoke(main, [*command, "--all"])
    assert "1 artifact of tasks, written before" in shown.stdout
    assert old.exists()
    told = json.loads(CliRunner().invoke(main, [*command, "--all", "--apply", "--json"]).stdout)
    assert [(each["artifacts"], each["removed"]) for each in told if "artifacts" in each] == [(bench.root, 1)]
    assert (old.exists(), new.exists()) == (False, True)

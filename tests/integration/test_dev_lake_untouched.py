"""Every command, every job and every kind of run in a lake over a base leaves each byte of the base."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import dagster as dg
import pyarrow.fs
import pytest
from click.testing import CliRunner
from deltalake.fs import DeltaStorageHandler

import practicus_assets
from practicus_assets import DeltaIOManager
from practicus_assets.cli import main
from tests.integration import dev_shop
from tests.integration.bench import RANGE_END, RANGE_START, errors
from tests.servers.seaweedfs import SeaweedFS

DEFINITIONS = """
import json
import os
from pathlib import Path
from practicus_assets import DeltaIOManager
from tests.integration.dev_shop import make

options = json.loads(os.environ["LAKE_OPTIONS"])
lake = DeltaIOManager(
    root_uri=os.environ["LAKE"],
    storage_options=options,
    base_uri=os.environ.get("LAKE_BASE"),
    base_storage_options=options,
)
defs = make(lake, Path(os.environ["SHOP"]))
"""
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
ANY = {0, 1, 3, 6, 7}
NONE_HERE = "It is in the base"

Line = tuple[tuple[str, ...], set[int], str]  # arguments, exit codes, a part of what is printed


def line(*arguments: str, codes: set[int] | int = 0, says: str = "") -> Line:
    return arguments, {codes} if isinstance(codes, int) else codes, says


COMMANDS: dict[str, list[Line]] = {
    "plan": [line(codes=6), line("--json", codes=6), line("--markdown", codes=6)],
    "status": [line(codes=ANY)],
    "show": [line("orders"), line("total", "--contract", codes=ANY), line("plain", codes=ANY)],
    "list": [line()],
    "check": [line(codes=ANY)],
    "contract diff": [line("orders", "orders", "--markdown", codes=ANY)],
    "contract export": [line("orders", codes=ANY), line("orders", "-o", "orders.yaml", codes=ANY)],
    "history": [line("orders"), line("plain", codes=1, says=NONE_HERE)],
    "diff": [
        line("orders", "0", "2"),
        line("--all", "--against", "base"),
        line("--all", "--against", "base", "--markdown"),
        line("orders", "--against", "base", "--json"),
    ],
    "rollback": [
        line("orders", "--to", "1", "--partition", "a", "--undo-newer"),
        line("orders", "--to", "1", "--partition", "a", "--undo-newer", "--apply"),
        line("plain", "--to", "0", "--apply", codes=1, says=NONE_HERE),
    ],
    "verify": [line("--all"), line("--all", "--rows", codes=ANY), line("--all", "--repair", codes=ANY)],
    "maintain": [
        line("--all", "--apply", "--retention-hours", "0", "--releases", "0", "--artifact-days", "0"),
        line("--all", "--compact", "--checkpoint", "--apply"),
        line("orders", "--z-order", "n", "--apply"),
        line("orders", "total", "--vacuum", "--retention-hours", "0", "--apply"),
        line("orders", "--expire", "--retention-hours", "0", "--apply", codes=ANY),
        line("plain", "--apply", codes=1, says=NONE_HERE),
    ],
    "worker": [line("total", codes=ANY)],
    "doctor": [line("--no-pods", codes=ANY)],
    "release publish": [
        line("mine", "only_here"),
        line("ours", "only_here", "--mixed"),
        line("theirs", "orders", codes=1, says="Promote the tables"),
    ],
    "release list": [line()],
    "promote": [line("--all"), line("orders", "total")],
    "new project": [line("mine")],
    "new table": [line("other", codes=ANY)],
    "new source": [line("another", "--system", "files", codes=ANY)],
    "new workflow": [line("flow", "--flow", "one >> two")],
    "run-task": [line("load.py", codes=ANY)],
    "test-tasks": [line("--tasks", "task_rows", "--apply")],
}
UNUSED = {  # switches that these lines do not turn on
    ("promote", "apply"): "it writes the base: that is its work",
    ("doctor", "autoscaled"): "of clusters",
    ("worker", "as_yaml"): "of clusters",
    ("new workflow", "as_practicus"): "it writes other files of the same folder",
}
SHORT = ["diff", "rollback", "verify", "maintain", "release publish", "promote"]  # on S3


@dataclass
class Place:
    """Production, filled, and a lake of one's own over it, of which this process can write both."""

    folder: Path
    root: str
    options: Mapping[str, str] = field(default_factory=dict)

    def lake(self, name: str, base: str | None = None) -> DeltaIOManager:
        return DeltaIOManager(
            root_uri=f"{self.root}/{name}",
            storage_options=dict(self.options),
            base_uri=f"{self.root}/{base}" if base else None,
        )

    def content(self) -> dict[str, Any]:
        """Return when each object of production was written, with its size and its content's hash."""
        if "://" not in self.root:
            return {str(path): _file(path) for path in Path(self.root, "prod").rglob("*")}
        handler = DeltaStorageHandler(f"{self.root}/prod", dict(self.options))
        store = pyarrow.fs.PyFileSystem(handler)
        infos = store.get_file_info(pyarrow.fs.FileSelector("", recursive=True))
        files = [info for info in infos if info.size]  # a server lists folders, and removes them later
        return {info.path: (info.mtime_ns, info.size, _hash(store, info)) for info in files}


def _file(path: Path) -> Any:
    state = path.stat()
    content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return state.st_mtime_ns, state.st_ino, state.st_mode, content


def _hash(store: pyarrow.fs.FileSystem, info: pyarrow.fs.FileInfo) -> str:
    return hashlib.sha256(store.open_input_file(info.path).readall()).hexdigest()


class Runs:
    """Runs of the code location in one lake."""

    def __init__(self, place: Place, lake: DeltaIOManager, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.definitions = dev_shop.make(lake, place.folder)
        self.graph = self.definitions.resolve_asset_graph()
        self.resources = {"io_manager": lake}

    def run(self, *names: str, number: int = 1, fails: bool = False, **options: Any) -> str:
        dev_shop.NEXT.number = number
        keys = [dg.AssetKey(name) for name in names]
        result = dg.materialize(
            self.graph.assets_defs,
            selection=dg.AssetSelection.assets(*keys),
            instance=self.instance,
            resources=self.resources,
            run_config=QUIET,
            raise_on_error=False,
            **options,
        )
        assert result.success is not fails, (names, errors(result))
        return errors(result) if fails else ""

    def job(self, name: str, **config: Any) -> dg.ExecuteInProcessResult:
        [op] = [node.name for node in self.definitions.resolve_job_def(name).graph.nodes]
        run_config = {**QUIET, "ops": {op: {"config": config}}}
        return self.definitions.resolve_job_def(name).execute_in_process(
            run_config, instance=self.instance, raise_on_error=False
        )


def fill(runs: Runs) -> None:
    """Make two versions of each table of production, and a release."""
    for number in (1, 2):
        for key in ("a", "b"):
            runs.run("orders", number=number, partition_key=key)
            runs.run("events", "plain_parts", number=number, partition_key=key)
        runs.run("total", "customers", "stock", "plain", "left", "right", "of_graph", number=number)
    runs.run("mixed")


def work(runs: Runs) -> None:
    """Run every kind of table over those of the base, in each of its modes, well and badly."""
    for key in ("a", "c"):  # one that the base has, and one that it has not
        runs.run("orders", number=5, partition_key=key)
        runs.run("events", "plain_parts", number=5, partition_key=key)
    for number in (6, 7):
        runs.run("orders", number=number, tags={RANGE_START: "b", RANGE_END: "d"})
    runs.run("orders", number=8, partition_key="a")
    assert "orders" in runs.run("orders", number=-1, fails=True, partition_key="a")
    runs.run("total", "customers", "stock", "left", "right", "of_graph", "only_here", number=9)
    runs.run("release")
    assert "export it from the base" in runs.run("customers_there", fails=True)
    assert "export it from the base" in runs.run("orders_there", fails=True, partition_key="a")
    assert "a release would have only those of the own root" in runs.run("mixed", fails=True)
    runs.run("task_rows")
    checks = dg.AssetSelection.checks_for_assets(dg.AssetKey("orders"))
    assert dg.materialize(
        runs.graph.assets_defs,
        selection=checks,
        instance=runs.instance,
        resources=runs.resources,
        run_config=QUIET,
        raise_on_error=False,
    ).success


def jobs(runs: Runs) -> None:
    configs: dict[str, dict[str, Any]] = {
        "build_diff_job": {"table": "orders", "before": "0", "after": "1"},
        "build_history_job": {"table": "orders"},
        "build_maintain_job": {"apply": True, "retention_hours": 0.0, "releases": 0},
        "build_plan_job": {},
        "build_rollback_job": {"table": "orders", "to": "2", "apply": True, "undo_newer": True},
        "build_verify_job": {"rows": True, "repair": True},
    }
    names = {name for name in practicus_assets.__all__ if name.startswith("build_") and name.endswith("_job")}
    assert names == {*configs} == {*dev_shop.JOBS}
    for build, config in configs.items():
        runs.job(build.replace("build_", "table_").removesuffix("_job"), **config)


def commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, with its words."""
    if isinstance(command, click.Group):
        for word, each in command.commands.items():
            yield from commands(f"{name} {word}".strip(), each)
    else:
        yield name, command


def test_each_command_and_each_switch_of_it_is_tried_over_a_base() -> None:
    found = dict(commands("", main))
    assert {*found} == {*COMMANDS}
    for name, command in found.items():
        switches = {
            option.name: set(option.opts)
            for option in command.params
            if isinstance(option, click.Option) and option.is_flag
        }
        used = {word for arguments, _, _ in COMMANDS[name] for word in arguments}
        left = {switch for switch, words in switches.items() if not words & used}
        allowed = {switch for of, switch in UNUSED if of == name} | {"as_json", "all_", "help"}
        assert left <= allowed, f"{name}: add a line with {left - allowed} to COMMANDS"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (tmp_path / "load.py").write_text(dev_shop.TASK)
    (tmp_path / "shop.py").write_text(DEFINITIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    with dg.DagsterInstance.get() as instance:
        yield instance


def attack(
    place: Place, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, names: Iterable[str]
) -> None:
    with dg.DagsterInstance.ephemeral() as of_production:
        fill(Runs(place, place.lake("prod"), of_production))
    before = place.content()
    runs = Runs(place, place.lake("dev", base="prod"), instance)
    work(runs)
    assert place.content() == before
    monkeypatch.setenv("LAKE", f"{place.root}/dev")
    monkeypatch.setenv("LAKE_BASE", f"{place.root}/prod")
    monkeypatch.setenv("LAKE_OPTIONS", json.dumps(dict(place.options)))
    monkeypatch.setenv("SHOP", str(place.folder))
    problems = []
    for name in names:
        for arguments, codes, says in COMMANDS[name]:
            words = [*name.split(), *arguments]
            takes_location = name != "run-task" and not name.startswith("new ")
            done = CliRunner().invoke(main, [*words, *(["-f", "shop.py"] if takes_location else [])])
            wrong = [
                done.exception is not None and not isinstance(done.exception, SystemExit),
                done.exit_code not in codes,
                says not in done.output,
                place.content() != before,
            ]
            if any(wrong):
                problems.append(f"{words} {wrong}: {done.exit_code} {done.output} {done.exception!r}")
    assert not problems, "\n\n".join(problems)
    jobs(runs)
    assert place.content() == before
    done = CliRunner().invoke(main, ["promote", "orders", "--apply", "-f", "shop.py"])
    assert done.exit_code == 0, done.output
    after = place.content()  # so the comparison sees what the one command does that may
    new = after.keys() - before.keys()
    assert new
    assert all("orders" in path for path in new)
    files = {path for path, state in before.items() if state[-1]}
    assert {path: after[path] for path in files} == {path: before[path] for path in files}


def test_nothing_in_a_lake_over_a_folder_changes_one_byte_of_it(
    tmp_path: Path, home: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    attack(Place(tmp_path, str(tmp_path)), home, monkeypatch, COMMANDS)


@pytest.mark.long
def test_nothing_in_a_lake_over_s3_changes_one_byte_of_it(
    tmp_path: Path, home: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, seaweedfs: SeaweedFS
) -> None:
    root = f"{seaweedfs.root_uri}/{tmp_path.name}"
    attack(Place(tmp_path, root, seaweedfs.storage_options()), home, monkeypatch, SHORT)


def test_links_that_lead_to_the_base_are_refused(tmp_path: Path, home: dg.DagsterInstance) -> None:
    place = Place(tmp_path, str(tmp_path))
    with dg.DagsterInstance.ephemeral() as of_production:
        Runs(place, place.lake("prod"), of_production).run("plain")
    before = place.content()
    (tmp_path / "same").symlink_to(tmp_path / "prod")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "plain").symlink_to(tmp_path / "prod" / "plain")
    for root in ("same", "dev"):
        refused = Runs(place, place.lake(root, base="prod"), home).run("plain", number=3, fails=True)
        assert "one place, or one lies in the other" in refused
    assert place.content() == before

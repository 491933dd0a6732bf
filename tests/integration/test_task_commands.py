"""`run-task` and `test-tasks`: tasks alone, in real processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from deltalake import DeltaTable

from practicus_assets.cli import main
from practicus_assets.code_location import code_locations
from practicus_assets.workflows.alone import process
from practicus_assets.workflows.alone.trial import Trial
from tests.unit.workflows.test_dag_file import SECOND, TASK, in_dag

pytestmark = pytest.mark.process

Run = Callable[..., Result]

SHOP = """
import dagster as dg
from practicus_assets import DeltaIOManager, Worker, task_asset, worker_executor

days = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-04")
patient = dg.RetryPolicy(max_retries=5, delay=600)
small = Worker(size="Small", env={"MODE": "quick"})
defs = dg.Definitions(
    [
        task_asset("tasks/rows.py", key=["shop", "rows"], table={}, worker=small),
        task_asset("tasks/told.sh", partitions_def=days, retry_policy=patient),
        task_asset("tasks/env.sh", worker=small),
    ],
    resources={"io_manager": DeltaIOManager(root_uri="lake")},
    executor=worker_executor,
)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tasks").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path


@pytest.fixture
def tasks(folder: Path) -> Path:
    """Return a folder of tasks that end in each way."""
    tasks = folder / "tasks"
    (tasks / "good.py").write_text(
        "import os, sibling\nprint('hello', os.environ['MODE'], sibling.N)\nopen('out.txt', 'w').write('x')"
    )
    (tasks / "sibling.py").write_text("N = 3")
    (tasks / "json.py").write_text("raise SystemExit('a task hides a module of Python')")
    (tasks / "bad.sh").write_text('echo "$1 of bad"; echo x > left.txt; exit 75')
    (tasks / "idle.sh").write_text("exit 99")
    (tasks / "slow.sh").write_text(f"echo $$ > {folder}/pid; exec sleep 600")
    (tasks / "default_worker.json").write_text(
        json.dumps({"service_url": "https://eu.example.com", "env_variables": {"MODE": "quick"}})
    )
    return tasks


def command(*arguments: str, code: int = 0) -> Result:
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        result = CliRunner().invoke(main, arguments)
    finally:
        for number, handler in signals.items():
            signal.signal(number, handler)
    assert result.exit_code == code, result.output
    return result


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "tmp").iterdir())


def test_a_task_runs_in_the_foreground_in_its_worker(
    folder: Path, tasks: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tasks)
    said = command("run-task", "good.py").stderr
    assert capfd.readouterr().out == "hello quick 3\n"
    assert said.startswith("good succeeded after ")
    assert left(folder) == []
    assert not (tasks / "out.txt").exists()


@pytest.mark.parametrize("keep", ["failed", "none"])
def test_a_failed_task_stays_to_look_into_unless_it_is_not_to(
    folder: Path, tasks: Path, capfd: pytest.CaptureFixture[str], keep: str
) -> None:
    result = command("run-task", "tasks/bad.sh", "--keep", keep, "--json", "--", "--words", code=1)
    assert capfd.readouterr().err == "--words of bad\n"
    outcome = json.loads(result.stdout)
    assert outcome["error"].startswith("the task ended with exit code 75")  # and is not tried again
    kept = [path.name for path in Path(outcome["kept"], "folder").glob("*.txt")] if outcome["kept"] else []
    assert kept == (["left.txt"] if keep == "failed" else [])
    assert len(left(folder)) == (keep == "failed")


def test_each_task_runs_alone_and_is_reported(folder: Path, tasks: Path) -> None:
    names = ("test-tasks", "tasks", "--flow", "bad >> [good, idle]")
    told = json.loads(command(*names, "--json", "--keep", "all", code=1).stdout)
    assert told["count"] == {"failed": 1, "passed": 1, "skipped": 1}
    bad, good, idle = told["tasks"]
    assert [outcome["result"] for outcome in (bad, good, idle)] == ["failed", "passed", "skipped"]
    assert "of bad" in bad["error"]
    assert Path(good["kept"], "output.txt").read_text().endswith("hello quick 3\n")
    assert sorted(path.name for path in Path(good["kept"]).iterdir()) == ["folder", "output.txt"]


def test_a_report_fits_a_terminal_and_names_the_place(
    folder: Path, tasks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = command("test-tasks", "tasks", "--tasks", "slow", "--time-limit", "1", code=1).stdout
    assert "ran longer than its time limit of 1 s" in shown
    [kept] = left(folder)
    assert kept in "".join(shown.split())
    report = shown[: shown.index("slow: ")] + shown.splitlines()[-1]
    assert max(map(len, report.splitlines())) <= 80
    assert shown.splitlines()[-1] == "1 failed."
    assert "\x1b" not in shown


def test_a_folder_of_practicus_says_itself_which_tasks_it_has(folder: Path, tasks: Path) -> None:
    (tasks / "a.sh").write_text('[[ "$MODE" == x ]]')
    (tasks / "b.sh").write_text("true")
    head = "def dynamic(**kwargs):\n    prt.workflows.run_airflow_task(env_variables={'MODE': 'x'}, **kwargs)"
    wait = "wait = HttpSensor(task_id='wait', endpoint='ready')"
    (tasks / "shop_dag.py").write_text(
        in_dag('a = task(dynamic, task_id="a")()', SECOND, wait, "wait >> a >> b", head=head)
    )
    told = json.loads(command("test-tasks", "tasks", "--json").stdout)
    assert [(outcome["task"], outcome["result"]) for outcome in told["tasks"]] == [
        ("a", "passed"),
        ("b", "passed"),
    ]
    assert TASK not in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run-task", "tasks/goood.py"), "Did you mean good.py?"),
        (("run-task", "tasks/good.py", "--parameter", "x"), "Write NAME=VALUE"),
        (("run-task", "nowhere/good.py"), "there is no file"),
        (("test-tasks", "nowhere", "--tasks", "a"), "there is no folder nowhere"),
        (("test-tasks", "tasks"), 'Give --flow "a >> b" or --tasks a,b; there is bad, good,'),
        (("test-tasks", "tasks", "--tasks", "good,goood"), "there is no task 'goood'. Did you mean good?"),
        (("test-tasks", "tasks", "--flow", "good >>"), "it is no flow"),
        (("test-tasks", "tasks", "--flow", "good >> bed"), "    good >> bed\n            ^\n"),
        (("test-tasks", "tasks", "--flow", "good", "--tasks", "bad"), "Give one of them"),
        (("test-tasks", "tasks", "-m", "shop"), "a folder is named, and a code location"),
        (("test-tasks",), "no definitions are named"),
        (("test-tasks", "-m", "nowhere"), "there is no module 'nowhere' here"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_input_is_answered_before_anything_runs(
    folder: Path, tasks: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert said in command(*arguments, code=1).stderr
    assert left(folder) == []


class TestEnds:
    """The command is ended while a task runs."""

    @pytest.fixture
    def running(self, folder: Path, tasks: Path) -> Iterator["subprocess.Popen[str]"]:
        code = "from practicus_assets.cli import main; main()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, "test-tasks", "tasks", "--tasks", "slow,good", "--json"],
            env={**os.environ, "PYTHONPATH": str(Path(process_file()).parents[3])},
            stdout=subprocess.PIPE,
            text=True,
        )
        while not (folder / "pid").exists() or not (folder / "pid").read_text():
            assert process.poll() is None
        yield process
        process.kill()
        process.wait()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
    def test_an_interrupt_ends_the_task_and_reports(
        self, folder: Path, running: "subprocess.Popen[str]", number: int
    ) -> None:
        running.send_signal(number)
        printed, _ = running.communicate()
        told = json.loads(printed)["tasks"]
        assert [(outcome["task"], outcome["result"]) for outcome in told] == [
            ("slow", "interrupted"),
            ("good", "not run"),
        ]
        assert (running.returncode, left(folder), is_alive(folder)) == (130, [], False)

    def test_a_killed_command_leaves_no_task(self, folder: Path, running: "subprocess.Popen[str]") -> None:
        running.kill()
        running.communicate()
        while is_alive(folder):
            pass


def process_file() -> str:
    return str(process.__file__)


def is_alive(folder: Path) -> bool:
    try:
        state = Path("/proc", (folder / "pid").read_text().strip(), "stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def shop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "shop.py").write_text(SHOP)
    (folder / "tasks/rows.py").write_text(
        "import os\nfrom practicus_assets import task\n"
        "task.table('shop/rows').replace([{'mode': os.environ['MODE']}])"
    )
    (folder / "tasks/told.sh").write_text('echo "of $PRACTICUS_PARTITION_KEY"; exit 1')
    (folder / "tasks/env.sh").write_text('[[ "$MODE" == quick ]]')
    return folder


def test_tasks_of_a_code_location_run_and_those_with_tables_only_when_told(shop: Path) -> None:
    told = json.loads(command("test-tasks", "-f", "shop.py", "--json", code=1).stdout)["tasks"]
    assert [(outcome["task"], outcome["result"]) for outcome in told] == [
        ("env", "passed"),
        ("shop/rows", "not run"),
        ("told", "failed"),
    ]
    assert "give --apply" in told[1]["error"]
    assert "of 2026-01-03" in told[2]["error"]
    assert not (shop / "lake").exists()


def test_a_task_that_writes_a_table_commits_it_and_tells_the_instance(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("test-tasks", "-f", "shop.py", "--tasks", "rows", "--apply")
    assert "DAGSTER_HOME is not set" in command(*arguments, code=1).stderr
    (shop / "home").mkdir()
    (shop / "home/dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(shop / "home"))
    assert command(*arguments).stdout.splitlines()[-1] == "1 passed."
    assert DeltaTable(shop / "lake/shop/rows").to_pyarrow_table().to_pylist() == [{"mode": "quick"}]
    with dg.DagsterInstance.get() as instance:
        assert instance.get_latest_materialization_event(dg.AssetKey(["shop", "rows"])) is not None


@pytest.mark.slow
def test_a_task_that_the_executor_sends_elsewhere_runs_there(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr("tempfile.tempdir", None)  # where workers' sockets lie, whose paths must be short
    (shop / "home").mkdir()
    (shop / "home/dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(shop / "home"))
    monkeypatch.setenv("PRACTICUS_WORKERS", "local")  # the executor's own workers, in place of pods
    monkeypatch.setattr(process, "backend_of", lambda *_: ("kubernetes", ""))
    [location] = code_locations(python_file="shop.py")
    trial = Trial("env", location=asdict(location), time_limit_seconds=60)
    outcome: Any = process._of_location(trial)
    assert (outcome.result, outcome.worker, outcome.kept) == ("passed", "pod", "")

"""Folders as Practicus AI exports them, run as they are."""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
import pytest

from practicus_assets import DeltaIOManager, workflow_from_folder
from practicus_assets.errors import DeclarationError
from tests.integration.bench import Bench
from tests.unit.workflows.test_dag_file import SECOND, TASK, in_dag


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    code = f"import os\nopen('{tmp_path}/ran', 'a').write(os.environ.get('MODE', '') + 'a ')"
    (folder / "a.py").write_text(code)
    (folder / "b.sh").write_text(f"printf 'b ' >> {tmp_path}/ran")
    (folder / "shop_dag.py").write_text(in_dag(TASK, SECOND, "a >> b"))
    (folder / "default_worker.json").write_text(
        json.dumps({"worker_size": "Small", "refresh_token": "eyJhbGciOi.secret"})
    )
    return folder


def run(definitions: dg.Definitions, bench: Bench, name: str = "shop") -> dg.ExecuteInProcessResult:
    resources = dg.Definitions(resources={"io_manager": DeltaIOManager(root_uri=bench.root)})
    job = dg.Definitions.merge(definitions, resources).resolve_job_def(name)
    return job.execute_in_process(instance=bench.instance, raise_on_error=False)


def test_a_folder_runs_as_it_is(bench: Bench, folder: Path) -> None:
    assert run(workflow_from_folder(folder), bench).success
    assert (folder.parent / "ran").read_text() == "a b "


def test_a_login_in_a_file_reaches_nothing_and_is_warned_of(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        definitions = workflow_from_folder(folder)
    assert "shop: default_worker.json holds refresh_token" in caplog.text
    tags = definitions.resolve_job_def("shop").get_node_named("a").definition.tags
    specs = [node.metadata for node in definitions.resolve_asset_graph().asset_nodes]
    assert "secret" not in repr((tags, specs, caplog.text))


def test_what_has_no_counterpart_is_metadata_of_its_asset(folder: Path) -> None:
    (folder / "b_worker.json").write_text(json.dumps({"git_configs": ["x"]}))
    graph = workflow_from_folder(folder).resolve_asset_graph()
    said = graph.get(dg.AssetKey("b")).metadata["practicus/without_counterpart"]
    assert "b_worker.json: git_configs has no counterpart" in said


def test_a_task_gets_the_variables_of_its_dag_file(bench: Bench, folder: Path) -> None:
    head = "def dynamic(**kwargs):\n    prt.workflows.run_airflow_task(env_variables={'MODE': 'x'}, **kwargs)"
    (folder / "shop_dag.py").write_text(in_dag('a = task(dynamic, task_id="a")()', "a", head=head))
    assert run(workflow_from_folder(folder), bench).success
    assert (folder.parent / "ran").read_text() == "xa "


def test_what_an_operator_says_beside_its_command_is_named(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = (
        "wait = HttpSensor(task_id='wait', endpoint='x', soft_fail=True, timeout=limit())",
        "say = BashOperator(task_id='say', bash_command='echo 1', env={'A': '1'})",
        "load = BashOperator(task_id='load', bash_command='echo {% if ds %}')",
        "wait >> [say, load]",
    )
    (folder / "shop_dag.py").write_text(in_dag(*lines))
    with caplog.at_level(logging.WARNING):
        workflow_from_folder(folder, gates={"wait": "http://127.0.0.1/ready"})
    for sentence in (
        "soft_fail of wait has no counterpart",
        "timeout of wait, limit() (line 12), only a run would tell: it is 604800 s",
        "env of say has no counterpart",
        "load is a BashOperator, which has no counterpart",
    ):
        assert sentence in caplog.text


def test_one_run_at_a_time_skips_a_tick_while_one_is_in_progress(folder: Path) -> None:
    text = in_dag(TASK, SECOND, "a >> b").replace("dag_id=dag_id", "schedule='@daily', max_active_runs=1")
    (folder / "shop_dag.py").write_text(text)
    found = workflow_from_folder(folder).resolve_schedule_def("shop_schedule")
    assert isinstance(found, dg.ScheduleDefinition)
    with dg.instance_for_test() as instance:
        context = dg.build_schedule_context(instance)
        assert len(found.evaluate_tick(context).run_requests or ()) == 1
        instance.create_run_for_job(
            dg.Definitions(jobs=[dg.GraphDefinition("shop").to_job()]).resolve_job_def("shop"),
            status=dg.DagsterRunStatus.STARTED,
        )
        assert "is in progress" in str(found.evaluate_tick(dg.build_schedule_context(instance)).skip_message)


class _Gate(BaseHTTPRequestHandler):
    asked = 0
    long = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        answer = {"ok": True} if self.asked > 2 else {"ok": False, "error": "not yet"}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"about": "x" * self.long, **answer}).encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(**attributes: int) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), type("Gate", (_Gate,), attributes))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/ready"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def gate() -> Iterator[str]:
    with serving() as url:
        yield url


SENSOR = 'wait = HttpSensor(task_id="wait_for_api", endpoint="ready", poke_interval=0.1, timeout=60)'


def test_a_sensor_is_a_gate_that_waits_for_its_url(bench: Bench, folder: Path, gate: str) -> None:
    (folder / "shop_dag.py").write_text(in_dag(SENSOR, TASK, "wait >> a"))
    assert run(workflow_from_folder(folder, gates={"wait_for_api": gate}), bench).success
    assert (folder.parent / "ran").read_text() == "a "


@pytest.mark.parametrize(
    ("attributes", "code"),
    [({"asked": 1}, 0), ({"long": 5_000_000}, 1)],
    ids=["open within the time", "closed at length"],
)
def test_a_gate_is_asked_until_its_time_is_over(attributes: dict[str, int], code: int) -> None:
    with serving(**attributes) as url:
        words = [
            sys.executable,
            "-m",
            "practicus_assets.tasks.gate",
            url,
            "--interval",
            "60",
            "--timeout",
            "0.5",
        ]
        assert subprocess.run(words, capture_output=True, check=False).returncode == code


def test_an_operator_without_a_counterpart_fails_and_what_follows_waits(bench: Bench, folder: Path) -> None:
    (folder / "shop_dag.py").write_text(in_dag(SENSOR, TASK, "wait >> a"))
    result = run(workflow_from_folder(folder), bench)
    assert not result.success
    assert not (folder.parent / "ran").exists()


def test_a_bash_operator_runs_its_command(bench: Bench, folder: Path) -> None:
    bash = f'c = BashOperator(task_id="c", bash_command="printf c >> {folder.parent}/ran")'
    (folder / "shop_dag.py").write_text(in_dag(TASK, bash, "a >> c"))
    assert run(workflow_from_folder(folder), bench).success
    assert (folder.parent / "ran").read_text() == "a c"


def test_a_folder_with_no_dag_file_or_two_is_refused(folder: Path) -> None:
    (folder / "other_dag.py").write_text("")
    with pytest.raises(DeclarationError, match=r"has 2 dag files \(other_dag\.py, shop_dag\.py\)"):
        workflow_from_folder(folder)


def test_a_task_without_a_file_is_named(folder: Path) -> None:
    (folder / "b.sh").unlink()
    with pytest.raises(
        DeclarationError, match=r"the task 'b' has no file b\.py, b\.sh or b\.ipynb in .*shop"
    ):
        workflow_from_folder(folder)


def test_tasks_of_a_group_are_found_by_their_ids_and_a_name_with_a_hyphen_is_told(
    bench: Bench, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "shop_dag.py").unlink()
    group = "with TaskGroup('load') as load:"
    text = in_dag(SECOND, group, f"    {TASK}", "b >> load")
    (folder / "my-shop_dag.py").write_text(text)
    (folder / "a.py").rename(folder / "load.a.py")
    with caplog.at_level(logging.WARNING):
        definitions = workflow_from_folder(folder)
    assert "the name my-shop is none in Dagster: the job and its group are my_shop" in caplog.text
    assert run(definitions, bench, "my_shop").success
    assert (folder.parent / "ran").read_text() == "b a "


def test_two_tasks_of_one_name_in_dagster_are_refused(folder: Path) -> None:
    (folder / "shop_dag.py").write_text(
        in_dag(TASK.replace('"a"', '"a.b"'), SECOND.replace('"b"', '"a_b"'), "a >> b")
    )
    for name in ("a.b", "a_b"):
        (folder / f"{name}.sh").touch()
    with pytest.raises(DeclarationError, match=r"the tasks 'a\.b' and 'a_b' would both be 'a_b'"):
        workflow_from_folder(folder)


class _Closed(BaseHTTPRequestHandler):
    asked = threading.Semaphore(0)
    is_open = threading.Event()

    def do_GET(self) -> None:
        self.asked.release()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"ok": self.is_open.is_set()}).encode())

    def log_message(self, *_: object) -> None:
        pass


def test_a_gate_holds_up_what_follows_until_it_is_opened(bench: Bench, folder: Path) -> None:
    (folder / "shop_dag.py").write_text(in_dag(SENSOR, TASK, SECOND, "wait >> a", "b"))
    server = HTTPServer(("127.0.0.1", 0), _Closed)
    threading.Thread(target=server.serve_forever).start()
    results = []
    try:
        url = f"http://127.0.0.1:{server.server_port}/ready"
        definitions = workflow_from_folder(folder, gates={"wait_for_api": url})
        run_of = threading.Thread(target=lambda: results.append(run(definitions, bench)))
        run_of.start()
        for _ in range(3):
            assert _Closed.asked.acquire(timeout=60)
        assert "a " not in ((folder.parent / "ran").read_text() if (folder.parent / "ran").exists() else "")
        _Closed.is_open.set()
        run_of.join(60)
    finally:
        server.shutdown()
        server.server_close()
    assert [result.success for result in results] == [True]
    assert "a " in (folder.parent / "ran").read_text()

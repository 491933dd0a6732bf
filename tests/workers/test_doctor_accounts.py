"""`practicus-assets doctor` on accounts of steps that start pods. A test answers for the API server."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from practicus_assets.cli import main

DEFINITIONS = """
import dagster as dg
import pandas as pd
from pyspark.sql import DataFrame
from practicus_assets import (
    DeltaIOManager, SparkConnect, Splits, Worker, table_asset, task_asset, worker_executor
)

@table_asset
def orders() -> pd.DataFrame: ...

@table_asset(splits=Splits(2, worker=Worker(memory="4Gi", secrets=["of-splits"])))
def labels(orders: pd.DataFrame) -> pd.DataFrame: ...

@table_asset(engine=SparkConnect(workers=2, worker=Worker(cpu=2, priority_class="of-engines")))
def totals(orders: DataFrame) -> DataFrame: ...

tool = task_asset(["true"], name="tool", bare_image=True, worker=Worker(image="tool:1"))
lake = DeltaIOManager(root_uri="lake")
defs = dg.Definitions(assets=[orders, labels, totals, tool], resources={"io_manager": lake},
    executor=worker_executor)
"""


class ApiServer:
    """An API server that knows accounts and what they may.

    Attributes:
        accounts: what each service account may, as verbs and resources; the caller may everything.
        asked: of whom rights were asked.

    """

    def __init__(self) -> None:
        self.accounts: dict[str, set[str] | None] = {}
        self.asked: set[str] = set()

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Return what it says; None where there is nothing."""
        last = path.rpartition("/")[2]
        if path == "/version":
            return {"gitVersion": "v1.30"}
        if path == "/api/v1/nodes":
            size = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi"}
            return {"items": [{"metadata": {}, "spec": {}, "status": {"allocatable": size}}]}
        if "serviceaccounts" in path:
            return {} if last in {"default", *self.accounts} else None
        if not path.endswith("accessreviews"):
            return None
        user = body["spec"].get("user", "")
        self.asked.add(user)
        wanted = body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (wanted["resource"], wanted["subresource"])))
        rights = self.accounts.get(user.rpartition(":")[2]) if user else None
        return {"status": {"allowed": rights is None or f"{wanted['verb']} {resource}" in rights}}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    told = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            answer = told.answer(self.path, body)
            data = json.dumps(answer if answer is not None else {"message": "not found"}).encode()
            self.send_response(200 if answer is not None else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815 as the library asks for it

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        config = {
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{http.server_port}"}}],
            "users": [{"name": "me", "user": {"token": "none"}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        }
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
        monkeypatch.delenv("DAGSTER_HOME", raising=False)
        yield told
        http.shutdown()


@pytest.fixture
def examine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    file = tmp_path / "definitions.py"
    file.write_text(DEFINITIONS)
    monkeypatch.chdir(tmp_path)

    def findings(**kubernetes: str) -> dict[str, dict[str, str]]:
        region = {"namespace": "here", "image": "pipelines:1", "kubeconfig": str(tmp_path / "kubeconfig")}
        workers = {"backend": "kubernetes", "kubernetes": {**region, **kubernetes}}
        (tmp_path / "workers.yaml").write_text(yaml.safe_dump(workers))
        monkeypatch.setenv("PRACTICUS_WORKERS", str(tmp_path / "workers.yaml"))
        result = CliRunner().invoke(main, ["doctor", "--json", "--no-pods", "-f", str(file)])
        assert result.output.startswith("{"), result.output
        sections = json.loads(result.output)["sections"]
        return {each["check"]: each for found in sections for each in found["findings"]}

    return findings


COMMAND = {"create jobs", "get jobs", "list jobs", "delete jobs", "get pods", "list pods", "get pods/log"}
ENGINE = {"create pods", "get pods", "list pods", "delete pods", "deletecollection pods"}


def test_accounts_of_steps_that_start_pods_have_to_exist_and_to_be_allowed_what_they_do(
    server: ApiServer, examine: Any
) -> None:
    server.accounts = {"commands": {*COMMAND, "list events"}, "engines": ENGINE}
    found = examine(command_account="commands", engine_account="engines")
    assert found["rights of service account commands"]["status"] == "ok"
    assert "all 8 that its steps use" in found["rights of service account commands"]["found"]
    assert found["rights of service account engines"]["status"] == "ok"
    assert "service account commands" in found["named objects"]["found"]
    assert "service account engines" in found["named objects"]["found"]

    server.accounts = {"commands": COMMAND, "engines": ENGINE - {"deletecollection pods"}}
    found = examine(command_account="commands", engine_account="engines")
    for name, missing in (("commands", "list events"), ("engines", "deletecollection pods")):
        lacks = found[f"rights of service account {name}"]
        assert (lacks["status"], lacks["found"]) == ("failed", f"missing in namespace here: {missing}")
        assert "deploy/region/accounts.yaml" in lacks["advice"]

    server.accounts = {}
    found = examine(command_account="commands", engine_account="engines")
    assert found["service account commands"]["status"] == "failed"
    assert found["service account engines"]["status"] == "failed"


def test_steps_that_start_pods_without_an_account_are_named_with_what_to_set(
    server: ApiServer, examine: Any
) -> None:
    found = examine()
    for step, setting in (("tool", "command"), ("labels", "command"), ("totals", "engine")):
        worker = found[f"worker of {step}"]
        assert worker["status"] == "failed"
        assert worker["advice"].startswith(
            f"Set kubernetes: {setting}_account in the executor's configuration"
        )
    assert (
        "create, get and delete jobs, get and list pods, and get pods/log."
        in found["worker of tool"]["advice"]
    )
    assert server.asked == {""}


def test_what_the_pods_of_splits_and_engines_name_has_to_exist(server: ApiServer, examine: Any) -> None:
    server.accounts = {"commands": None, "engines": None}
    found = examine(command_account="commands", engine_account="engines")
    assert found["Secret of-splits"]["status"] == "failed"
    assert found["PriorityClass of-engines"]["status"] == "failed"

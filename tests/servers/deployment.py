"""A deployment, made of deploy/ as deploy/README.md says, and its GraphQL API."""

import json
import shutil
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.cluster import Cluster, wait_until
from tests.servers.postgresql import PostgreSQL
from tests.servers.server import HANGS_S

_DEPLOY = Path(__file__).parents[2] / "deploy"
_FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}
_RUN_S = 300
_LAUNCH = """
mutation ($execution: ExecutionParams!) {
  launchRun(executionParams: $execution) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""


@dataclass(frozen=True)
class Deployment:
    """What overlays of deploy/ are given.

    Attributes:
        cluster: where they are applied.
        postgresql: has the database.
        database: its name.
        lake: the environment variables that lead to it, its URI as PRACTICUS_LAKE among them.
        folder: an empty one, for a copy of deploy/ and overlays of its overlays.

    """

    cluster: Cluster
    postgresql: PostgreSQL
    database: str
    lake: Mapping[str, str]
    folder: Path

    def __post_init__(self) -> None:
        shutil.copytree(_DEPLOY, self.folder / "deploy")

    def deploy(self, namespace: str, image: str) -> None:
        """Apply overlays/local in a namespace that exists, and return once all is ready."""
        name, _, tag = image.rpartition(":")
        images = [{"name": "localhost/practicus-assets", "newName": name, "newTag": tag}]
        self._apply("local", namespace, images=images)
        for part in ("webserver", "daemon", "code"):
            waited = ["rollout", "status", f"deployment/dagster-{part}", f"--timeout={HANGS_S}s"]
            self.cluster.kubectl(*waited, namespace=namespace)

    def add_region(self, namespace: str, home: str) -> None:
        """Apply overlays/region in a namespace that exists, for runs of the deployment in another one."""
        change = {"op": "replace", "path": "/subjects/0/namespace", "value": home}
        binding = {"kind": "RoleBinding", "name": "dagster-run"}
        self._apply("region", namespace, {"target": binding, "patch": json.dumps([change])})

    def _apply(self, name: str, namespace: str, *patches: Mapping[str, Any], **more: object) -> None:
        below = self.folder / "deploy" / "overlays" / name
        secrets = {key: value for key, value in self.lake.items() if "KEY" in key}
        settings = {
            "DAGSTER_PG_HOST": self.cluster.node_address,
            "DAGSTER_PG_PORT": str(self.postgresql.port),
            "DAGSTER_PG_DB": self.database,
            "DAGSTER_PG_USERNAME": self.postgresql.user,
            "DAGSTER_EVENT_BATCH_SIZE": "500",
            "DAGSTER_LOGS_BUCKET": self.lake["PRACTICUS_LAKE"].removeprefix("s3://").split("/")[0],
            **{key: value for key, value in self.lake.items() if key not in secrets},
        }
        _write(below / "settings.env", settings)
        _write(below / "postgresql.env", {"DAGSTER_PG_PASSWORD": self.postgresql.password})
        _write(below / "lake.env", secrets)
        overlay = self.folder / namespace
        overlay.mkdir()
        kustomization = {
            "resources": [f"../deploy/overlays/{name}"],
            "namespace": namespace,
            "patches": [
                self._only("dagster-postgresql", self.postgresql.port),
                self._only("dagster-lake", int(self.lake["AWS_ENDPOINT_URL"].rpartition(":")[2])),
                *patches,
            ],
            **more,
        }
        (overlay / "kustomization.yaml").write_text(json.dumps(kustomization))
        self.cluster.kubectl("apply", "-k", str(overlay))

    def _only(self, policy: str, port: int) -> dict[str, Any]:
        """Return the patch by which a network policy lets pods reach one port of this machine."""
        to = [{"ipBlock": {"cidr": f"{self.cluster.node_address}/32"}}]
        rule = {"to": to, "ports": [{"protocol": "TCP", "port": port}]}
        return {
            "target": {"kind": "NetworkPolicy", "name": policy},
            "patch": json.dumps([{"op": "replace", "path": "/spec/egress", "value": [rule]}]),
        }


class Dagster:
    """The API of a webserver.

    Args:
        url: where it is reached.

    """

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, **variables: object) -> Any:
        """Return the answer to a GraphQL query."""
        asked = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", asked, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=HANGS_S) as response:
            answer = json.loads(response.read())
        assert "errors" not in answer, answer
        return answer["data"]

    def launch(
        self, *assets: str, tags: Mapping[str, str], run_config: Mapping[str, Any] | None = None
    ) -> str:
        """Launch a run of the shipped pipeline's assets, and return its id."""
        execution = {
            "selector": {
                "repositoryLocationName": "pipelines",
                "repositoryName": "__repository__",
                "pipelineName": "__ASSET_JOB",
                "assetSelection": [{"path": [asset]} for asset in assets],
            },
            "mode": "default",
            "runConfigData": run_config or {},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        answer = self.ask(_LAUNCH, execution=execution)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def wait(self, run_id: str) -> str:
        """Wait for a run's end, and return its status."""
        wait_until(lambda: self.status(run_id) in _FINISHED, _RUN_S, f"run {run_id}")
        return self.status(run_id)

    def cancel(self, run_id: str) -> None:
        """Ask for a run's end."""
        query = "mutation ($run: String!) { terminateRun(runId: $run) { __typename } }"
        answer = self.ask(query, run=run_id)["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer

    def status(self, run_id: str) -> str:
        """Return a run's status."""
        query = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
        return str(self.ask(query, run=run_id)["runOrError"]["status"])

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """Return a run's events: type, step and message."""
        query = """query ($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
          __typename ... on MessageEvent { message stepKey timestamp }
          ... on LogsCapturedEvent { fileKey stepKeys }
          ... on ExecutionStepFailureEvent { error { message } } } } } }"""
        found: list[dict[str, Any]] = self.ask(query, run=run_id)["logsForRun"]["events"]
        return found


def _write(path: Path, variables: Mapping[str, str]) -> None:
    path.write_text("".join(f"{key}={value}\n" for key, value in variables.items()), encoding="utf-8")

"""A cluster of which a test says what becomes of each pod, as far as the pods of splits need one."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from practicus_assets.workers.placement.region import Region

if TYPE_CHECKING:
    from kubernetes.client.exceptions import ApiException

RUNNING: Mapping[str, Any] = {"state": {"running": {}}}
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "step", "uid": "1"}


def ended(code: int = 0, reason: str = "Completed", message: str = "") -> dict[str, Any]:
    return {"state": {"terminated": {"exitCode": code, "reason": reason, "message": message}}}


class PodsHere:
    """A cluster whose pods end as `status` says; a pod for which that says None is not there."""

    def __init__(self, status: Callable[[dict[str, Any]], Mapping[str, Any] | None]) -> None:
        self.region, self.namespace = Region(), "here"
        self.kept: dict[str, dict[str, Any]] = {}
        self.made: list[dict[str, Any]] = []
        self.most = 0
        self.owner: dict[str, str] | None = OWNER
        self.warnings: list[dict[str, Any]] = []
        self.refusals: list[ApiException] = []
        self._status = status

    def run_pod(self) -> dict[str, str] | None:
        return self.owner

    def create_job(self, job: dict[str, Any]) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.kept[job["metadata"]["name"]] = job
        self.made.append(job)

    def delete_job(self, name: str) -> None:
        self.kept.pop(name, None)

    def job(self, name: str) -> dict[str, Any] | None:
        return self.kept.get(name)

    def jobs(self, selector: str) -> list[dict[str, Any]]:
        label, _, value = selector.partition("=")
        own = [job for job in self.kept.values() if job["metadata"]["labels"].get(label) == value]
        over = [{"type": "Failed", "status": "True"}]
        return [
            {**job, "status": {"conditions": over if self._phase(self._status(job)) == "Failed" else []}}
            for job in own
        ]

    def events(self, *_: str) -> list[dict[str, Any]]:
        return self.warnings

    def pods(self, selector: str) -> list[dict[str, Any]]:
        label, _, value = selector.partition("=")
        pods = []
        for name, job in list(self.kept.items()):
            labels = {**job["spec"]["template"]["metadata"]["labels"], "job-name": name}
            status = self._status(job) if labels[label] == value else None
            if status is not None:
                whole = status if "state" not in status else self._of_container(status)
                metadata = {"name": f"{name}-x", "uid": f"{name}-x", "labels": labels}
                pods.append({"metadata": metadata, "spec": job["spec"]["template"]["spec"], "status": whole})
        self.most = max(self.most, len(pods))
        return pods

    def log_tail(self, pod: str, _: str, **__: Any) -> str:
        return f"log of {pod}"

    def kubectl(self, *words: str) -> str:
        return " ".join(["kubectl", *words])

    def _phase(self, status: Mapping[str, Any] | None) -> str:
        if status is None or "state" not in status:
            return str((status or {}).get("phase", ""))
        return "Running" if "running" in status["state"] else "Failed"

    def _of_container(self, status: Mapping[str, Any]) -> dict[str, Any]:
        return {"phase": self._phase(status), "containerStatuses": [{"name": "dagster", **status}]}

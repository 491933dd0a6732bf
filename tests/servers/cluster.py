"""The Kubernetes cluster that KUBECONFIG names, by way of kubectl."""

import json
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from tests.servers.server import HANGS_S


class Cluster:
    """A cluster, and what tests ask of it."""

    @cached_property
    def node_address(self) -> str:
        """The first node's address, at which pods reach servers of this machine that listen there."""
        addresses = self.get("nodes")[0]["status"]["addresses"]
        return next(str(found["address"]) for found in addresses if found["type"] == "InternalIP")

    def kubectl(self, *arguments: str, namespace: str | None = None, given: str | None = None) -> str:
        """Run kubectl, with `given` as its standard input, and return its output.

        Raises:
            RuntimeError: with what kubectl wrote to standard error.

        """
        command = ["kubectl", *(["-n", namespace] if namespace else []), *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def get(self, kind: str, namespace: str | None = None, selector: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind that a label selector selects."""
        answer = self.kubectl("get", kind, "-l", selector, "-o", "json", namespace=namespace)
        found: list[dict[str, Any]] = json.loads(answer)["items"]
        return found

    def apply(self, *objects: dict[str, Any], namespace: str) -> None:
        """Make or change objects."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", namespace=namespace, given=json.dumps(listed))

    @contextmanager
    def namespace(self) -> Iterator[str]:
        """Make a namespace, and remove it, and all that is in it, at the end."""
        name = f"test-{secrets.token_hex(4)}"
        self.kubectl("create", "namespace", name)
        try:
            yield name
        finally:
            self.kubectl("delete", "namespace", name, f"--timeout={HANGS_S}s")

    @contextmanager
    def forward(self, target: str, port: int, namespace: str) -> Iterator[str]:
        """Give the URL at which a port of a pod or a service, e.g. `service/web`, is reached from here."""
        command = ["kubectl", "-n", namespace, "port-forward", target, f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()  # Forwarding from 127.0.0.1:40123 -> 80
                assert line.startswith("Forwarding from"), f"{' '.join(command)} said {line!r}"
                url = f"http://{line.split()[2]}"
                wait_until(lambda: _answers(url), HANGS_S, f"{target} to answer at {url}")
                yield url
            finally:
                process.terminate()


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Return once a condition holds.

    Raises:
        TimeoutError: naming what was waited for.

    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.5)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            answer.read(1)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return True
    except OSError:
        return False
    return True

"""An API server of Kubernetes as far as it knows pods, which are processes of this machine."""

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import yaml

_KEPT = {"PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH"}  # what an image would have


class Pods:
    """The server; its pods are as real as the programs that they run.

    Attributes:
        kubeconfig: the file that leads to it.
        made: the manifests of all pods that were made, by name.
        processes: those that were not deleted, by the name of their pod.
        hidden: whether it refuses to show a pod by its name.

    """

    def __init__(self, folder: Path, **present: dict[str, Any]) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self.made: dict[str, dict[str, Any]] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.hidden = False
        self._present = present
        self._lock = Lock()
        self._folder = folder

    def __enter__(self) -> Self:
        pods = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path, query = _parsed(self.path)
                if pods.hidden and path[-1] != "pods":
                    words = f'pods "{path[-1]}" is forbidden'
                    self._answer(403, {"kind": "Status", "message": words, "code": 403})
                    return
                found = pods.pod(path[-1]) if path[-1] != "pods" else {"items": pods.listed(query)}
                self._answer(200 if found is not None else 404, found or {"message": "not found"})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(201, pods.start(body))

            def do_DELETE(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                pods.delete(_parsed(self.path)[1])
                self._answer(200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []})

            def _answer(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": url}}],
            "users": [{"name": "me", "user": {"token": "none"}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.delete("")

    def pod(self, name: str) -> dict[str, Any] | None:
        return self._present.get(name) or self.made.get(name)

    def start(self, pod: dict[str, Any]) -> dict[str, Any]:
        name = pod["metadata"]["name"]
        [container] = pod["spec"]["containers"]
        own = {each["name"]: each.get("value") or "127.0.0.1" for each in container["env"]}
        inherited = {key: value for key, value in os.environ.items() if key in _KEPT}
        command = [*container["command"], *container.get("args", ())]
        with self._lock, (self._folder / f"{name}.log").open("wb") as log:
            self.made[name] = pod
            self.processes[name] = subprocess.Popen(
                [sys.executable if word == "python" else word for word in command],
                env={**inherited, **own},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return pod

    def listed(self, selector: str) -> list[dict[str, Any]]:
        with self._lock:
            return [{**self.made[name], "status": self._status(name)} for name in self._selected(selector)]

    def delete(self, selector: str) -> None:
        with self._lock:
            for name in self._selected(selector):
                process = self.processes.pop(name)
                process.kill()
                process.wait()

    def _selected(self, selector: str) -> list[str]:
        key, _, value = selector.partition("=")
        return [
            name
            for name in self.processes
            if not selector or self.made[name]["metadata"]["labels"].get(key) == value
        ]

    def _status(self, name: str) -> dict[str, Any]:
        code = self.processes[name].poll()
        if code is None:
            return {"phase": "Running"}
        state = {"terminated": {"exitCode": code if code >= 0 else 128 - code, "reason": "Error"}}
        return {"phase": "Failed", "containerStatuses": [{"name": "worker", "state": state}]}


def _parsed(path: str) -> tuple[list[str], str]:
    parts = urlsplit(path)
    return parts.path.split("/"), parse_qs(parts.query).get("labelSelector", [""])[0]

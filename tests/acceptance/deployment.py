"""The pipeline that ships on an instance of its own: its commands, and questions to its webserver."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def environment(home: Path, code: Path = ROOT) -> dict[str, str]:
    """Return the variables of a process on the instance of that home; code is looked for there first."""
    path = os.pathsep.join(map(str, dict.fromkeys([code, ROOT])))
    return {**os.environ, "DAGSTER_HOME": str(home), "PRACTICUS_LAKE": str(home / "lake"), "PYTHONPATH": path}


def dagster(home: Path, *arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command of Dagster in a folder, on the instance of that home."""
    return python(home, "dagster", *arguments, folder=folder)


def python(home: Path, *arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a module in a folder, whose code it finds before that of the repository."""
    command = [sys.executable, "-W", "ignore", "-m", *arguments]
    env = environment(home, folder)
    return subprocess.run(command, cwd=folder, env=env, check=False, capture_output=True, text=True)


def ask(url: str, query: str) -> Any:
    """Return what the webserver answers to a query of GraphQL."""
    request = urllib.request.Request(
        f"{url}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    answer = json.loads(urllib.request.urlopen(request, timeout=60).read())
    assert "errors" not in answer, answer
    return answer["data"]

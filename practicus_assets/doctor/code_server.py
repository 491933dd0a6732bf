"""Checks that code servers are reachable from here, as they must be from the webserver and the daemon."""

import subprocess
import sys
from collections.abc import Iterator, Sequence

from practicus_assets.doctor.finding import Finding, failed, ok

_ANSWER_S = 60
_ADVICE = "Check its pod, its Service, and the network policies between it and this process."


def code_servers(addresses: Sequence[str]) -> Iterator[Finding]:
    """Yield whether code servers answer.

    Args:
        addresses: the code servers' addresses as `HOST:PORT`, see workspace.yaml.

    """
    for address in addresses:
        host, _, port = address.rpartition(":")
        check = f"code server {address}"
        command = [sys.executable, "-W", "ignore", "-m", "dagster", "api", "grpc-health-check"]
        try:
            done = subprocess.run(  # noqa: S603 Dagster's own command
                [*command, "--host", host, "--port", port],
                capture_output=True,
                text=True,
                timeout=_ANSWER_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            yield failed(check, f"no answer in {_ANSWER_S} s", _ADVICE)
            continue
        if done.returncode:
            yield failed(check, f"it does not serve: {_last(done.stdout + done.stderr)}", _ADVICE)
        else:
            yield ok(check, "it serves")


def _last(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no answer")

"""The program of a pod that is a worker of Sail: it ends with the server that it works for.

Sail's own worker goes on without its server. It is run as `python -m …spark.pod_program worker`, with the
variables that Sail gives to the pods of its workers.
"""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

from practicus_assets.engines.spark.program import end_with_parent
from practicus_assets.engines.spark.server import sail_settings
from practicus_assets.engines.spark.stores import with_variables
from practicus_assets.engines.spark.workers import REACH

_LOOK_S = 3.0  # between two looks at whether the server is there
_LOOKS = 4  # that have to fail in a row
_HOST, _PORT = "SAIL_CLUSTER__DRIVER_EXTERNAL_HOST", "SAIL_CLUSTER__DRIVER_EXTERNAL_PORT"


def main() -> None:
    """Run a worker until its server ends it, or is gone."""
    server = (os.environ[_HOST], int(os.environ[_PORT]))
    reach = {name: os.environ[name] for name in os.environ.get(REACH, "").split(",") if name in os.environ}
    worker = subprocess.Popen(  # noqa: S603 Sail's own program
        [sys.executable, "-P", "-m", "pysail", *sys.argv[1:]],
        stdin=subprocess.DEVNULL,
        env=with_variables(os.environ, reach) | sail_settings(),
        preexec_fn=end_with_parent,  # noqa: PLW1509 no thread runs yet
    )

    def end(*_: object) -> None:
        worker.kill()
        os._exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)  # a pod's first process has no default for it
    missed = 0
    while missed < _LOOKS:
        with suppress(subprocess.TimeoutExpired):
            code = worker.wait(_LOOK_S)
            sys.exit(code if code >= 0 else 128 - code)
        missed = 0 if _listens(server) else missed + 1
    worker.kill()
    sys.exit("The server of this worker is gone.")


def _listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=_LOOK_S).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()

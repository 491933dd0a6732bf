"""The program of an engine's server: it says its port, and ends with the process that started it.

It is run as `python -m practicus_assets.engines.spark.program KIND PARENT CORES MEMORY_MB`. Its standard
input is a pipe that the step holds open: at its end the step is gone, however it went.
"""

import ctypes
import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_LOOK_S = 1.0  # between two looks at whether the parent is still there
_STARTED = re.compile(r"Spark Connect server started at: .*:(\d+)\s*$")
_CONNECT_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
_PR_SET_PDEATHSIG = 1
_USUAL = (" INFO ", "Using Spark's default log4j profile")


def main() -> None:
    """Run a server until its parent ends."""
    kind, parent, cores, memory_mb = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    stop = _sail() if kind == "sail" else _spark(cores, memory_mb)
    try:
        while os.getppid() == parent:
            readable, _, _ = select.select([sys.stdin], [], [], _LOOK_S)
            if readable and not os.read(sys.stdin.fileno(), 1):
                break
    finally:
        stop()
        os._exit(0)  # the engine's threads are not waited for


def _sail() -> Callable[[], None]:
    from pysail import _native  # noqa: PLC0415 only this program needs it
    from pysail.spark import SparkConnectServer  # noqa: PLC0415

    with suppress(RuntimeError):  # no address; before it looks, it chooses its TLS, which pods need
        _native.main(["sail", "spark", "server", "--ip", "none"])
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    address = server.listening_address
    assert address is not None, "it was started"
    _say_port(address[1])
    stop: Callable[[], None] = server.stop
    return stop  # without a reference to it, the server would stop by itself


def _spark(cores: int, memory_mb: int) -> Callable[[], None]:
    """Start a JVM, which ends with this process; its messages are passed on, but for those that are usual."""
    here = Path.cwd()  # the server's own folder, for a JVM that is killed removes nothing
    java = subprocess.Popen(  # noqa: S603 Spark's own program
        [
            f"{os.environ['SPARK_HOME']}/bin/spark-submit",
            *("--master", f"local[{cores}]", "--driver-memory", f"{memory_mb}m"),
            *("--class", _CONNECT_SERVER, "--conf", "spark.ui.enabled=false"),
            *("--conf", f"spark.local.dir={here}"),
            *("--driver-java-options", f'"-Djava.io.tmpdir={here}"'),
            *("--conf", "spark.connect.grpc.binding.address=127.0.0.1"),
            *("--conf", "spark.connect.grpc.binding.port=0", "spark-internal"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        preexec_fn=end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 no thread runs yet
    )

    def follow() -> None:
        assert java.stderr is not None
        for line in java.stderr:
            started = _STARTED.search(line)
            if started is not None:
                _say_port(int(started[1]))
            if not any(usual in line for usual in _USUAL):
                sys.stderr.write(line)
                sys.stderr.flush()
        os._exit(java.wait())

    threading.Thread(target=follow, daemon=True).start()
    return java.kill


def end_with_parent() -> None:
    """Have the kernel kill this process when the one that started it has ended."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _say_port(port: int) -> None:
    """Write the port; what functions print later goes nowhere, for nobody reads it, and it may be rows."""
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    main()

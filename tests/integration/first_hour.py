"""docs/tutorial.md as a newcomer follows it: from a wheel in an empty environment, in a shell, timed.

    make tutorial        or python -m tests.integration.first_hour

Packages come from PyPI. It prints what each command took, by the clock and of processors, which is less where
the machine has other work; and the sums with and without what installs. A step that does not do what the page
says ends it with an error. Nothing outside of a temporary folder is written.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from tests.integration.tutorial_page import STARTS_A_SERVER, change, fails, file_named, missing, steps
from tests.servers.ports import free_ports

REPOSITORY = Path(__file__).parents[2]
KEPT = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
ASSETS = {"raw_orders", "orders", "revenue", "totals"}
ANSWERS_WITHIN_S = 120
END = "<end of a command>"


class Shell:
    """A shell in which one command follows the other, as at a terminal."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._shell = subprocess.Popen(
            ["/bin/bash"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shell.stdin is not None:
            self._shell.stdin.close()
        self._shell.wait()

    def run(self, line: str) -> tuple[int, str]:
        """Run a line; return its exit code and what it printed."""
        if self._shell.stdin is None or self._shell.stdout is None:
            raise AssertionError
        self._shell.stdin.write(f'{line} </dev/null\necho "{END} $?"\n')
        self._shell.stdin.flush()
        printed: list[str] = []
        for text in self._shell.stdout:
            before, found, code = text.partition(END)
            printed.append(before)
            if found:
                return int(code), "".join(printed)
        raise AssertionError(f"The shell ended in {line!r}: {''.join(printed)}")

    def processor(self) -> float:
        """Return the processor time that its commands have used, in seconds."""
        minutes_and_seconds = re.findall(r"(\d+)m([\d.]+)s", self.run("times")[1])
        return sum(60 * int(minutes) + float(seconds) for minutes, seconds in minutes_and_seconds)


class Clock:
    """What each step took."""

    def __init__(self) -> None:
        self._sums = {False: [0.0, 0.0], True: [0.0, 0.0]}

    @contextmanager
    def step(self, name: str, processor: Callable[[], float], *, installs: bool = False) -> Iterator[None]:
        """Take the time of a step, and print it.

        Args:
            name: the step's name.
            processor: returns the processor time that was used until now, in seconds.
            installs: whether it installs packages.

        """
        begun, used = time.monotonic(), processor()
        yield
        taken = [time.monotonic() - begun, processor() - used]
        self._sums[installs] = [one + other for one, other in zip(self._sums[installs], taken, strict=True)]
        _print_line(taken, name)

    def report(self) -> None:
        """Print the sums."""
        _print_line(self._sums[True], "what installs packages")
        _print_line(self._sums[False], "the tutorial's commands")


def _print_line(taken: Sequence[float], name: str) -> None:
    print(f"{taken[0]:7.1f} s {taken[1]:7.1f} s of processors   {name}", flush=True)


def _own_processor() -> float:
    children = os.times()
    return children.children_user + children.children_system


def follow(folder: Path, clock: Clock) -> None:
    """Follow the page in a folder."""
    (folder / "home").mkdir()
    environment = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    environment |= {"HOME": str(folder / "home"), "TZ": "UTC", "LANG": "C.UTF-8"}
    environment["PATH"] = f"{folder / 'venv' / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    with clock.step("the wheel", _own_processor, installs=True):
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*build, "-w", folder, REPOSITORY], check=True)
    [wheel] = folder.glob("*.whl")
    with clock.step("python3 -m venv", _own_processor, installs=True):
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    with Shell(folder, environment) as shell:
        with clock.step("pip install WHEEL", shell.processor, installs=True):
            code, printed = shell.run(f"pip install --quiet {shlex.quote(str(wheel))}")
            assert code == 0, printed
        _follow_blocks(folder / "shop", shell, clock)


def _follow_blocks(project: Path, shell: Shell, clock: Clock) -> None:
    file, printed = Path(), ""
    for prose, language, text, after in steps():
        file = file_named(prose, project) or file
        if language == "python":
            file.write_text(text, encoding="utf-8")
        elif language == "diff":
            change(file, text)
        elif language == "text":
            assert missing(text, printed) == [], printed
        elif language == "bash":
            printed = ""
            for line in text.splitlines():
                words = shlex.split(line)
                with clock.step(line, shell.processor, installs=words[0] == "pip"):
                    if words == STARTS_A_SERVER:
                        look_at_the_ui(line, shell, project.parent / "dg-dev.log")
                        continue
                    code, output = shell.run(line)
                printed += output
                assert (code != 0) is fails(after), f"{line} ended with {code}:\n{output}"


def look_at_the_ui(line: str, shell: Shell, log: Path) -> None:
    """Start the server at a free port, wait until it shows the assets and their rows, and stop it."""
    [port] = free_ports(1)
    interruptible = "setsid env --default-signal=INT"  # a shell lets what runs in the background ignore it
    _, printed = shell.run(f"{interruptible} {line} --port {port} >{log} 2>&1 & echo $!")
    leader = int(printed.split()[-1])
    try:
        begun, seen = time.monotonic(), set[str]()
        while seen != ASSETS:
            assert time.monotonic() - begun < ANSWERS_WITHIN_S, log.read_text()
            time.sleep(0.2)
            seen = _assets(port)
    finally:
        os.killpg(leader, signal.SIGINT)
        shell.run("wait")


def _assets(port: int) -> set[str]:
    """Return the assets that the server shows; those of a server that does not answer yet are none."""
    query = json.dumps({"query": "{ assetNodes { assetKey { path } } }"}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", query, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            nodes = json.loads(response.read())["data"]["assetNodes"]
    except (OSError, urllib.error.URLError):
        return set()
    return {"/".join(node["assetKey"]["path"]) for node in nodes}


if __name__ == "__main__":
    timed = Clock()
    with tempfile.TemporaryDirectory(prefix="first-hour-") as place:
        follow(Path(place), timed)
    timed.report()

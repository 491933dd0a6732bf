"""The supervision of trials: each in a process of its own, with a deadline, and what stays of its worker."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Literal

from practicus_assets.tasks import variables
from practicus_assets.tasks.folder import scratch
from practicus_assets.workflows.alone.trial import KEEP, Keep, Outcome, Trial, keeps

Output = Literal["terminal", "stderr", "kept"]
"""Where a task's output goes: where this process's does, to its standard error, or to a file that is kept."""

OUTPUT = "output.txt"
_PROCESS = "practicus_assets.workflows.alone.process"
_STANDARD_ERROR = 2
_STARTS_S = 600  # that a worker may take to begin, such as on a node that is still to be added
_GRACE_S = 15  # after SIGTERM: the task has 10
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


def run(trial: Trial, keep: Keep, output: Output) -> Outcome:
    """Run a task alone, and return what came of it.

    Args:
        trial: the task.
        keep: which workers stay when their tasks have ended.
        output: where the task's output goes.

    Raises:
        KeyboardInterrupt: if this process is interrupted; the task was ended, and its worker is gone.

    """
    began = time.monotonic()
    with scratch() as made:
        workspace = made / "workspace"
        workspace.mkdir()
        asked, answer = made / "trial.json", made / "outcome.json"
        trial.write(asked)
        with (workspace / OUTPUT).open("wb") as file:
            stdout = {"kept": file, "terminal": None, "stderr": _STANDARD_ERROR}[output]
            process = _start(asked, answer, {variables.WORKSPACE: str(workspace), KEEP: keep}, stdout)
            code = _wait(process, trial.time_limit_seconds)
        seconds = round(time.monotonic() - began, 1)
        if answer.exists():
            outcome = replace(Outcome.read(answer), seconds=seconds)
        else:
            outcome = Outcome(trial.task, "failed", seconds, _died(code, trial), "process")
        if outcome.worker == "process" and keeps(keep, failed=outcome.is_failure):
            if output != "kept":
                (workspace / OUTPUT).unlink()
            outcome = replace(outcome, kept=str(_kept(workspace, trial.task)))
        return outcome


def _start(
    asked: Path, answer: Path, told: dict[str, str], stdout: IO[bytes] | int | None
) -> "subprocess.Popen[bytes]":
    package = str(Path(__file__).parents[3])  # after all others: nothing is hidden by it
    code = f"import sys; sys.path.append({package!r}); from {_PROCESS} import main; main()"
    return subprocess.Popen(  # noqa: S603 our own module
        [sys.executable, "-W", "ignore", "-P", "-c", code, str(asked), str(answer)],
        env={**os.environ, **told},
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stdout,
        start_new_session=True,
    )


def _wait(process: "subprocess.Popen[bytes]", limit: float | None) -> int | None:
    """Return the exit code of a trial's process; None if it did not end in time, and was ended."""
    with process:
        try:
            return process.wait(limit + _STARTS_S if limit is not None else None)
        except subprocess.TimeoutExpired:
            _end(process)
            return None
        except BaseException:
            _end(process)
            raise


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _died(code: int | None, trial: Trial) -> str:
    if code is None:
        return (
            f"it did not come to its end in {trial.time_limit_seconds:g} s and the {_STARTS_S} s that its "
            "worker had to begin, and was ended."
        )
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"its process {how} before it said how the task ended."


def _kept(workspace: Path, task: str) -> Path:
    """Move what is worth a look to a folder that stays, and return that."""
    shutil.rmtree(workspace / "told", ignore_errors=True)  # its parameters may be secrets
    place = Path(tempfile.mkdtemp(prefix=f"practicus-kept-{_NOT_IN_NAMES.sub('-', task)}-"))
    return workspace.rename(place)

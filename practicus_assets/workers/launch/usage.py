"""Usage: what the worker of a step asks for, and what its process or pod has used of it so far."""

import json
import os
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from practicus_assets.workers.launch import pod_memory, variables
from practicus_assets.workers.request.quantity import amount
from practicus_assets.workers.request.worker import Worker

_CPU_OF_POD = Path("/sys/fs/cgroup/cpu.stat")  # of v1 there is none, and the processes are asked
_STARTED = 19  # of the fields of /proc/PID/stat behind the name: the moment, in ticks since the boot


@dataclass(frozen=True)
class Usage:
    """What a step's worker asks for, and has used since it began.

    Attributes:
        seconds: the time since then.
        cpu: the cores that it asks for; None if it asks for none.
        memory: the bytes that it asks for; None if it asks for none.
        memory_limit: the most bytes that it may use; None without a limit. A process is not held to it.
        peak_memory: the most bytes that it has used: of a pod as the kernel counts them for its container,
            with cached files; of a process the largest of it and of those that it started and that ended.
        cpu_seconds: the time that cores have worked for it.

    """

    seconds: float
    cpu: float | None
    memory: int | None
    memory_limit: int | None
    peak_memory: int
    cpu_seconds: float


def of_worker(run_id: str, step: str, worker: Worker) -> dict[str, str]:
    """Return the environment variable by which the process of a step knows what its worker asks for."""
    limit = worker.memory or worker.memory_limit
    requests = {"cpu": worker.cpu, "memory": worker.memory}
    return _variable(run_id, step, requests, {"memory": limit}, in_pod=False)


def of_container(run_id: str, step: str, container: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variable of a pod's container, given as its manifest has it."""
    resources = container.get("resources") or {}
    limits = resources.get("limits") or {}
    return _variable(run_id, step, {**limits, **(resources.get("requests") or {})}, limits, in_pod=True)


def _variable(
    run_id: str, step: str, requests: Mapping[str, Any], limits: Mapping[str, Any], *, in_pod: bool
) -> dict[str, str]:
    asked = {"cpu": requests.get("cpu"), "memory": requests.get("memory"), "limit": limits.get("memory")}
    given = {name: str(quantity) for name, quantity in asked.items() if quantity is not None}
    return {variables.ASKED: json.dumps({"run": run_id, "step": step, "in_pod": in_pod, **given})}


def usage(run_id: str, step: str, *, is_alone: bool = True) -> Usage | None:
    """Return what the worker of a step has used until now.

    None if this process is no worker of the step: one that runs several steps has used memory for others.
    None also where others have worked beside it, which it does not count; a pod counts all that run in it.

    Args:
        run_id: the run.
        step: the step's key.
        is_alone: whether no other process has worked for the step.

    """
    try:
        asked = json.loads(os.environ.get(variables.ASKED, "{}"))
        if (asked.get("run"), asked.get("step")) != (run_id, step):
            return None
        in_pod = bool(asked["in_pod"])
        if not in_pod and not is_alone:
            return None
        peak = (pod_memory.peak() if in_pod else None) or _peak_of_processes()
        return Usage(
            seconds=_age("1" if in_pod else "self"),
            cpu=float(amount(asked["cpu"])) if "cpu" in asked else None,
            memory=int(amount(asked["memory"])) if "memory" in asked else None,
            memory_limit=int(amount(asked["limit"])) if "limit" in asked else None,
            peak_memory=peak,
            cpu_seconds=(_cpu_of_pod() if in_pod else None) or sum(os.times()[:4]),
        )
    except (OSError, ValueError, LookupError, AttributeError):  # elsewhere than on Linux there is no /proc
        return None


def _peak_of_processes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    own = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) << 10


def _cpu_of_pod() -> float | None:
    """Return the seconds that cores have worked for this container; None if nothing says it."""
    if not _CPU_OF_POD.exists():
        return None
    counts = dict(line.split() for line in _CPU_OF_POD.read_text(encoding="utf-8").splitlines())
    return int(counts["usage_usec"]) / 1e6


def _age(process: str) -> float:
    """Return for how many seconds a process has run."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    started = int(fields[_STARTED]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started

"""Checks that local steps can run on this machine."""

import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

import dagster as dg

from practicus_assets.doctor import probe
from practicus_assets.doctor.finding import Finding, failed, ok

_START_S = 60


def machine(definitions: dg.Definitions) -> Iterator[Finding]:
    """Yield what a step finds in a process of this machine."""
    found = ", ".join(f"{name} {version}" for name, version in probe.versions().items())
    yield ok("versions", found)
    yield _processes()
    for result in probe.guarded(lambda: probe.lakes(definitions, None), "lake"):
        yield Finding(*result)


def _processes() -> Finding:
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=os.getpid)
    process.start()
    process.join(_START_S)
    if process.exitcode == 0:
        return ok("processes", f"they start by {method}")
    process.kill()
    found = f"one that was started by {method} ended with {process.exitcode}"
    return failed("processes", found, "See to limits of processes and of memory on this machine.")

"""Storage of a pod: whether a folder is gone with the pod in which this process runs.

The kernel tells it: a container's own file system is mounted at `/`, and what kubelet mounts of an `emptyDir`
volume comes from a folder that it names `kubernetes.io~empty-dir` (proc(5), `/proc/pid/mountinfo`).
"""

import os
import re
from pathlib import Path

from practicus_assets.errors import DeclarationError
from practicus_assets.workers.launch import variables

_MOUNTS = Path("/proc/self/mountinfo")
_EMPTY_DIR = "kubernetes.io~empty-dir/"
_MEMORY = "tmpfs"  # also that of an emptyDir in memory
_ADVICE = (
    "Set root_uri to an object store, or mount a volume that outlives the pod there, e.g. "
    'Worker(volumes={"/lake": {"persistentVolumeClaim": {"claimName": "lake"}}}).'
)


def in_pod() -> bool:
    """Return whether this process is in a pod that Dagster started for a run or a step.

    A pod in which somebody works at a terminal, or in which tests run, is none: it is their machine.
    """
    if variables.IN_POD in os.environ:
        return os.environ[variables.IN_POD] == "yes"
    return "KUBERNETES_SERVICE_HOST" in os.environ and "DAGSTER_RUN_JOB_NAME" in os.environ


def refuse_lost_with_pod(folder: Path, mounts: str | None = None) -> None:
    """Raise for a lake in a folder that is gone with this process's pod; elsewhere than in a pod do nothing.

    A folder of the image that cannot be written to is let through: it can be read, and nothing gets lost.

    Args:
        folder: the lake's folder.
        mounts: the text of `/proc/self/mountinfo`; by default this process's own.

    Raises:
        DeclarationError: if it is gone with the pod.

    """
    if not in_pod():
        return
    if mounts is None:
        if not _MOUNTS.exists():
            return
        mounts = _MOUNTS.read_text()
    folder = folder.resolve()
    storage = _passing_storage(folder, mounts)
    if storage and (not folder.exists() or os.access(folder, os.W_OK)):
        raise DeclarationError(
            f"the lake's folder {folder} is {storage}, which is gone with this pod: "
            "no other step would find the table.",
            _ADVICE,
        )


def _passing_storage(folder: Path, mounts: str) -> str:
    """Return what kind of storage of the pod's own a folder is on; empty if it outlives the pod."""
    nearest, storage = Path("/"), "in the container's own file system"
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        source, point = (_unescaped(field) for field in fields.split()[3:5])
        if not folder.is_relative_to(point) or len(Path(point).parts) < len(nearest.parts):
            continue
        nearest = Path(point)
        if point == "/":
            storage = "in the container's own file system"
        elif _EMPTY_DIR in f"{source}/":
            storage = f"in the emptyDir volume that is mounted at {point}"
        elif rest.split()[0] == _MEMORY:
            storage = f"in memory, mounted at {point}"
        else:
            storage = ""
    return storage


def _unescaped(field: str) -> str:
    """Return a field of mountinfo, in which blanks and the like are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)

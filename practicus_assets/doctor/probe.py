"""The probe: what a process finds out about the place where a worker runs.

In a pod its source is run, for the image may hold another version of this package, or none: so it imports
nothing of the package before it needs it, and every result is plain data: check, status, found, advice.
"""

import json
import os
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

Result = tuple[str, Literal["ok", "warning", "failed", "not checked"], str, str]

MARK = "practicus-probe:"  # begins the line of the log that holds the results
VARIABLE = "PRACTICUS_PROBE"  # the arguments of `look`

_MUST_MATCH = ("practicus-assets", "dagster")
_DISTRIBUTIONS = (*_MUST_MATCH, "deltalake")
_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
# those of redaction, which a test compares: in a pod there may be no package to import them from
HIDDEN_NAMES = (
    r"secret|key|token|passw|pwd|sas|credential|client|auth|signature|connection_string|service_account"
)
SHORTEST_SECRET = 4
_LONGEST_TEXT = 500
# a store that does not answer is reported in seconds; options of the lake itself go before these
_PATIENCE = {"max_retries": "2", "retry_timeout": "15s", "connect_timeout": "5s", "timeout": "15s"}


def versions() -> dict[str, str]:
    """Return the versions that the processes of a run should share; of what is not installed, "none"."""
    installed = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for name in _DISTRIBUTIONS:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed[name] = "none"
    return installed


def main(loaders: Sequence[Callable[[], Any]]) -> None:
    """Look, as the environment says, and print the results.

    Args:
        loaders: each returns the definitions of a code location.

    """
    asked = json.loads(os.environ[VARIABLE])
    results = list(
        guarded(
            lambda: look(
                loaders, asked["versions"], asked["instance"], asked["durable"], asked["wants_token"]
            ),
            "probe",
        )
    )
    sys.stdout.write(f"\n{MARK}{json.dumps(results)}\n")


def look(
    loaders: Sequence[Callable[[], Any]],
    expected: Mapping[str, str],
    instance: Mapping[str, str] | None,
    durable: Sequence[str],
    wants_token: bool,  # noqa: FBT001 passed as JSON
) -> Iterator[Result]:
    """Yield what a step's process in a pod finds.

    Args:
        loaders: each returns the definitions of a code location.
        expected: versions, as `versions` tells them.
        instance: a reference to Dagster's instance as a dictionary; None leaves it out.
        durable: folders of volumes that outlive the pod.
        wants_token: whether the worker asks for a service account's token.

    """
    yield from compared(versions(), expected)
    yield from confinement(wants_token)
    for loader in loaders:
        yield from guarded(lambda loader=loader: _of_definitions(loader, durable), "definitions")  # type: ignore[misc]
    if instance is not None:
        yield from guarded(lambda: _instance(instance), "instance")


def guarded(check: Callable[[], Iterator[Result]], name: str) -> Iterator[Result]:
    """Yield a check's results, and its error as a failure."""
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001 whatever it is, it is what the check found
        yield name, "failed", said(error), getattr(error, "advice", "") or "A step would fail the same way."


def compared(found: Mapping[str, str], expected: Mapping[str, str]) -> Iterator[Result]:
    """Yield whether versions are those that are expected."""
    other = {name: version for name, version in found.items() if version != expected[name]}
    if not other:
        yield "versions", "ok", ", ".join(f"{name} {version}" for name, version in found.items()), ""
        return
    said = ", ".join(
        f"{name} is {version} there and {expected[name]} here" for name, version in other.items()
    )
    grave = any(name in _MUST_MATCH for name in other)
    advice = "Build the image of the same lock file that this process is installed from."
    yield "versions", "failed" if grave else "warning", said, advice


def confinement(wants_token: bool) -> Iterator[Result]:  # noqa: FBT001 see `look`
    """Yield whether the process is no more than it has to be: its user, its root, its token."""
    user = os.getuid()
    if user == 0:
        yield "user", "failed", "it runs as root", "Give the image a USER by number."
    else:
        yield "user", "ok", f"it runs as user {user}", ""
    writable = os.access("/", os.W_OK)
    yield (
        ("root file system", "warning", "it can be written to", "Leave readOnlyRootFilesystem on.")
        if writable
        else ("root file system", "ok", "it is read-only", "")
    )
    with tempfile.TemporaryFile():
        pass
    if _TOKEN.exists() == wants_token:
        found = "it is mounted, as the worker asks" if wants_token else "none is mounted"
        yield "service account token", "ok", f"{found}", ""
    elif wants_token:
        yield (
            "service account token",
            "failed",
            "none is mounted, and the worker asks for it",
            "See its account.",
        )
    else:
        found = "it is mounted: whatever runs in the step may use the API server"
        yield "service account token", "failed", found, "Leave automountServiceAccountToken off in pod_spec."


def _of_definitions(load: Callable[[], Any], durable: Sequence[str]) -> Iterator[Result]:
    began = time.monotonic()
    definitions = load()
    yield "definitions", "ok", f"they load in {time.monotonic() - began:.1f} s", ""
    yield from lakes(definitions, durable)


def lakes(definitions: Any, durable: Sequence[str] | None) -> Iterator[Result]:
    """Yield whether each lake of a code location can be written, and keeps commits apart.

    Args:
        definitions: the definitions of the code location.
        durable: folders that outlive this process's pod; None if it is not in a pod.

    """
    from practicus_assets.assets.catalog import catalog  # noqa: PLC0415 see the module's docstring

    roots: dict[str, Mapping[str, str]] = {}
    for entry in catalog(definitions).values():
        roots.setdefault(entry.table.uri.removesuffix(f"/{entry.name}"), entry.table.storage_options)
    if not roots:
        yield "lake", "not checked", "no asset here is stored by a DeltaIOManager", ""
    for root, options in roots.items():
        yield from guarded(lambda root=root, options=options: _lake(root, options, durable), "lake")  # type: ignore[misc]


def _lake(root: str, options: Mapping[str, str], durable: Sequence[str] | None) -> Iterator[Result]:
    import pyarrow as pa  # noqa: PLC0415 see the module's docstring
    from pyarrow import parquet  # noqa: PLC0415

    from practicus_assets.lake.delta.conditional_puts import prove, refuse_unsafe_options  # noqa: PLC0415
    from practicus_assets.lake.delta.table import Table  # noqa: PLC0415

    table = Table("", f"{root}/_practicus_doctor-{uuid.uuid4()}", {**_PATIENCE, **options})
    refuse_unsafe_options(table)
    if table.local_path is not None:
        yield from _folder(table.local_path.parent, durable)
        return
    with table.reaching("writing, reading and deleting an object"):
        filesystem = table.filesystem()
        parquet.write_table(pa.table({"n": [1]}), "object", filesystem=filesystem)
        parquet.read_table("object", filesystem=filesystem)
        filesystem.delete_file("object")
    yield "lake", "ok", f"{root} can be written, read and deleted from", ""
    prove(table, None)
    yield "conditional puts", "ok", f"of two writers of one object at {root}, one is refused", ""


def _folder(folder: Path, durable: Sequence[str] | None) -> Iterator[Result]:
    """Yield whether a lake in a folder can be written; a lake that does not exist yet is not made."""
    folder = folder.absolute()
    if durable is not None and not any(folder.is_relative_to(each) for each in durable):
        yield (
            "lake",
            "failed",
            f"{folder} is a folder of the pod's own, which is gone with it",
            "Set root_uri to an object store, or mount a shared volume there: volumes of the worker.",
        )
        return
    there = next(each for each in (folder, *folder.parents) if each.exists())
    with tempfile.TemporaryDirectory(dir=there, prefix=".practicus_doctor-") as place:
        first, second = Path(place, "first"), Path(place, "second")
        first.write_text(MARK, encoding="utf-8")
        second.hardlink_to(first)
        try:
            second.hardlink_to(first)
        except FileExistsError:
            yield "lake", "ok", f"{folder} can be written; of two commits of one version, one is refused", ""
        else:
            advice = "Put the lake on a local disk or an object store."
            yield "lake", "failed", f"{folder}: a hard link replaces a file, so commits can be lost", advice


def _instance(reference: Mapping[str, str]) -> Iterator[Result]:
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
    import dagster as dg  # noqa: PLC0415 see the module's docstring
    from dagster._core.instance.ref import InstanceRef  # noqa: PLC0415

    began = time.monotonic()
    reference_class: Any = InstanceRef
    with dg.DagsterInstance.from_ref(reference_class.from_dict(dict(reference))) as instance:
        instance.get_runs_count()
        storage = type(instance.run_storage).__name__
    yield "instance", "ok", f"{storage} answers, in {time.monotonic() - began:.1f} s", ""


def said(error: Exception) -> str:
    """Return an error's text, without secrets of the environment."""
    text = str(getattr(error, "problem", "")) or f"{type(error).__name__}: {error}"
    for name, value in os.environ.items():
        if len(value) >= SHORTEST_SECRET and re.search(HIDDEN_NAMES, name, re.IGNORECASE):
            text = text.replace(value, "***")
    text = re.sub(r"//[^/\s@]+@", "//***@", text)
    return " ".join(text.split())[:_LONGEST_TEXT]

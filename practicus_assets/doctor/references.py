"""References: the objects of a cluster that a pod names, and whether they exist."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from practicus_assets.doctor.api_server import CLUSTER_KINDS, ApiServer, Forbidden
from practicus_assets.doctor.finding import Finding, failed, not_checked, ok, warning

Reference = tuple[str, str]  # kind and name

_NAMES = {
    "secret": ("Secret", "secretName"),
    "configMap": ("ConfigMap", "name"),
    "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
}
_OF_VARIABLES = {"configMapRef": "ConfigMap", "secretRef": "Secret"}
_OF_VARIABLE = {"configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret"}


def references(pod: Mapping[str, Any]) -> set[Reference]:
    """Return what a pod's spec names and cannot start without."""
    names = {("service account", str(pod.get("serviceAccountName") or "default"))}
    for field, kind in (("priorityClassName", "PriorityClass"), ("runtimeClassName", "RuntimeClass")):
        if pod.get(field):
            names.add((kind, pod[field]))
    names |= {("Secret", each["name"]) for each in pod.get("imagePullSecrets") or ()}
    for container in (*(pod.get("initContainers") or ()), *pod["containers"]):
        names |= set(_of_container(container))
    for volume in pod.get("volumes") or ():
        names |= set(_of_volume(volume))
    return names


def _of_container(container: Mapping[str, Any]) -> Iterator[Reference]:
    sources = [(_OF_VARIABLES, each) for each in container.get("envFrom") or ()]
    sources += [(_OF_VARIABLE, each.get("valueFrom") or {}) for each in container.get("env") or ()]
    for kinds, source in sources:
        for field, kind in kinds.items():
            if field in source and not source[field].get("optional"):
                yield kind, source[field]["name"]


def _of_volume(volume: Mapping[str, Any]) -> Iterator[Reference]:
    sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
    for source in sources:
        for field, (kind, name) in _NAMES.items():
            given = source.get(field) or {}
            if given and not given.get("optional"):
                yield kind, given.get(name) or given["name"]
    claim = ((volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}).get("spec") or {}
    if claim.get("storageClassName"):
        yield "StorageClass", claim["storageClassName"]


def existence(server: ApiServer, wanted: Iterable[Reference]) -> Iterator[Finding]:
    """Yield whether objects exist, in the pods' namespace if their kind has one."""
    there, unknown = [], []
    for kind, name in sorted(wanted):
        try:
            found = server.find(kind, name)
        except Forbidden:
            unknown.append(f"{kind} {name}")
            continue
        if found is None:
            place = "" if kind in CLUSTER_KINDS else f" in namespace {server.cluster.namespace}"
            advice = f"Create it{place}, or name another one."
            yield failed(f"{kind} {name}", "there is none", advice)
        elif kind == "PersistentVolumeClaim":
            yield from _claim(server, name, found)
        else:
            there.append(f"{kind} {name}")
    if there:
        yield ok("named objects", f"there are {', '.join(there)}")
    if unknown:
        yield not_checked(
            "named objects",
            f"the caller may not see {', '.join(unknown)}",
            "Run doctor with more rights.",
        )


def _claim(server: ApiServer, name: str, claim: Mapping[str, Any]) -> Iterator[Finding]:
    check = f"PersistentVolumeClaim {name}"
    phase = (claim.get("status") or {}).get("phase")
    storage_class = claim["spec"].get("storageClassName")
    if phase == "Bound":
        yield ok(check, "it is bound")
        return
    if phase == "Lost":
        yield failed(check, "its volume is gone", "Restore the volume, or create the claim again.")
        return
    yield warning(check, f"it is {phase}", "It is bound with its first pod, if its class says so.")
    if storage_class:
        yield from existence(server, [("StorageClass", storage_class)])

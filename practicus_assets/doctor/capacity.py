"""Capacity: whether there is a node on which a pod fits."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from practicus_assets.doctor.finding import Finding, Status, listed, ok, warning
from practicus_assets.wording import number_of
from practicus_assets.workers.request.quantity import amount

Manifest = Mapping[str, Any]

_KEEPS_AWAY = {"NoSchedule", "NoExecute"}
_CORDON = "node.kubernetes.io/unschedulable"  # passes by itself


def capacity(
    nodes: Sequence[Manifest],
    pods: Sequence[tuple[str, Manifest, str | None]],
    *,
    autoscaled: bool,
) -> Iterator[Finding]:
    """Yield resource requests that would not fit even on an empty node.

    Args:
        nodes: the cluster's nodes, as manifests.
        pods: for each pod the name of its step, its spec, and the most memory that a retry may get.
        autoscaled: whether nodes are added when pods want them; then a missing node is a warning, not a
            failure.

    """
    lacking: dict[str, list[str]] = defaultdict(list)
    growing: dict[str, list[str]] = defaultdict(list)
    for step, pod, most_memory in pods:
        problem = _problem(nodes, pod, {})
        if problem:
            lacking[problem].append(step)
        elif most_memory is not None:
            grown = _problem(nodes, pod, {"memory": amount(most_memory)})
            if grown:
                growing[grown].append(step)
    status: Status = "warning" if autoscaled else "failed"
    for problem, steps in lacking.items():
        advice = "Ask for less, or add such nodes; if they come when they are needed, give --autoscaled."
        yield Finding(f"node for {listed(steps)}", status, problem, advice)
    for problem, steps in growing.items():
        advice = "Lower memory_limit: a retry that grows that far would wait for ever."
        yield warning(f"node for a larger {listed(steps)}", problem, advice)
    if not lacking and not growing:
        yield ok("nodes", f"each of the steps' pods fits on one of {number_of(len(nodes), 'node')}")


def _problem(nodes: Sequence[Manifest], pod: Manifest, grown: Mapping[str, Decimal]) -> str:
    """Return why no node can take a pod; empty if one can."""
    wanted = {**_requests(pod), **grown}
    allowed = [node for node in nodes if _may_run(pod, node)]
    if not allowed:
        return f"of {number_of(len(nodes), 'node')}, none has the labels, and only the taints, that it allows"
    offers = [
        {name: amount(size) for name, size in node["status"]["allocatable"].items()} for node in allowed
    ]
    if any(all(offer.get(name, 0) >= size for name, size in wanted.items()) for offer in offers):
        return ""
    for name, size in wanted.items():
        most = max(offer.get(name, Decimal(0)) for offer in offers)
        if most == 0:
            return f"it asks for {name}, which no node offers of the {len(allowed)} that it may run on"
        if most < size:
            offered = f"the most that a node offers is {_shown(name, most)}"
            return f"it asks for {name} {_shown(name, size)}, and {offered}"
    return "no node offers all that it asks for at once"


def _shown(name: str, size: Decimal) -> str:
    if name in {"memory", "ephemeral-storage"}:
        return f"{size / 2**30:.1f}Gi"
    return f"{size.normalize():f}"


def _requests(pod: Manifest) -> dict[str, Decimal]:
    """Return what the scheduler reserves: all containers together, or an init container if that is more."""
    total: dict[str, Decimal] = defaultdict(Decimal)
    for container in pod["containers"]:
        for name, size in _asked(container).items():
            total[name] += size
    for container in pod.get("initContainers") or ():
        for name, size in _asked(container).items():
            total[name] = max(total[name], size)
    return dict(total)


def _asked(container: Manifest) -> dict[str, Decimal]:
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: amount(str(size)) for name, size in asked.items()}


def _may_run(pod: Manifest, node: Manifest) -> bool:
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (pod.get("nodeSelector") or {}).items()):
        return False
    affinity = (pod.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required and not any(_matches(term, labels) for term in required["nodeSelectorTerms"]):
        return False
    taints = [each for each in node["spec"].get("taints") or () if each["effect"] in _KEEPS_AWAY]
    tolerations = pod.get("tolerations") or ()
    return all(
        taint["key"] == _CORDON or any(_tolerates(each, taint) for each in tolerations) for taint in taints
    )


def _matches(term: Manifest, labels: Mapping[str, str]) -> bool:
    return all(_holds(each, labels.get(each["key"])) for each in term.get("matchExpressions") or ())


def _holds(expression: Manifest, value: str | None) -> bool:
    values = expression.get("values") or [""]
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return value is not None and value.isdigit() and int(value) > int(values[0])
        case _:
            return value is not None and value.isdigit() and int(value) < int(values[0])


def _tolerates(toleration: Manifest, taint: Manifest) -> bool:
    if toleration.get("effect") not in {None, "", taint["effect"]}:
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in {None, "", taint["key"]}
    return toleration.get("key") == taint["key"] and (toleration.get("value") or "") == (
        taint.get("value") or ""
    )

"""Spot nodes, which can be taken away: a worker is bound to them, or kept away from them."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.workers.placement.region import Region
from practicus_assets.workers.request.worker import Worker


def with_spot_policy(worker: Worker, region: Region) -> Worker:
    """Return a worker bound to a region's spot nodes, or kept away from them, as it asks.

    Args:
        worker: the worker; if its `spot` is None, it goes to any node.
        region: the region, which says which nodes are spot nodes.

    Raises:
        DeclarationError: if the worker asks for spot nodes and the region has none.

    """
    selector = dict(region.spot.get("node_selector") or {})
    tolerations = list(region.spot.get("tolerations") or [])
    if worker.spot and not selector and not tolerations:
        raise DeclarationError(
            f"the worker asks for a spot node, and {region.label} does not say which these are.",
            f"Set {region.key}: spot: {{node_selector: {{...}}, tolerations: [...]}} "
            "in the executor's configuration.",
        )
    if worker.spot:
        return replace(
            worker,
            node_selector={**selector, **(worker.node_selector or {})} or None,
            tolerations=[*(worker.tolerations or ()), *tolerations] or None,
        )
    if worker.spot is None or not selector:
        return worker
    return replace(worker, affinity=_apart(worker.affinity or {}, selector))


def _apart(affinity: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """Return an affinity that also keeps away from nodes with one of these labels."""
    narrowed = copy.deepcopy(dict(affinity))
    required = narrowed.setdefault("nodeAffinity", {}).setdefault(
        "requiredDuringSchedulingIgnoredDuringExecution", {}
    )
    terms = required.setdefault("nodeSelectorTerms", []) or [{}]
    required["nodeSelectorTerms"] = terms
    for term in terms:  # one of them must hold, so each is narrowed
        term.setdefault("matchExpressions", []).extend(
            {"key": key, "operator": "NotIn", "values": [value]} for key, value in labels.items()
        )
    return narrowed

"""Rights: whether what the executor calls is allowed where pods go."""

from collections.abc import Iterator

from practicus_assets.doctor.api_server import ApiServer, Forbidden
from practicus_assets.doctor.finding import Finding, failed, not_checked, ok
from practicus_assets.workers.kubernetes.cluster import RIGHTS

_ROLE = "Grant them with a Role and a RoleBinding in that namespace: deploy/base/accounts.yaml, dagster-run."


def rights(server: ApiServer, account: tuple[str, str] | None = None) -> Iterator[Finding]:
    """Yield whether the executor's calls are allowed.

    Args:
        server: the region's API server.
        account: the namespace and name of the service account of runs; None asks for the caller.

    """
    who = f"service account {account[1]}" if account is not None else "the caller"
    check = f"rights of {who}"
    try:
        missing = [right for right in RIGHTS if not server.may(*right, account)]
    except Forbidden:
        yield not_checked(check, "they may not be asked for", "Run doctor as a cluster's administrator.")
        return
    if not missing:
        yield ok(check, f"all {len(RIGHTS)} that the executor uses, in namespace {server.cluster.namespace}")
        return
    named = ", ".join(f"{verb} {resource}" for verb, _, resource in missing)
    yield failed(check, f"missing in namespace {server.cluster.namespace}: {named}", _ROLE)

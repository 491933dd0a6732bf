"""Rights: whether what the executor calls is allowed where pods go."""

from collections.abc import Iterator, Sequence

from practicus_assets.doctor.api_server import ApiServer, Forbidden
from practicus_assets.doctor.finding import Finding, failed, not_checked, ok
from practicus_assets.workers.kubernetes.cluster import RIGHTS
from practicus_assets.workers.kubernetes.starting_account import Right

_ROLE = "Grant them with a Role and a RoleBinding in that namespace, as deploy/region/accounts.yaml does."


def rights(
    server: ApiServer,
    account: tuple[str, str] | None = None,
    wanted: Sequence[Right] = RIGHTS,
    who_uses_them: str = "the executor uses",
) -> Iterator[Finding]:
    """Yield whether calls are allowed.

    Args:
        server: the region's API server.
        account: the namespace and name of the service account of runs, or of steps; None asks for the caller.
        wanted: what has to be allowed.
        who_uses_them: who makes the calls, as words after "all that".

    """
    who = f"service account {account[1]}" if account is not None else "the caller"
    check = f"rights of {who}"
    try:
        missing = [right for right in wanted if not server.may(*right, account)]
    except Forbidden:
        yield not_checked(check, "they may not be asked for", "Run doctor as a cluster's administrator.")
        return
    if not missing:
        yield ok(check, f"all {len(wanted)} that {who_uses_them}, in namespace {server.cluster.namespace}")
        return
    lacking = ", ".join(f"{verb} {resource}" for verb, _, resource in missing)
    yield failed(check, f"missing in namespace {server.cluster.namespace}: {lacking}", _ROLE)

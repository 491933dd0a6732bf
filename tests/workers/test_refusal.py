"""What an API server refuses: its answers as Kubernetes gives them, and what to do about each."""

import json

import pytest
from kubernetes.client.exceptions import ApiException

from practicus_assets.workers.kubernetes.refusal import may_pass, refusal
from practicus_assets.workers.placement.region import Region

NO_NAMESPACE = 'namespaces "steps" not found'
NO_RIGHT = (
    'jobs.batch is forbidden: User "system:serviceaccount:steps:nobody" cannot create resource "jobs" in API '
    'group "batch" in the namespace "steps"'
)
WEBHOOK = 'admission webhook "policy" denied the request: no image of that registry'
QUOTA = 'jobs.batch "orders" is forbidden: exceeded quota: jobs, requested: 1, used: 5, limited: 5'


def answer(status: int, message: str) -> ApiException:
    error = ApiException(status=status, reason="R")
    error.body = json.dumps({"kind": "Status", "message": message})
    return error


@pytest.mark.parametrize(
    ("region", "status", "message", "says"),
    [
        (
            "",
            404,
            NO_NAMESPACE,
            "not found. Create that namespace, or name another one: kubernetes: namespace.",
        ),
        ("eu", 404, NO_NAMESPACE, "kubernetes: regions: eu: namespace."),
        ("", 403, NO_RIGHT, '"steps". Grant that right to the run'),
        ("", 403, NO_RIGHT, "(command_account)"),
        ("", 400, WEBHOOK, "of that registry. Correct its worker"),
    ],
)
def test_a_refusal_says_what_to_do_about_it(region: str, status: int, message: str, says: str) -> None:
    assert says in str(refusal(Region(region), "steps", answer(status, message)))


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (answer(503, "etcd is away"), True),
        (answer(401, "Unauthorized"), True),
        (answer(429, "too many requests"), True),
        (answer(403, QUOTA), True),
        (answer(403, NO_RIGHT), False),
        (answer(404, NO_NAMESPACE), False),
        (ApiException(status=400, reason="Bad Request"), False),
    ],
)
def test_what_may_pass_is_not_a_refusal(error: ApiException, *, passes: bool) -> None:
    assert may_pass(error) is passes

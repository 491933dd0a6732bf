"""What an API server refuses or does not answer, as a worker's failure with what to do about it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3.exceptions
from kubernetes.client.exceptions import ApiException

from practicus_assets.errors import WorkerLost, WorkerRejected
from practicus_assets.workers.placement.region import Region

UNREACHABLE = (urllib3.exceptions.HTTPError, OSError)
_FORBIDDEN, _NOT_FOUND, _UNAUTHORIZED, _TOO_MANY_REQUESTS, _SERVER_ERROR = 403, 404, 401, 429, 500
_QUOTA = "exceeded quota"


def message_of(error: ApiException) -> str:
    """Return the API server's own words, the field `message` of its `Status`, as a sentence."""
    try:
        text = str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        text = f"{error.status} {error.reason}"
    return text if text.endswith((".", "!", "?")) else f"{text}."


def may_pass(error: ApiException) -> bool:
    """Return whether the same call may succeed later: a token is renewed, a quota is freed."""
    return (
        error.status >= _SERVER_ERROR
        or error.status in {_UNAUTHORIZED, _TOO_MANY_REQUESTS}
        or _QUOTA in message_of(error)
    )


def refusal(region: Region, namespace: str, error: ApiException) -> WorkerRejected:
    """Return that an API server refuses a Job for good.

    Args:
        region: the region of the Job.
        namespace: the namespace of the Job.
        error: the API server's answer.

    """
    message = message_of(error)
    if error.status == _NOT_FOUND and message.startswith("namespaces "):
        advice = f"Create that namespace, or name another one: {region.key}: namespace."
    elif error.status == _FORBIDDEN and "cannot " in message:
        advice = (
            "Grant that right to the run's service account, or where a step starts pods to its own "
            "(command_account); practicus-assets doctor lists all that runs need."
        )
    else:
        advice = (
            "Correct its worker, or ask those who keep the cluster; practicus-assets worker prints the Job."
        )
    return WorkerRejected(f"the API server refuses its Job in the namespace {namespace}: {message}", advice)


@contextmanager
def refusals(region: Region, namespace: str) -> Iterator[None]:
    """Raise what the API server refuses, or does not answer, as a worker's failure.

    Raises:
        WorkerRejected: if it refuses.
        WorkerLost: if it does not answer.

    """
    try:
        yield
    except ApiException as error:
        if may_pass(error):
            raise WorkerLost(f"the API server answered: {message_of(error)}") from error
        raise refusal(region, namespace, error) from error
    except UNREACHABLE as error:
        raise WorkerLost(f"the API server cannot be reached: {error}.") from error

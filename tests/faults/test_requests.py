"""A store that fails at any one request of a transaction, in any way, or from that request on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError

from faults.proxy import DEADLINE_S, KINDS, Fault, FaultProxy, Kind, Only, only
from faults.tally import ROUNDS, Tally
from faults.work import CASES, Outcome, Place, Work, attempt, until_landed
from practicus_assets.lake.conditional_puts import _proven

QUICK: tuple[Kind, ...] = ("500 before", "503 before", "500 after", "cut before", "cut after", "cut inside")
LATE: tuple[Kind, ...] = ("late answer", "late request")


@dataclass(frozen=True)
class Client:
    """How delta-rs bears a fault: how often it asks again, and how many requests in a row fail."""

    name: str
    retries: int
    count: int

    def options(self, proxy: FaultProxy) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": proxy.endpoint,
            "timeout": f"{DEADLINE_S}s",
            "max_retries": str(self.retries),
            "backoff_config.init_backoff": "5ms",
            "backoff_config.max_backoff": "20ms",
        }


ONCE = Client("asks once", 0, 1)
AGAIN = Client("asks again", 3, 1)
AWAY = Client("the store stays away", 1, 1_000_000)


def judged(
    first: Outcome, now: object, work: Work, before: object, later: list[Outcome], end: object
) -> str | None:
    """Return what is wrong with how a faulty attempt and its retries ended; None if nothing is."""
    after = work.after(before)  # type: ignore[arg-type]
    if first.kind == "raised" and (
        not first.ours or not first.text.startswith("t ") and not first.text.startswith("t:")
    ):
        return f"an error that is not ours or names no table: {first.error}: {first.text}"
    if now not in (before, after):
        return f"a mix, after {first}: {now}"
    if first.kind == "landed" and now != after:
        return "it said that it had landed, and had not"
    if "Nothing was written" in first.text and now != before:
        return f"it said that nothing was written, and it was: {first}"
    if (
        first.kind == "raised"
        and "Nothing was written" not in first.text
        and first.error != "CommitStateUnknown"
    ):
        return f"it does not say whether something was written: {first}"
    if later[-1].kind != "landed":
        return f"no retry landed: {later}, after {first}"
    if end != after:
        return f"after the retry: {end}, after {first}, {later}"
    return None


def tried(
    work: Work, before: object, direct: Place, faulty: Place, settled: Callable[[], object]
) -> str | None:
    """Make a faulty attempt and healthy retries; return what is wrong with how they ended."""
    first = attempt(work, faulty)
    try:
        now = direct.state()
        later = [first] if first.kind == "landed" else until_landed(work, direct)
        settled()  # what was under way has arrived
        if later[-1].kind == "landed" and direct.state() != work.after(before):  # type: ignore[arg-type]
            later = [*later, *until_landed(work, direct)]
        return judged(first, now, work, before, later, direct.state())
    except (DeltaError, OSError, pa.ArrowException) as error:
        return f"the table cannot be read, after {first}: {error}"


def requests_of(case: str, proxy: FaultProxy, s3: Callable[[], Place]) -> list[str]:
    """Return the requests of a transaction that meets no fault."""
    direct, work = prepared(case, s3)
    _proven.clear()
    proxy.arm()
    assert attempt(work, direct.through(AGAIN.options(proxy))).kind == "landed"
    return proxy.seen().requests


def prepared(case: str, s3: Callable[[], Place]) -> tuple[Place, Work]:
    old, make = CASES[case]
    direct = s3()
    if old is not None:
        assert attempt(Work("replace", (), old), direct).kind == "landed"
    return direct, make()


def points(requests: list[str], kind: Kind) -> Iterator[tuple[Only, int]]:
    """Yield the requests to fail: each; in a short run each write, and a share of the reads for each kind."""
    share = 1 if ROUNDS > 1 else 6 if kind in QUICK else 12
    for which in ("writes", "reads"):
        of_these = sum(only(which, request) for request in requests)
        for number in range(1, of_these + 1):
            if which == "writes" or number % share == KINDS.index(kind) % share:
                yield which, number


ALL = [(case, client) for client in (ONCE, AGAIN, AWAY) for case in CASES]
SHORT = [*((case, ONCE) for case in CASES), ("append", AGAIN), ("merge", AGAIN), ("replace", AWAY)]


@pytest.mark.parametrize(
    ("case", "client"),
    ALL if ROUNDS > 1 else SHORT,
    ids=lambda part: part if isinstance(part, str) else part.name,
)
def test_a_store_that_fails_at_one_request(
    case: str, client: Client, proxy: FaultProxy, s3: Callable[[], Place], tally: Tally
) -> None:
    requests = requests_of(case, proxy, s3)
    kinds: tuple[Kind, ...] = QUICK if client is AWAY else (*QUICK, *LATE, "slow")
    for kind in kinds:
        for which, number in points(requests, kind):
            direct, work = prepared(case, s3)
            before = direct.state()
            _proven.clear()
            proxy.arm(Fault(kind, number, which, client.count))
            problem = tried(work, before, direct, direct.through(client.options(proxy)), proxy.seen)
            tally.point(f"{case}, {client.name}, {kind} at {number} of the {which}", problem)
    tally.settle()

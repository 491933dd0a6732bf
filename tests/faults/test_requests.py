"""A store that fails at any one request of a transaction, in any way, or from that request on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError

from practicus_assets.lake.delta.conditional_puts import _proven
from tests.faults.proxy import DEADLINE_S, KINDS, Fault, FaultProxy, Kind, Only, only
from tests.faults.tally import ROUNDS, Tally
from tests.faults.work import CASES, Outcome, Place, State, Work, attempt, until_landed

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


def told(first: Outcome, now: State, before: State, after: State) -> str | None:
    """Return what is wrong with what a faulty attempt said, given what the table holds now."""
    if first.kind == "landed":
        return None if now == after else "it said that it had landed, and had not"
    if not first.ours or not first.text.startswith(("t ", "t:")):
        return f"an error that is not ours, or names no table: {first}"
    if first.text.endswith("Nothing was written."):
        return None if now == before else f"it said that nothing was written, and it was: {first}"
    return None if first.error == "CommitStateUnknown" else f"it does not say what was written: {first}"


def tried(
    work: Work, before: State, direct: Place, faulty: Place, settled: Callable[[], object]
) -> str | None:
    """Make a faulty attempt and healthy retries; return what is wrong with how they ended."""
    first = attempt(work, faulty)
    try:
        problem = followed(first, work, before, direct, settled)
    except (DeltaError, OSError, pa.ArrowException) as error:
        problem = f"the table cannot be read: {error}"
    return f"{problem}, after {first}" if problem else None


def followed(
    first: Outcome, work: Work, before: State, direct: Place, settled: Callable[[], object]
) -> str | None:
    """Look at the table after an attempt, and again after its retries."""
    after = work.after(before)
    now = direct.state()
    if now not in (before, after):
        return f"a mix: {now}"
    problem = told(first, now, before, after)
    later = [first] if first.kind == "landed" else until_landed(work, direct)
    settled()  # what was under way has arrived
    if problem is None and later[-1].kind != "landed":
        return f"no retry landed: {later}"
    end = direct.state()
    return problem or (None if end == after else f"in the end {end}, after the retries {later}")


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
    share = 1 if ROUNDS > 1 else 12 if kind in QUICK else 24
    for which in ("writes", "reads"):
        of_these = sum(only(which, request) for request in requests)
        for number in range(1, of_these + 1):
            if which == "writes" or number % share == KINDS.index(kind) % share:
                yield which, number


ALL = [(case, client) for client in (ONCE, AGAIN, AWAY) for case in CASES]
SHORT = [*((case, ONCE) for case in CASES), ("append", AGAIN), ("append", AWAY)]


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

"""Turns: sources that are looked at side by side, for as long as a tick may take."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from practicus_assets.errors import PracticusAssetsError
from practicus_assets.wording import number_of

_SIDE_BY_SIDE = 4  # connections that one sensor has at once

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Turns(Generic[ResultT]):
    """What came of the turns of some sources.

    Attributes:
        results: what was returned, by name.
        failures: why nothing was returned, by name, without credentials.
        later: the names of those that had no turn, in their order.

    """

    results: dict[str, ResultT] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    later: tuple[str, ...] = ()


def taken(
    names: Sequence[str],
    look: Callable[[str], ResultT],
    seconds: float,
    running: set[str],
    *,
    side_by_side: int = _SIDE_BY_SIDE,
    late: str = "observe it by a run",
) -> Turns[ResultT]:
    """Look at sources, a few at a time, until all had their turn or the time is over.

    A look that does not end in time cannot be stopped; it goes on in its thread, its result is not used, and
    the source has no further turn until it has ended. So a host that does not answer, or a query that takes
    too long, costs one thread, and the other sources nothing.

    Args:
        names: the names of the sources, in their order.
        look: the function that looks at one of them.
        seconds: how long the caller waits.
        running: the names of those that earlier calls still look at; it is kept between calls.
        side_by_side: how many are looked at at once.
        late: what follows for one that takes too long, as its failure says.

    """
    waiting, ends = deque(names), time.monotonic() + seconds
    results: dict[str, ResultT] = {}
    failures: dict[str, str] = {}
    begun: list[str] = []
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not waiting or time.monotonic() > ends:
                    return
                name = waiting.popleft()
                begun.append(name)
                if name in running:
                    failures[name] = "an earlier tick still looks at it."
                    continue
                running.add(name)
            try:
                result = look(name)
                with lock:
                    results[name] = result
            except PracticusAssetsError as error:
                failures[name] = str(error)
            except Exception as error:  # noqa: BLE001 one source does not stop the others
                failures[name] = f"{type(error).__name__}."  # nobody knows what its text shows
            finally:
                running.discard(name)

    threads = [
        threading.Thread(target=work, name=f"source-look-{number}", daemon=True)
        for number in range(min(side_by_side, len(names)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    with lock:
        too_long = {
            name: f"it takes longer than {number_of(round(seconds), 'second')}: {late}."
            for name in begun
            if name not in results and name not in failures
        }
        in_order = {name: results[name] for name in names if name in results}
        return Turns(in_order, {**failures, **too_long}, tuple(waiting))

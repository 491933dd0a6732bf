"""Pauses: how long a writer waits before it tries to commit again."""

import random
from collections.abc import Iterator

_SHORTEST_S = 0.02
_LONGEST_S = 1.0


def pauses() -> Iterator[float]:
    """Yield pauses in seconds, without end: random, so that writers do not meet again, and ever longer."""
    longest = _SHORTEST_S
    while True:
        yield random.uniform(0, longest)  # noqa: S311 not cryptographic
        longest = min(2 * longest, _LONGEST_S)

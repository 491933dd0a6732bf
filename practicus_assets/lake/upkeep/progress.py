"""Progress: how long work reports how far it is."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with how many units of work are done, and how many there are."""


def unseen(done: int, total: int) -> None:
    """Report progress to nobody."""

"""What is broken on purpose, to show that an attack sees it."""

from collections.abc import Callable
from typing import Any, Literal

from deltalake import CommitProperties

from practicus_assets.lake.transactions import landing, swap, transaction

Defect = Literal["no compare-and-swap", "no detection of own commits"]
Patch = Callable[[Any, str, Any], None]


def _no_compare_and_swap(patch: Patch) -> None:
    """Commit on top of whatever is newest, as delta-rs does by itself, and look at nobody else's commits."""

    def properties(**settings: Any) -> CommitProperties:
        return CommitProperties(**{**settings, "max_commit_retries": 15})

    patch(swap, "CommitProperties", properties)
    patch(landing.Landing, "_refuse_superseded", lambda *_: None)


def _no_detection_of_own_commits(patch: Patch) -> None:
    """Take a commit of one's own for somebody else's, and every attempt for the first."""
    patch(landing.Landing, "_is_own", lambda *_: False)
    patch(transaction, "earlier_commit", lambda *_: None)


DEFECTS: dict[Defect, Callable[[Patch], None]] = {
    "no compare-and-swap": _no_compare_and_swap,
    "no detection of own commits": _no_detection_of_own_commits,
}

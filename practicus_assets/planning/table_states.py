"""Table states: what the lake has of several tables, all as they were at one moment."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import dagster as dg

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.errors import naming
from practicus_assets.planning.table_state import TableState

_ROUNDS = 20
_AT_ONCE = 8  # requests to the store


class TableStates:
    """Looks at tables of a code location, each once.

    Args:
        entries: the tables, by asset key.
        store: an instance that knows dynamic partitions.

    """

    def __init__(self, entries: Mapping[dg.AssetKey, TableEntry], store: dg.DagsterInstance) -> None:
        self._entries, self._store = entries, store
        self._states: dict[dg.AssetKey, TableState] = {}

    def of(self, key: dg.AssetKey) -> TableState:
        """Return the state of a table, which is looked at now if it was not before."""
        if key not in self._states:
            with naming(self._entries[key].name):
                self._states[key] = TableState(self._entries[key], self._store)
        return self._states[key]

    def look(self, keys: Iterable[dg.AssetKey]) -> None:
        """Look at tables until none of them has moved since it was looked at.

        Else a run that commits one table after another would be seen half: a table as it was, and one below
        it that was computed from a version which is not there yet.
        """
        for key in keys:
            self.of(key)
        for _ in range(_ROUNDS):
            moved = self.moved()
            for key in moved:
                del self._states[key]
                self.of(key)
            if not moved:
                return

    def moved(self) -> list[dg.AssetKey]:
        """Return the tables to which a commit was made since they were looked at."""
        keys = list(self._states)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            answers = threads.map(lambda key: self._states[key].has_moved(), keys)
            return [key for key, has_moved in zip(keys, answers, strict=True) if has_moved]

"""Tables in memory, for tests: what a run of one table would store, without a store or a run.

A table's function, casts, scope, merge and contract are those of a run; only the commit is made in memory.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from practicus_assets.testing.run_table import run_table
    from practicus_assets.testing.table_run import TableRun

_MODULES = {
    "TableRun": "practicus_assets.testing.table_run",
    "run_table": "practicus_assets.testing.run_table",
}

__all__ = ["TableRun", "run_table"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562): this module loads neither Dagster nor pandas."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted({*globals(), *__all__})

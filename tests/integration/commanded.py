"""Commands in processes of their own, as many at once as there are, and the small shop that they are about.

The processes are forked from one that has imported what they need, so that a start costs next to nothing; the
variables of `Site` say where the lake and the instance are.
"""

import contextlib
import io
import json
import multiprocessing
import os
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets import DeltaIOManager
from practicus_assets.cli import main
from tests.integration.bench import Bench
from tests.integration.planning import Raw, Shop

_VARIABLES = "DAGSTER_HOME", "SITE_ROOT", "SITE_BASE", "SITE_OPTIONS"
_STARTED = multiprocessing.get_context("forkserver")
_STARTED.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Site:
    """Where commands look: a lake, perhaps over a base, and an instance.

    Attributes:
        home: the instance's folder; empty for none.
        root: the lake's root.
        base: that of the base; empty for none.
        options: the storage options of both.

    """

    home: str
    root: str
    base: str
    options: Mapping[str, str]

    def lake(self) -> DeltaIOManager:
        options = dict(self.options)
        over: dict[str, Any] = {"base_uri": self.base, "base_storage_options": options} if self.base else {}
        return DeltaIOManager(root_uri=self.root, storage_options=options, **over)

    @property
    def variables(self) -> dict[str, str]:
        return dict(zip(_VARIABLES, (self.home, self.root, self.base, json.dumps(self.options)), strict=True))


@dg.definitions
def defs() -> dg.Definitions:
    """The shop, in the lake that the variables name."""
    home, root, base, options = (os.environ[name] for name in _VARIABLES)
    site = Site(home, root, base, json.loads(options))
    shop = Shop(Bench(None, root))  # type: ignore[arg-type] # nothing runs here
    return dg.Definitions(shop.assets, resources={"io_manager": site.lake(), "raw": Raw(numbers={})})


def at_once(processes: int) -> ProcessPoolExecutor:
    """Return processes that wait for commands."""
    return ProcessPoolExecutor(processes, mp_context=_STARTED)


def commands(pool: ProcessPoolExecutor, number: int, site: Site, *arguments: str) -> list[Future[Any]]:
    """Give a command to as many processes as there are."""
    return [pool.submit(command, site, *arguments) for _ in range(number)]


def command(site: Site, *arguments: str) -> tuple[int, str, str]:
    """Run one command here, and return its exit code, what it printed, and what it said of failures."""
    os.environ.update(site.variables)
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([*arguments, "-m", __name__])
        except SystemExit as ended:
            code = int(ended.code or 0)
    sys.stdout.flush()
    return code, out.getvalue(), err.getvalue()

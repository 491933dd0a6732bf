"""What the commands of docs/tutorial.md do, in this process, but for the one that is killed."""

import importlib
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from click.testing import CliRunner

from practicus_assets.cli import main

RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
LAUNCH = "import sys; from tests.integration.tutorial import launch; launch(sys.argv[2:], sys.argv[1])"


def forget(project: str) -> None:
    """Let the next import of the project's modules read its files, which have changed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == project]:
        del sys.modules[name]
    importlib.invalidate_caches()


def launch(words: Sequence[str], project: str) -> tuple[int, str]:
    """Do what `dg launch` does, without its processes; return the exit code and the run's log."""
    options = dict(zip(words[::2], words[1::2], strict=True))
    forget(project)
    definitions = importlib.import_module(f"{project}.definitions").defs()
    selection = dg.AssetSelection.from_string(options["--assets"])
    graph = definitions.resolve_asset_graph()
    bounds = options.get("--partition-range", "")
    with dg.DagsterInstance.get() as instance:
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=sorted(selection.resolve(graph) & graph.materializable_asset_keys),
            partition_key=options.get("--partition"),
            tags=dict(zip(RANGE, bounds.split("..."), strict=True)) if bounds else {},
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        log = "\n".join(entry.user_message for entry in instance.all_logs(result.run_id))
    return (0 if result.success else 1), log


def in_a_process(arguments: Sequence[str]) -> tuple[int, str]:
    """Run Python in a process of its own; return the exit code and what it printed."""
    paths = [str(Path(__file__).parents[2]), str(Path.cwd() / "src")]
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def run(line: str, project: str, *, dies: bool = False) -> tuple[int, str]:
    """Run one line of the tutorial; return its exit code and what it printed."""
    match shlex.split(line):
        case ["dg", "launch", *words]:
            return (
                in_a_process(["-W", "ignore", "-c", LAUNCH, project, *words])
                if dies
                else launch(words, project)
            )
        case ["practicus-assets", *words]:
            forget(project)
            done = CliRunner().invoke(main, words)
            return done.exit_code, done.output
        case ["pytest"]:
            return in_a_process(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
    raise AssertionError(f"Nothing here runs {line!r}.")

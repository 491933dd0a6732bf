"""The demo: materializes the pipeline's year in one run, watches it, and shows what is in the lake."""

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from practicus_assets.wording import bytes_of

TABLES = ("table1_new", "table2_new", "final_table")
YEAR = "2013-01-01...2013-12-31"

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def main(partitions: str = YEAR) -> int:
    """Run the pipeline in `.demo/`, and return the exit code.

    Args:
        partitions: the first and the last day.

    """
    console = Console(highlight=False)
    home = Path(".demo").resolve()
    lake = home / "lake"
    console.print(f"[bold]practicus_assets[/bold]: flights of {partitions}, one commit per table\n")
    started = time.time()
    metadata = materialize(console, home, {"PRACTICUS_LAKE": str(lake)}, partitions)
    if metadata is None:
        return 1
    if all(entries["delta/outcome"] == "unchanged" for entries in metadata.values()):
        console.print(
            "\n[green]Nothing changed[/green]: every table already held these rows, so nothing was committed."
        )
    else:
        console.print(
            f"\n[green]Done[/green] in {time.time() - started:.0f} s. Run it again: nothing will change."
        )
    console.print(
        f"The lake is [bold]{lake.relative_to(Path.cwd())}[/bold], plain Delta tables. "
        "[bold]make ui[/bold] opens it in Dagster."
    )
    return 0


def materialize(
    console: Console,
    home: Path,
    variables: Mapping[str, str],
    partitions: str = YEAR,
    ended: threading.Event | None = None,
) -> dict[str, dict[str, Any]] | None:
    """Run the pipeline, and show what it made; return the metadata of each table, or None if it failed.

    Args:
        console: where to show it.
        home: the folder for Dagster's instance and the run's log.
        variables: environment variables of the run.
        partitions: the first and the last day.
        ended: is set when the demo is asked to end.

    Raises:
        KeyboardInterrupt: the demo was asked to end; so the run was, too.

    """
    ended = ended or threading.Event()
    (home / "dagster").mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(home / "dagster")
    (home / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\nnux: {enabled: false}\n")
    run_id = str(uuid.uuid4())
    command = [sys.executable, "-W", "ignore", "-m", "pipelines.run", run_id, partitions]
    one_event = {"DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS": "true"}  # of a year, not one of each day
    log = home / "run.log"
    with log.open("w") as output:
        run = subprocess.Popen(  # noqa: S603 our own command
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **one_event, **variables}
        )
        try:
            with Live(console=console, refresh_per_second=8, transient=True) as live:
                for frame in _frames(run, run_id, ended):
                    live.update(frame)
        finally:
            run.terminate()  # when the demo itself is ended
            run.wait()
    if ended.is_set():
        raise KeyboardInterrupt
    with dg.DagsterInstance.get() as instance:
        events = {name: instance.get_latest_materialization_event(dg.AssetKey(name)) for name in TABLES}
        if run.returncode or None in events.values():
            console.print(f"[red]The run failed; its log is {log}:[/red]\n")
            console.print(Text(_failure(log.read_text())))
            return None
        metadata = {
            name: {k: v.value for k, v in event.asset_materialization.metadata.items()}
            for name, event in events.items()
            if event is not None and event.asset_materialization is not None
        }
        console.print(_tables(metadata))
        console.print(_checks(instance, run_id))
    return metadata


def _frames(run: subprocess.Popen[bytes], run_id: str, ended: threading.Event) -> Iterator[Table]:
    """Yield a picture of the steps' progress until the run ends, or is to be ended."""
    with dg.DagsterInstance.get() as instance:
        while run.poll() is None and not ended.is_set():
            by_step = {stats.step_key: stats for stats in instance.get_run_step_stats(run_id)}
            frame = Table.grid(padding=(0, 2))
            for name in TABLES:
                step = by_step.get(name)
                began = step.start_time if step else None
                if began is None:
                    frame.add_row("[dim]·[/dim]", f"[dim]{name}[/dim]", "[dim]waits[/dim]")
                elif step is None or step.end_time is None:
                    spinner = _SPINNER[int(time.time() * 8) % len(_SPINNER)]
                    frame.add_row(f"[cyan]{spinner}[/cyan]", name, f"{time.time() - began:.0f} s")
                else:
                    frame.add_row("[green]✓[/green]", name, f"{step.end_time - began:.0f} s")
            yield frame
            time.sleep(0.25)


def _tables(metadata: dict[str, dict[str, Any]]) -> Table:
    table = Table(title="Tables", title_justify="left", title_style="bold")
    for heading in ("table", "version", "rows", "files", "size", "this run"):
        table.add_column(
            heading, justify="right" if heading in {"version", "rows", "files", "size"} else "left"
        )
    for name, entries in metadata.items():
        outcome = entries["delta/outcome"]
        table.add_row(
            name,
            str(entries["delta/version"]),
            f"{entries['dagster/row_count']:,}",
            str(
                entries.get("delta/run_files", entries["delta/files"])
            ),  # of a run of one day they are the day's
            bytes_of(entries.get("delta/run_size_mb", entries["delta/size_mb"]) * 1e6),
            f"[{'yellow' if outcome == 'unchanged' else 'green'}]{outcome}[/]",
        )
    return table


def _checks(instance: dg.DagsterInstance, run_id: str) -> Table:
    table = Table(title="Checks", title_justify="left", title_style="bold")
    for heading in ("table", "passed", "warnings", "what they found"):
        table.add_column(heading, justify="right" if heading in {"passed", "warnings"} else "left")
    evaluations: dict[str, list[Any]] = {name: [] for name in TABLES}
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        event = entry.dagster_event
        if event is not None:
            evaluation = event.asset_check_evaluation_data
            if evaluation.partition is None:  # of the whole run, and not of one day of it
                evaluations[evaluation.asset_key.to_user_string()].append(evaluation)
    for name, results in evaluations.items():
        bad = [result for result in results if not result.passed]
        sentences = [str(result.description) for result in bad]
        table.add_row(
            name,
            f"[green]{len(results) - len(bad)}[/green]",
            f"[yellow]{len(bad)}[/yellow]" if bad else "0",
            "\n".join(sentences),
        )
    return table


def _failure(log: str) -> str:
    lines = log.splitlines()
    wanted = [i for i, line in enumerate(lines) if "STEP_FAILURE" in line]
    return "\n".join(lines[wanted[0] : wanted[0] + 12] if wanted else lines[-12:])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

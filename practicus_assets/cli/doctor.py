"""`doctor`: whether workers can do their work, where they are to run."""

import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
import dagster as dg
from rich.console import Console
from rich.markup import escape

from practicus_assets.cli import locations, output
from practicus_assets.cli.group import FAILED
from practicus_assets.cli.instance import dagster_instance, instance_is_set
from practicus_assets.doctor.examination import Examination
from practicus_assets.doctor.finding import Finding, Section, Status
from practicus_assets.doctor.probe import said
from practicus_assets.errors import DeclarationError

_MARKS: Mapping[Status, str] = {
    "ok": "[green]ok[/green]",
    "warning": "[yellow]warning[/yellow]",
    "failed": "[red]failed[/red]",
    "not checked": "[dim]not checked[/dim]",
}


@click.command()
@click.option(
    "--backend",
    type=click.Choice(["local", "kubernetes"]),
    help="Where steps are to run; by default what the configuration says.",
)
@click.option(
    "--timeout",
    type=click.IntRange(1),
    default=120,
    show_default=True,
    help="Seconds that each pod is given to end.",
)
@click.option(
    "--code-server",
    "servers",
    multiple=True,
    metavar="HOST:PORT",
    help="A code server that must answer from here; repeatable.",
)
@click.option("--no-pods", is_flag=True, help="Start no pods.")
@click.option(
    "--autoscaled", is_flag=True, help="Nodes are added when pods want them: lacking ones are warnings."
)
@output.json_option
@locations.options
def doctor(
    backend: str | None,
    timeout: int,
    servers: Sequence[str],
    *,
    no_pods: bool,
    autoscaled: bool,
    as_json: bool,
    **location: Any,
) -> None:
    """Check that the steps of a code location can run where the configuration of worker_executor sends them.

    On a cluster, for each region: the API server and rights; objects that workers name; nodes for what they
    ask for; and from a pod that starts as theirs would, and is removed: versions, lake, conditional puts,
    instance. On this machine: the same, as far as it applies. Exits with 1 if something failed.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # pods are removed then too
    code = locations.one(**location)
    file = location.get("python_file") or code.file  # as it was given, for a pod has other folders
    with _instance() as instance:
        examination = Examination(
            definitions=code.definitions(),
            locations=[{"python_file": file} if file else {"module_name": code.module}],
            instance=instance,
            backend=backend,
            seconds=timeout,
            pods=not no_pods,
            autoscaled=autoscaled,
            servers=servers,
        )
        examined = _shown(examination.sections(), as_json=as_json)
    statuses = Counter(finding.status for _, findings in examined for finding in findings)
    if as_json:
        sections = [{"title": title, "findings": findings} for title, findings in examined]
        output.print_json({"sections": sections, "count": dict(statuses)})
    else:
        output.console().print(", ".join(f"{statuses[each]} {_MARKS[each]}" for each in _MARKS))
    if statuses["failed"]:
        sys.exit(FAILED)


@contextmanager
def _instance() -> Iterator[dg.DagsterInstance | None]:
    if not instance_is_set():
        yield None
        return
    try:
        instance = dagster_instance()
        _ = instance.run_launcher
    except Exception as error:  # noqa: BLE001 whatever the storage or the launcher raises
        raise DeclarationError(
            f"the instance of DAGSTER_HOME cannot be opened: {said(error)}",
            "Correct dagster.yaml, set the variables that it names, or check its database. "
            "Outside of the cluster a K8sRunLauncher needs load_incluster_config: false.",
        ) from None
    with instance:
        yield instance


def _shown(sections: Iterator[Section], *, as_json: bool) -> list[tuple[str, list[Finding]]]:
    """Return all findings; for people each section is printed once it is complete."""
    shown = []
    progress = Console(stderr=True)
    for section in sections:
        if as_json or not progress.is_terminal:
            findings = list(section.findings)
        else:
            with progress.status(section.title):
                findings = list(section.findings)
        if findings and not as_json:
            _print(section.title, findings)
        shown.append((section.title, findings))
    return shown


def _print(title: str, findings: Sequence[Finding]) -> None:
    rows = [
        (_MARKS[each.status], escape(each.check), f"{escape(each.found)}{_advice(each)}") for each in findings
    ]
    output.console().print(output.table(escape(title), ("", "check", "found"), rows))


def _advice(finding: Finding) -> str:
    return f"\n[bold]{escape(finding.advice)}[/bold]" if finding.advice and finding.status != "ok" else ""

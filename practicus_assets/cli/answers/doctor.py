"""`doctor`: whether workers can do their work, where they are to run."""

import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import dagster as dg
from rich.console import Console
from rich.text import Text

from practicus_assets.cli.answers import locations, output
from practicus_assets.cli.answers.instance import opened_instance
from practicus_assets.cli.answers.listing import Column
from practicus_assets.cli.dagster_home import instance_is_set
from practicus_assets.cli.failure import FAILED
from practicus_assets.code_location import CodeLocation
from practicus_assets.doctor.examination import Examination
from practicus_assets.doctor.finding import Finding, Section, Status

_STYLES: Mapping[Status, str] = {"ok": "green", "warning": "yellow", "failed": "red", "not checked": "dim"}
_COLUMNS = (Column(""), Column("check", wraps=True), Column("found", wraps=True))


def examine(settings: Mapping[str, Any], location: CodeLocation, *, as_json: bool) -> None:
    """Print what may keep the steps of a code location from running; exit with 1 if something does.

    Args:
        settings: fields of `Examination`.
        location: the code location.
        as_json: whether programs read the output.

    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # pods are removed then too
    file = location.file  # as it was given, for a pod has other folders
    definitions = locations.definitions(location)
    with _instance() as instance:
        examination = Examination(
            definitions=definitions,
            locations=[{"python_file": file} if file else {"module_name": location.module}],
            instance=instance,
            **settings,
        )
        examined = _shown(examination.sections(), as_json=as_json)
    statuses = Counter(finding.status for _, findings in examined for finding in findings)
    if as_json:
        sections = [{"title": title, "findings": findings} for title, findings in examined]
        output.print_json({"sections": sections, "count": dict(statuses)})
    else:
        counts = [_count(status, statuses[status]) for status in _STYLES]
        output.console().print(Text(", ").join(counts))
    if statuses["failed"]:
        sys.exit(FAILED)


def _instance() -> AbstractContextManager[dg.DagsterInstance | None]:
    return opened_instance(launches=True) if instance_is_set() else nullcontext()


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
    rows = [(Text(f.status, _STYLES[f.status]), f.check, _found(f)) for f in findings]
    output.print_table(title, _COLUMNS, rows)


def _found(finding: Finding) -> Text:
    advice = finding.advice if finding.status != "ok" else ""
    return Text.assemble(finding.found, ("\n" if advice else "", ""), (advice, "bold"))


def _count(status: Status, count: int) -> Text:
    name = "warnings" if status == "warning" and count != 1 else status
    return Text.assemble(f"{count} ", (name, _STYLES[status]))

"""Output: tables, sentences and progress for people, JSON for programs."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.spinner import Spinner
from rich.text import Text

from practicus_assets.cli.answers.listing import Column, printed

_UNBOUNDED = 100_000  # columns of what is no terminal: nothing is wrapped


def console() -> Console:
    """Return a console as wide as COLUMNS says, else as the terminal; a file or a pipe has no width."""
    is_bounded = os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty()
    return Console(highlight=False, width=None if is_bounded else _UNBOUNDED)


def print_table(title: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as a table where it fits the console, else one paragraph per row; no rows print nothing."""
    where = console()
    for part in printed(title, columns, rows, where.width):
        where.print(part)


def print_json(value: Any) -> None:
    """Print dataclasses, mappings and sequences as JSON."""
    click.echo(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def moment(value: datetime) -> str:
    """Return a time in the local zone, with the zone: `2026-01-06 14:05:09 UTC`, or `… +01:00`."""
    local = value.astimezone()
    zone = f"{local:%z}"
    return f"{local:%Y-%m-%d %H:%M:%S} {'UTC' if zone == '+0000' else f'{zone[:3]}:{zone[3:5]}'}"


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say at a terminal what takes some seconds, until it is over; elsewhere nothing."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    # streams stay as they are: a log handler that the author's code makes meanwhile keeps the one it finds
    shown = Live(
        Spinner("dots", Text(what)),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with shown:
        yield


@contextmanager
def progress(what: str, *, hidden: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on the terminal; yield the function that is called with (done, total)."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=hidden or not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)

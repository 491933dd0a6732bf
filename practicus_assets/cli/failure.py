"""Failures: how a command says that it was refused or failed, to people and to programs."""

import json
import os
import sys
from typing import Any

import click

from practicus_assets.errors import CommitConflict, CommitStateUnknown, PracticusAssetsError, page_line

_NO_ARGUMENTS = getattr(click.exceptions, "NoArgsIsHelpError", ())  # its text is the help; new in click 8.2

FAILED, PROBLEMS, CONFLICT, UNKNOWN = 1, 3, 4, 5
INTERRUPTED = 130  # 128 and the number of SIGINT, as a shell has it
WOULD_RUN, NOT_KNOWN = 6, 7  # of `plan`


def exit_code(error: PracticusAssetsError) -> int:
    """Return the exit code that tells a program what it may do after an error."""
    if isinstance(error, CommitConflict):
        return CONFLICT
    return UNKNOWN if isinstance(error, CommitStateUnknown) else FAILED


def report_error(error: PracticusAssetsError, *, as_json: bool) -> int:
    """Print an error of this package, and return the exit code.

    Args:
        error: the error.
        as_json: whether it is printed as one JSON object on standard output, else as text on standard error.

    """
    code = exit_code(error)
    if as_json:
        _print_object(
            type(error).__name__,
            error.problem,
            error.advice,
            code,
            table=error.table,
            partitions=error.partitions,
            nothing_written=error.nothing_written,
            page=error.page,
        )
    else:
        _print_text(f"{type(error).__name__}:", f" {error}")
        if sys.stderr.isatty():  # logs and pipes get the one line
            click.echo(page_line(error), err=True)
    return code


def report_usage(error: click.ClickException, *, as_json: bool) -> int:
    """Print that a command was called wrongly, and return the exit code; the arguments are as above."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    help_hint = f"See '{context.command_path} --help'." if context is not None else ""
    message = error.format_message()
    if isinstance(error, _NO_ARGUMENTS):
        error.show()
    elif as_json:
        _print_object("UsageError", message, help_hint, error.exit_code)
    else:
        if context is not None:
            click.echo(context.get_usage(), err=True)
        _print_text("Error:", f" {message}")
        if help_hint:
            click.echo(help_hint, err=True)
    return error.exit_code


def _print_object(name: str, problem: str, advice: str, code: int, **more: Any) -> None:
    error = {"type": name, "problem": problem, "advice": advice, "exit_code": code, **more}
    click.echo(json.dumps({"error": error}, indent=2, ensure_ascii=False))


def _print_text(name: str, text: str) -> None:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stderr.isatty()
    click.echo((name if plain else click.style(name, fg="red", bold=True)) + text, err=True)

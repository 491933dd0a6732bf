"""The group of all commands: it loads a command when it is called, and turns errors into exit codes."""

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import click

from practicus_assets.errors import CommitConflict, CommitStateUnknown, PracticusAssetsError

FAILED, FOUND, CONFLICT, UNKNOWN = 1, 3, 4, 5


class LazyGroup(click.Group):
    """Commands by name, each as `module:attribute` with one line of help."""

    def __init__(self, name: str, targets: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(name, **options)
        self._targets = dict(targets)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        """Return the commands in the order they were given."""
        return list(self._targets)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a command."""
        if cmd_name not in self._targets:
            return None
        module, _, attribute = self._targets[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without loading one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._targets.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error that says what to do is printed without a traceback."""
        try:
            return super().invoke(ctx)
        except PracticusAssetsError as error:
            click.echo(f"{type(error).__name__}: {error}", err=True)
            sys.exit(exit_code(error))


def exit_code(error: PracticusAssetsError) -> int:
    """Return the exit code that tells a program what it may do after an error."""
    if isinstance(error, CommitConflict):
        return CONFLICT
    return UNKNOWN if isinstance(error, CommitStateUnknown) else FAILED

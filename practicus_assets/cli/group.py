"""Groups of commands: they answer wrong names with the nearest one, and turn errors into exit codes."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from practicus_assets.cli.failure import report_error, report_usage
from practicus_assets.errors import PracticusAssetsError, did_you_mean


class CommandGroup(click.Group):
    """A group that names the nearest command where there is none of a name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        """Return the commands in the order in which they were added."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments begin with.

        Raises:
            UsageError: if there is no such command.

        """
        if (
            not ctx.resilient_parsing
            and not args[0].startswith("-")
            and self.get_command(ctx, args[0]) is None
        ):
            names = ", ".join(self.commands)
            hint = did_you_mean(args[0], self.commands, f"Commands are {names}.")
            ctx.fail(f"No such command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)


class MainGroup(CommandGroup):
    """The outermost group; an error of this package ends it without a traceback.

    Args:
        name: the program's name.
        sections: the commands, by the title under which help lists them.
        settings: what click's groups take.

    """

    def __init__(self, name: str, sections: Mapping[str, Sequence[click.Command]], **settings: Any) -> None:
        super().__init__(name, **settings)
        self._sections = sections

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the commands, section by section."""
        longest = max(map(len, self.commands))
        for title, commands in self._sections.items():
            with formatter.section(title):
                names = [(command.name or "").ljust(longest) for command in commands]
                helps = [command.get_short_help_str(formatter.width - longest) for command in commands]
                formatter.write_dl(list(zip(names, helps, strict=True)))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 click's signature
        **extra: Any,
    ) -> Any:
        """Run the command that the arguments name, and exit; or return, with `standalone_mode=False`."""
        arguments = list(sys.argv[1:] if args is None else args)
        if not standalone_mode:
            return super().main(arguments, prog_name, complete_var, standalone_mode=False, **extra)
        as_json = "--json" in arguments
        try:
            code = super().main(arguments, prog_name, complete_var, standalone_mode=False, **extra)
        except PracticusAssetsError as error:
            code = report_error(error, as_json=as_json)
        except click.ClickException as error:
            code = report_usage(self._hinted(error), as_json=as_json)
        except click.Abort:
            click.echo("Aborted!", err=True)
            code = 1
        sys.exit(code or 0)

    def _hinted(self, error: click.ClickException) -> click.ClickException:
        """Return an error with where an option belongs that was given before the command."""
        if not isinstance(error, click.NoSuchOption) or error.ctx is None or error.ctx.command is not self:
            return error
        takes = next(
            (c for c in self.commands.values() for p in c.params if error.option_name in p.opts), None
        )
        if takes is None:
            return error
        return click.UsageError(
            f"{error.option_name} belongs after the command: {self.name} {takes.name} {error.option_name} …",
            error.ctx,
        )

"""`diff`: its arguments and options."""

import click

from practicus_assets.cli.completion import complete_first_table
from practicus_assets.cli.options import (
    Locations,
    all_option,
    json_option,
    location_options,
    refuse_no_tables,
)

_VERSIONS = 3  # TABLE, BEFORE and AFTER


@click.command(short_help="What changed between two versions.")
@click.argument(
    "table",
    nargs=-1,
    metavar="TABLE BEFORE AFTER | TABLES --against base",
    shell_complete=complete_first_table,
)
@click.option(
    "--against", type=click.Choice(["base"]), help="Compare a dev lake's tables with those of its base."
)
@all_option
@click.option(
    "--samples",
    metavar="N",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="How many rows to show.",
)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown; with --against only.")
@json_option
@location_options
def diff(
    table: tuple[str, ...],
    against: str | None,
    samples: int,
    *,
    all_: bool,
    as_markdown: bool,
    as_json: bool,
    locations: Locations,
) -> None:
    """Show what changed in TABLE from version BEFORE to version AFTER; a run stands for the version it made.

    Columns, counts, the partitions whose rows differ, and some of these rows. Rows are compared by all
    columns that both versions have with the same type. Files that both versions have are not read.

    With --against base, each TABLE, or --all, is compared with the base that its lake lies over.
    """
    if against is None:
        missing = ["TABLE", "BEFORE", "AFTER"][len(table) : _VERSIONS]
        if missing:
            raise click.UsageError(f"Missing argument {missing[0]!r}.")
        if len(table) > _VERSIONS or all_ or as_markdown:
            raise click.UsageError("Give one TABLE with two versions; or add --against base.")
        from practicus_assets.cli.answers.diff import show_diff

        name, before, after = table
        show_diff(name, before, after, samples, locations, as_json=as_json)
        return
    refuse_no_tables(table, all_=all_)
    from practicus_assets.cli.answers.own_roots.base_diff import Form, show_base_diff

    form: Form = "json" if as_json else "markdown" if as_markdown else "text"
    show_base_diff(table, samples, locations, form)

"""`doctor`: its arguments and options."""

from collections.abc import Sequence

import click

from practicus_assets.cli.options import Locations, json_option, location_options, only


@click.command(short_help="Whether workers can do their work, where they run.")
@click.option(
    "--backend",
    type=click.Choice(["local", "kubernetes"]),
    help="Where steps are to run; by default what the configuration says.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
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
@json_option
@location_options
def doctor(
    backend: str | None,
    timeout: int,
    servers: Sequence[str],
    *,
    no_pods: bool,
    autoscaled: bool,
    as_json: bool,
    locations: Locations,
) -> None:
    """Check that the steps of a code location can run where the configuration of worker_executor sends them.

    On a cluster, for each region: the API server and rights; objects that workers name; nodes for what they
    ask for; and from a pod that starts as theirs would, and is removed: versions, lake, conditional puts,
    instance. On this machine: the same, as far as it applies. Exits with 1 if something failed.
    """
    from practicus_assets.cli.answers.doctor import examine

    settings = {"backend": backend, "seconds": timeout, "servers": servers}
    examine({**settings, "pods": not no_pods, "autoscaled": autoscaled}, only(locations), as_json=as_json)

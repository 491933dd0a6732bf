"""`worker`: its arguments and options."""

from collections.abc import Sequence

import click

from practicus_assets.cli.completion import complete_partitions, complete_tables
from practicus_assets.cli.options import Locations, json_option, location_options, only


@click.command(short_help="The pod that a step would get, and why.")
@click.argument("step", shell_complete=complete_tables)
@click.option("-j", "--job", "job_name_", metavar="NAME", help="The job, where several have such a step.")
@click.option("--partition", metavar="KEY", shell_complete=complete_partitions, help="The run's partition.")
@click.option("--run-tag", "run_tags", multiple=True, metavar="KEY=VALUE", help="A tag of the run.")
@click.option("--attempt", metavar="N", type=click.IntRange(1), help="Number of the attempt; 1 is the first.")
@click.option(
    "--out-of-memory",
    metavar="N",
    type=click.IntRange(0),
    default=0,
    help="How many attempts ran out of memory.",
)
@click.option(
    "--lost", metavar="N", type=click.IntRange(0), default=0, help="How many attempts lost their pod."
)
@click.option("--yaml", "as_yaml", is_flag=True, help="Print the manifest only, as YAML.")
@json_option
@location_options
def worker(
    step: str,
    job_name_: str | None,
    partition: str | None,
    run_tags: Sequence[str],
    *,
    attempt: int | None,
    out_of_memory: int,
    lost: int,
    as_yaml: bool,
    as_json: bool,
    locations: Locations,
) -> None:
    """Show the Kubernetes Job that worker_executor would make for STEP, and what each field comes from.

    STEP is a step's key, or an asset's key. Nothing is created, and no cluster is asked. Values of
    environment variables that the instance's run launcher adds are hidden, for they may be secrets.
    """
    from practicus_assets.cli.answers.worker import Question, show_worker

    question = Question(
        step, job_name_, partition, run_tags, attempt or 1 + out_of_memory + lost, out_of_memory, lost
    )
    show_worker(question, only(locations), as_yaml=as_yaml, as_json=as_json)

"""The command line: `practicus-assets`, for those who operate a lake."""

import click

from practicus_assets.cli.commands.contract import contract
from practicus_assets.cli.commands.diff import diff
from practicus_assets.cli.commands.doctor import doctor
from practicus_assets.cli.commands.history import history
from practicus_assets.cli.commands.maintain import maintain
from practicus_assets.cli.commands.new import new
from practicus_assets.cli.commands.plan import plan
from practicus_assets.cli.commands.promote import promote
from practicus_assets.cli.commands.release import release
from practicus_assets.cli.commands.rollback import rollback
from practicus_assets.cli.commands.run_task import run_task
from practicus_assets.cli.commands.tables.check import check
from practicus_assets.cli.commands.tables.list_tables import list_tables
from practicus_assets.cli.commands.tables.show import show
from practicus_assets.cli.commands.tables.status import status
from practicus_assets.cli.commands.test_tasks import test_tasks
from practicus_assets.cli.commands.verify import verify
from practicus_assets.cli.commands.worker import worker
from practicus_assets.cli.group import MainGroup

main = MainGroup(
    "practicus-assets",
    {
        "Look": (status, show, list_tables, check, plan, history, diff),
        "Repair and maintain": (rollback, verify, maintain, release, promote),
        "Workers": (worker, doctor),
        "Contracts": (contract,),
        "Begin, and try tasks": (new, run_task, test_tasks),
    },
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Look at, repair and maintain the Delta tables of a Dagster code location, and try its tasks.

    Commands find the tables as dagster does: -m MODULE, -f FILE, -w WORKSPACE, or what the working directory
    holds. DAGSTER_HOME names the instance. Each takes --json.
    """,
    epilog="""\b
    Exit codes: 0 done
    1    refused or failed; the message says why and what to do
    2    wrong usage
    3    verify or status found something, or contract diff a breaking change
    4    somebody else was first: run it again
    5    the store did not say whether a commit landed: look at the history
    6    plan: something would be computed
    7    plan: nothing is known to be computed, and not all is known
    130  run-task or test-tasks was interrupted
    """,
)
_at_a_glance = (status, show, list_tables, check)
_of_tables = (plan, history, diff, rollback, verify, maintain, worker, doctor, release, promote)
for _command in (*_at_a_glance, *_of_tables, contract, new, run_task, test_tasks):
    main.add_command(_command)
click.version_option(
    package_name="practicus-assets", prog_name="practicus-assets", message="%(prog)s %(version)s"
)(main)

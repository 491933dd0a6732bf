"""`new workflow`: what it wrote, and what to do with it."""

from pathlib import Path

from practicus_assets.cli.answers.new.written import print_written
from practicus_assets.starters.workflow import workflow_starter


def write_workflow(name: str, flow: str, *, as_practicus: bool, as_json: bool) -> None:
    """Write the starter of a workflow into the working directory, and print what it has.

    Args:
        name: the workflow's name.
        flow: the order of its tasks.
        as_practicus: whether its tasks lie in a folder as Practicus AI writes one.
        as_json: whether programs read the answer.

    """
    starter = workflow_starter(name, flow, as_practicus=as_practicus)
    folder = starter.write(Path.cwd())
    next_ = (
        f"python -m pytest {name}",
        f"practicus-assets test-tasks -m {name}.definitions",
        f"dagster dev -m {name}.definitions",
    )
    print_written(name, folder, [*starter.files], next_=next_, as_json=as_json)

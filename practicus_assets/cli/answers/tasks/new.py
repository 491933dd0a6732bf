"""`new`: what it wrote, and what to do with it."""

from pathlib import Path

from practicus_assets.cli.answers import output
from practicus_assets.starters.workflow import workflow_starter
from practicus_assets.wording import number_of


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
    if as_json:
        output.print_json({"folder": str(folder), "files": sorted(starter.files)})
        return
    console = output.console()
    console.print(f"Wrote {name}, {number_of(len(starter.files), 'file')}:", markup=False)
    for path in sorted(starter.files):
        console.print(f"  {name}/{path}", markup=False, soft_wrap=True)
    console.print("Next, from this folder:")
    for line in (
        f"python -m pytest {name}",
        f"practicus-assets test-tasks -m {name}.definitions",
        f"dagster dev -m {name}.definitions",
    ):
        console.print(f"  {line}", markup=False, soft_wrap=True)

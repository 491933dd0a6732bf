"""`Task`: a script, a notebook or a command, as YAML."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import dagster as dg

from practicus_assets.components.environment import described, late, shown, worker_fields
from practicus_assets.components.partitions import Partitions
from practicus_assets.components.scaffolding import script, write_new


class TaskScaffolder(dg.Scaffolder[Any]):
    """What `dg scaffold defs` writes: a script that prints a line."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the component's file, and its script."""
        name = request.target_path.name
        write_new(request.target_path / f"{name}.py", script(name))
        dg.scaffold_component(request, {"program": f"{name}.py"})


@dg.scaffold_with(TaskScaffolder)
@dataclass(frozen=True)
class Task(dg.Component, dg.Resolvable):
    """A task: a script, a shell script, a notebook or a command, as an asset that its run makes.

    `{{ env.NAME }}` in parameters is read where the task runs, and shown nowhere.
    """

    program: Annotated[
        str | list[str], shown("a file that ends in .py, .sh or .ipynb, or a command as a list of its words")
    ]
    key: Annotated[str | None, described("the asset's key; by default the file's name")] = None
    arguments: Annotated[list[str], shown("further arguments of the program")] = field(default_factory=list)
    parameters: Annotated[
        dict[str, Any], late("environment variables of the program; a secret is written as {{ env.NAME }}")
    ] = field(default_factory=dict)
    deps: Annotated[list[str], described("keys of assets that come before it")] = field(default_factory=list)
    worker: Annotated[
        dict[str, Any] | None, worker_fields("what it asks for: size, cpu, memory, image, …")
    ] = None
    partitions: Annotated[Partitions | None, described("the partitions")] = None
    retries: Annotated[int, described("how often it is tried again after it failed")] = 0
    artifacts: Annotated[list[str], described("patterns of files that are kept")] = field(
        default_factory=list
    )
    group_name: Annotated[str | None, described("the asset's group")] = None
    description: Annotated[str | None, described("what the catalog says of it")] = None

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the asset. Raises DeclarationError as `task_asset` does."""
        from practicus_assets.tasks.task_asset import task_asset
        from practicus_assets.workers.request.worker import Worker

        program = context.path / self.program if isinstance(self.program, str) else self.program
        asset = task_asset(
            program,
            key=dg.AssetKey.from_user_string(self.key) if self.key is not None else None,
            arguments=self.arguments,
            parameters=self.parameters,
            artifacts=self.artifacts,
            worker=Worker(**self.worker) if self.worker else None,
            deps=[dg.AssetKey.from_user_string(each) for each in self.deps],
            partitions_def=self.partitions.definition() if self.partitions is not None else None,
            retry_policy=dg.RetryPolicy(max_retries=self.retries) if self.retries else None,
            group_name=self.group_name,
            description=self.description,
        )
        return dg.Definitions(assets=[asset])

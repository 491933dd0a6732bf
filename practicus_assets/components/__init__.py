"""Components: workflows, sources, tasks and lakes as YAML, which `dg` lists, scaffolds and checks."""

from practicus_assets.components.lake import Lake
from practicus_assets.components.sources import Sources
from practicus_assets.components.task import Task
from practicus_assets.components.workflow import Workflow

__all__ = ["Lake", "Sources", "Task", "Workflow"]

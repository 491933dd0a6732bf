"""Groups of tasks: what `>>` means of a `TaskGroup`."""

from dataclasses import dataclass, field

from practicus_assets.workflows.order import Operand, Order


@dataclass
class TaskGroup:
    """A group of tasks, while its `with` is read.

    Attributes:
        prefix: what the ids of its tasks begin with.
        tasks: the ids of its tasks, those of groups inside of it included.

    """

    prefix: str
    tasks: list[str] = field(default_factory=list)

    def operand(self, order: Order) -> Operand:
        """Return what it is beside a `>>` at this moment: its first tasks, and its last ones."""
        inside = set(self.tasks)
        before_others = {before for task in self.tasks for before in order.upstream.get(task, ())}
        first = [task for task in self.tasks if inside.isdisjoint(order.upstream.get(task, ()))]
        last = [task for task in self.tasks if task not in before_others]
        return Operand(tuple(first), tuple(last))

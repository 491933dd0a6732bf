"""Resources of splits: each process makes its own from the fields of the step's."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import dagster as dg


@dataclass(frozen=True)
class SplitResource:
    """A resource that the process of a split makes for itself.

    Attributes:
        kind: its class.
        fields: the values that its fields have in the step, those that Dagster took from the environment or
            the run's configuration among them.

    """

    kind: type[Any]
    fields: Mapping[str, Any]

    def made(self) -> Any:
        """Return a resource with these fields, which is not set up yet."""
        fields = {
            name: value.made() if isinstance(value, SplitResource) else value
            for name, value in self.fields.items()
        }
        return self.kind(**fields)


def sent(value: Any) -> Any:
    """Return what another process is sent of a step's value: of a resource, what it can be made of."""
    if not isinstance(value, dg.ConfigurableResource):
        return value
    fields = {name: sent(getattr(value, name)) for name in type(value).model_fields}
    return SplitResource(type(value), fields)


def received(value: Any, until: ExitStack) -> Any:
    """Return the value that another process was sent; a resource is set up until a stack is closed."""
    if not isinstance(value, SplitResource):
        return value
    return until.enter_context(value.made().process_config_and_initialize_cm())

"""Starting accounts: with which service account a step starts pods by itself, and what it needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from practicus_assets.errors import DeclarationError
from practicus_assets.wording import enumerated
from practicus_assets.workers.placement.placement import Placement

Right = tuple[str, str, str]  # verb, API group and resource

_COMMANDS: tuple[Right, ...] = (
    ("create", "batch", "jobs"),
    ("get", "batch", "jobs"),
    ("delete", "batch", "jobs"),
    ("get", "", "pods"),
    ("list", "", "pods"),
    ("get", "", "pods/log"),
)
_SPLITS: tuple[Right, ...] = (*_COMMANDS, ("list", "batch", "jobs"), ("list", "", "events"))
_ENGINES: tuple[Right, ...] = tuple(
    (verb, "", "pods") for verb in ("create", "get", "list", "delete", "deletecollection")
)


@dataclass(frozen=True)
class StartingAccount:
    """The service account of a step that starts pods.

    Attributes:
        name: its name.
        rights: what it has to be allowed in the pods' namespace.

    """

    name: str
    rights: Sequence[Right]

    @classmethod
    def of(cls, placement: Placement) -> "StartingAccount | None":
        """Return the account of a step; None if the step starts no pods.

        Raises:
            DeclarationError: if it starts some, and no account is named with which it may.

        """
        region, own = placement.region, placement.worker.service_account
        if placement.starter is not None:
            starts, setting, rights = "it starts its command", "command_account", _COMMANDS
            name = placement.starter.worker.service_account
        elif placement.splits is not None:
            starts, setting, rights = "it starts the pods of its splits", "command_account", _SPLITS
            is_of_all_steps = placement.origins.get("service_account") in {None, region.label}
            name = None if is_of_all_steps else own
        elif placement.engine is not None:
            starts, setting, rights = "its engine starts its workers", "engine_account", _ENGINES
            name = own
        else:
            return None
        if name is None:
            raise DeclarationError(
                f"no service account is named with which {starts} in {region.label}.",
                f"Set {region.key}: {setting} in the executor's configuration, to one that may "
                f"{_named(rights)}.",
            )
        return cls(name, rights)


def _named(rights: Sequence[Right]) -> str:
    """Return rights as people read them: `create and get jobs, and list pods`."""
    verbs: dict[str, list[str]] = {}
    for verb, _, resource in rights:
        verbs.setdefault(resource, []).append(verb)
    *first, last = (f"{enumerated(each)} {resource}" for resource, each in verbs.items())
    return f"{', '.join(first)}, and {last}" if first else last

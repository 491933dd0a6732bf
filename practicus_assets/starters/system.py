"""Kinds of systems that a source begins in, and the environment variables that say where each is.

`new source` writes them as Python, and the component `Sources` as YAML.
"""

from collections.abc import Mapping
from dataclasses import dataclass

ROWS = "id,name\n1,first\n2,second\n"
COLUMNS: Mapping[str, str] = {"id": "int64", "name": "string"}  # of these rows


@dataclass(frozen=True)
class Variable:
    """An environment variable that a field of a system takes its value from.

    Attributes:
        name: its name, such as `SHOP_HOST`.
        default: what holds where it is not set; None for a secret, which has no default.

    """

    name: str
    default: str | int | None

    @property
    def as_python(self) -> str:
        """The expression in Python; a secret is read when a step connects, and not when the module loads."""
        if self.default is None:
            return f'dg.EnvVar("{self.name}")'
        text = f'os.environ.get("{self.name}", "{self.default}")'
        return f"int({text})" if isinstance(self.default, int) else text

    @property
    def as_yaml(self) -> str:
        """The template of a component's file."""
        if self.default is None:
            return f"{{{{ env.{self.name} }}}}"
        return f"{{{{ env('{self.name}', '{self.default}') }}}}"


@dataclass(frozen=True)
class System:
    """A kind of system.

    Attributes:
        class_name: the public class that stands for it.
        extra: the extra of this package that reads it; empty where none is needed.
        relation_pattern: what is read in it, in which {name} stands for the source's name.
        defaults: the fields of its login that are no secret; empty where it has no login.

    """

    class_name: str
    extra: str
    relation_pattern: str
    defaults: Mapping[str, str | int]

    def relation(self, name: str) -> str:
        """Return what is read in it for a source of that name."""
        return self.relation_pattern.format(name=name)

    def login(self, name: str) -> dict[str, Variable]:
        """Return the fields of its login for a source of that name, by their environment variables."""
        if not self.defaults:
            return {}
        fields = {**self.defaults, "password": None}
        return {field: Variable(f"{name}_{field}".upper(), default) for field, default in fields.items()}


SYSTEMS: Mapping[str, System] = {
    "files": System("Files", "", "{name}/*.csv", {}),
    "mysql": System(
        "MySQL",
        "mysql",
        "{name}",
        {"host": "localhost", "port": 3306, "database": "mysql", "user": "reader"},
    ),
    "postgresql": System(
        "PostgreSQL",
        "postgresql",
        "public.{name}",
        {"host": "localhost", "port": 5432, "database": "postgres", "user": "reader"},
    ),
}

"""The project of dg that a folder is in: what is added to it, and where."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from practicus_assets.errors import DeclarationError


@dataclass(frozen=True)
class Project:
    """A project that dg knows.

    Attributes:
        root: its folder, which has the pyproject.toml.
        defs: the name of the package whose modules it loads, such as `shop.defs`.

    """

    root: Path
    defs: str

    @classmethod
    def around(cls, folder: Path) -> "Project":
        """Return the project that a folder is in.

        Raises:
            DeclarationError: if it is in none.

        """
        for root in (folder, *folder.parents):
            settings = _settings(root / "pyproject.toml")
            if "root_module" in settings:
                return cls(root, settings.get("defs_module", f"{settings['root_module']}.defs"))
        raise DeclarationError(
            f"{folder} is in no project of dg. Nothing was written.",
            "Go into one, or begin one: practicus-assets new project NAME.",
        )

    def module(self, name: str) -> str:
        """Return the path, below the root, of a module that the project loads.

        Raises:
            DeclarationError: if the folder of its modules is not there.

        """
        parts = self.defs.split(".")
        for above in ("src", "."):
            folder = Path(above, *parts)
            if (self.root / folder).is_dir():
                return (folder / f"{name}.py").as_posix()
        raise DeclarationError(
            f"{self.root} has no folder {Path('src', *parts)}. Nothing was written.",
            "Make it: dg and dagster load the modules in it.",
        )


def _settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        settings: Any = tomllib.loads(path.read_text(encoding="utf-8"))
        for name in ("tool", "dg", "project"):
            settings = settings.get(name, {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError) as error:
        raise DeclarationError(f"{path} cannot be read: {error}. Nothing was written.", "Mend it.") from None
    return dict(settings)

"""What an author declares as a table's contract: a `Contract`, or a pandera model or schema."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.wording import readable


def as_contract(declaration: Any) -> Contract | None:
    """Return a contract as it is, and a pandera model or schema as a contract.

    Args:
        declaration: a `Contract`, a pandera `DataFrameModel` or `DataFrameSchema`, or None.

    Raises:
        DeclarationError: for anything else.

    """
    if declaration is None or isinstance(declaration, Contract):
        return declaration
    classes = (*getattr(declaration, "__mro__", ()), *type(declaration).__mro__)
    if any(c.__module__.startswith("pandera.") for c in classes):
        from practicus_assets.lake.contracts.pandera_schema import contract_of  # noqa: PLC0415 takes 2.5 s

        return contract_of(declaration)
    is_class = inspect.isclass(declaration)
    given = f"the class {declaration.__qualname__}" if is_class else readable(declaration)
    raise DeclarationError(f"{given} is no contract.", _instead(declaration))


def _instead(declaration: Any) -> str:
    """Return what to write instead of something that is no contract."""
    if isinstance(declaration, Mapping):
        return f"Write Contract(columns={declaration!r})."
    if isinstance(declaration, str | Path):
        return f"Write Contract.from_odcs({str(declaration)!r}) for a file of a contract."
    if declaration is Contract:
        return 'Call it, and give it the columns: Contract(columns={"id": "int64"}).'
    fields = inspect.get_annotations(declaration) if inspect.isclass(declaration) else {}
    if fields:
        columns = ", ".join(f"{name!r}: {getattr(kind, '__name__', kind)}" for name, kind in fields.items())
        return f"Write Contract(columns={{{columns}}})."
    return "Declare a Contract, a pandera DataFrameModel or DataFrameSchema."

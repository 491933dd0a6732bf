"""What an author declares as a table's contract: a `Contract`, or a pandera model or schema."""

from collections.abc import Mapping
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
    raise DeclarationError(
        f"{readable(declaration)} is no contract.",
        f"Write Contract(columns={declaration!r})."
        if isinstance(declaration, Mapping)
        else "Declare a Contract, a pandera DataFrameModel or DataFrameSchema.",
    )

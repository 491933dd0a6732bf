"""The starter of a table in a project: its module, and its test."""

from practicus_assets.starters.addition import Addition
from practicus_assets.starters.here import Project
from practicus_assets.starters.names import refuse_identifier, refuse_used


def table_addition(name: str, project: Project) -> Addition:
    """Return the files of a new table.

    Args:
        name: the table's name, which is that of its asset, its function and its module.
        project: the project that it comes into.

    Raises:
        DeclarationError: if a table cannot be called so.

    """
    refuse_identifier("table", name)
    refuse_used("table", name, (_TABLE, _TEST))
    files = {project.module(name): _TABLE, f"tests/test_{name}.py": _TEST}
    return Addition(
        {path: text.replace("DEFS", project.defs).replace("NAME", name) for path, text in files.items()}
    )


_TABLE = '''"""The table NAME."""

import pandas as pd
from practicus_assets import Column, Contract, table_asset

CONTRACT = Contract(
    columns={
        "id": Column("int64", "tells each row apart", nullable=False, minimum=1),
        "name": Column("string", "what it is called", nullable=False),
    },
    unique=[["id"]],
    rows=(1, None),
)


@table_asset(contract=CONTRACT)
def NAME() -> pd.DataFrame:
    """Say here what a row is."""
    return pd.DataFrame({"id": [1, 2], "name": ["first", "second"]})
'''

_TEST = '''"""The table NAME: what a run stores."""

from practicus_assets.testing import run_table

from DEFS.NAME import NAME


def test_its_rows_keep_the_contract() -> None:
    run = run_table(NAME)
    assert run.broken() == []
    assert len(run.rows) == 2
'''

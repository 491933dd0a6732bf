"""The starter of a source in a project: its module, its test, and a file to read where it is of files."""

from pathlib import PurePosixPath

from practicus_assets.starters.addition import Addition
from practicus_assets.starters.here import Project
from practicus_assets.starters.names import refuse_identifier, refuse_used
from practicus_assets.starters.system import COLUMNS, ROWS, System


def source_addition(name: str, system: System, project: Project) -> Addition:
    """Return the files of a new source; where it is, and who reads it, comes from environment variables.

    Args:
        name: the source's name, which is that of its asset and its module.
        system: the kind of system that it is in.
        project: the project that it comes into.

    Raises:
        DeclarationError: if a source cannot be called so.

    """
    refuse_identifier("source", name)
    module = project.module(name)
    module_text, test_text = (
        (_DATABASE, _TEST_OF_DATABASE) if system.login(name) else (_FILES, _TEST_OF_FILES)
    )
    texts = {module: module_text, f"tests/test_{name}.py": test_text + _READS_ROWS}
    refuse_used("source", name, (_filled(text, "NAME", system, project) for text in texts.values()))
    files = {path: _filled(text, name, system, project) for path, text in texts.items()}
    if not system.login(name):
        data = PurePosixPath(module).parent.parent / "data" / name / "rows.csv"
        files[data.as_posix()] = ROWS
    return Addition(files)


def _filled(text: str, name: str, system: System, project: Project) -> str:
    login = system.login(name).items()
    words = {
        "DEFS": project.defs,
        "FIELDS": "".join(f"    {field}={variable.as_python},\n" for field, variable in login),
        "CLASS": system.class_name,
        "RELATION": system.relation(name),
        "COLUMNS": "{" + ", ".join(f'"{column}": "{type_}"' for column, type_ in COLUMNS.items()) + "}",
        "VARIABLES": name.upper(),
        "NAMES": ", ".join(sorted(["database", name])),
        "NAME": name,
    }
    for word, value in words.items():
        text = text.replace(f"<{word}>", value)
    return text


_DATABASE = '''"""The source <NAME>: a table of <CLASS>, which tables read by its name."""

import os

import dagster as dg
from practicus_assets import <CLASS>, Source

database = <CLASS>(
<FIELDS>)

<NAME> = Source("<NAME>", database.table("<RELATION>"))
'''

_READS_ROWS = """def test_its_first_rows_can_be_read() -> None:
    columns = []

    @dg.asset
    def first_rows(<NAME>: pa.RecordBatchReader) -> None:
        next(iter(<NAME>), None)
        columns.extend(<NAME>.schema.names)

    assert dg.materialize([<NAME>, first_rows]).success
    assert columns
"""

_TEST_OF_DATABASE = '''"""The source <NAME>: its login, and its first rows where it can log in."""

import os

import dagster as dg
import pyarrow as pa
import pytest

from <DEFS>.<NAME> import <NAMES>

reachable = bool(os.environ.get("<VARIABLES>_PASSWORD"))


def test_its_password_is_that_of_the_environment() -> None:
    assert isinstance(database.password, dg.EnvVar)


@pytest.mark.skipif(not reachable, reason="its password is not set")
'''

_FILES = '''"""The source <NAME>: CSV files, which tables read by its name."""

import os
from pathlib import Path

from practicus_assets import Files, Source

# <VARIABLES>_URI may be s3://bucket/raw: its login is in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
data = Path(__file__).parents[1] / "data"
folder = Files(os.environ.get("<VARIABLES>_URI", str(data)))

<NAME> = Source(
    "<NAME>",
    folder.files("<RELATION>"),
    columns=<COLUMNS>,
)
'''

_TEST_OF_FILES = '''"""The source <NAME>: its first rows."""

import dagster as dg
import pyarrow as pa

from <DEFS>.<NAME> import <NAME>


'''

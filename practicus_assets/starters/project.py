"""The starter of a project: what `dg` and `dagster` need, and the example's tables, data and tests."""

from practicus_assets.starters.example import example_files
from practicus_assets.starters.names import refuse_name
from practicus_assets.starters.starter import Starter


def project_starter(name: str) -> Starter:
    """Return the starter of a project: three tables that feed each other, with their data and tests.

    Args:
        name: the project's name, which is that of its folder and of its package.

    Raises:
        DeclarationError: if a project or a package cannot be called so.

    """
    refuse_name("project", name)
    files = {**_FILES, **example_files()}
    return Starter(name, {_named(path, name): _named(text, name) for path, text in files.items()})


def _named(text: str, name: str) -> str:
    return text.replace("NAME", name)


_README = """# NAME

Three tables that feed each other, on Dagster, in Delta Lake.

| table | what it is | where it is written |
| --- | --- | --- |
| `raw_orders` | one CSV file a day, in `src/NAME/data/orders` | `src/NAME/defs/orders.py` |
| `orders` | a Delta table of a partition a day, with a contract | `src/NAME/defs/orders.py` |
| `revenue` | EUR by day and country | `src/NAME/defs/revenue.py` |

## Begin

```
python3 -m venv .venv && source .venv/bin/activate
pip install practicus-assets          # from where you have it: a wheel's path, or git+https://…
pip install -e '.[dev]'
export DAGSTER_HOME=$PWD/.dagster     # where Dagster keeps what has run
pytest
dg check defs
dg launch --assets 'orders+' --partition-range 2026-01-01...2026-01-05
dg dev                                # the UI, at http://localhost:3000
```

The tables are plain Delta tables in the folder `lake`; the environment variable `LAKE_URI` puts them
elsewhere, such as `s3://bucket/lake`. A second launch changes nothing.

One check warns: an order of 2026-01-04 has the country `de` instead of `DE`, and so `revenue` has both.
Take `severity="WARN"` out of `orders.py`, and the contract refuses that day before anyone sees it; let the
function return `raw_orders.assign(country=raw_orders["country"].str.upper())`, and it is right.

## Go on

```
practicus-assets new table customers  # a table in src/NAME/defs, and its test
practicus-assets new source sales --system postgresql   # or mysql, or files
practicus-assets history orders       # what each commit did
practicus-assets plan                 # what a run would compute, and why
dg list components                    # workflows, sources, tasks and lakes as YAML
```
"""

_PYPROJECT = """[project]
name = "NAME"
version = "0.1.0"
requires-python = ">=3.11,<3.14"
dependencies = ["dagster", "practicus-assets"]

[project.optional-dependencies]
dev = ["dagster-dg-cli", "dagster-webserver", "pytest"]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "NAME"

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["src"]
"""

_GITIGNORE = """.env
.venv/
__pycache__/
.pytest_cache/
*.egg-info/
.tmp_dagster_home_*/
/.dagster/*
!/.dagster/dagster.yaml
/lake/
"""

_INSTANCE = """# Dagster's own settings, where DAGSTER_HOME names this folder
telemetry:
  enabled: false
nux:
  enabled: false
"""

_DEFINITIONS = '''"""All that the modules of the folder defs define."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """Load the folder."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
'''

_FILES = {
    "README.md": _README,
    "pyproject.toml": _PYPROJECT,
    ".gitignore": _GITIGNORE,
    ".dagster/dagster.yaml": _INSTANCE,
    "src/NAME/__init__.py": '"""The project NAME."""\n',
    "src/NAME/definitions.py": _DEFINITIONS,
    "src/NAME/defs/__init__.py": '"""Tables, schedules and the lake."""\n',
}

"""`practicus-assets contract`: files of tables' contracts, and what breaks between two of them."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from practicus_assets.cli import main

DEFINITIONS = """
import dagster as dg
import pandas as pd
from practicus_assets import Column, Contract, DeltaIOManager, RowRule, table_asset

def positive(rows):
    return rows["n"]

Orders = Contract(
    {{
        "id": Column("int64", nullable=False),
        "amount": Column("decimal(18,2)"),
        "note": Column("string", {bound}),
    }},
    unique=[["id"]],
    rules=[RowRule("positive", positive, severity="WARN")],
)

@table_asset(contract=Orders)
def orders() -> pd.DataFrame: ...

@table_asset
def bare() -> pd.DataFrame: ...

defs = dg.Definitions(assets=[orders, bare], resources={{"io_manager": DeltaIOManager(root_uri="lake")}})
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("DAGSTER_MODULE_NAME", "DAGSTER_PYTHON_FILE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "shop.py").write_text(DEFINITIONS.format(bound=""))
    (tmp_path / "bounded.py").write_text(DEFINITIONS.format(bound='minimum="a"'))
    return tmp_path


def run(*arguments: str, code: int = 0, given: str | None = None) -> Result:
    result = CliRunner().invoke(main, ["contract", *arguments], input=given)
    for name in ("shop", "bounded"):
        sys.modules.pop(name, None)
    assert result.exit_code == code, result.output
    return result


def test_a_contract_is_exported_compared_with_its_table_and_a_change_that_breaks_exits_with_3(
    folder: Path,
) -> None:
    assert (
        run("export", "orders", "-f", "shop.py", "-o", "orders.odcs.yaml").stdout
        == "Wrote orders.odcs.yaml\n"
    )
    text = (folder / "orders.odcs.yaml").read_text()
    assert run("export", "orders", "-f", "shop.py").stdout == text
    assert run("diff", "orders.odcs.yaml", "orders", "-f", "shop.py").stdout == (
        "orders.odcs.yaml → orders: nothing changed\n"
    )
    newer = text.replace("    required: true\n", "").replace("    physicalType: string\n", "")
    (folder / "newer.yaml").write_text(newer.replace("logicalType: string", "logicalType: integer"))
    changed = run("diff", "orders.odcs.yaml", "newer.yaml", code=3).stdout
    assert changed == (
        "orders.odcs.yaml → newer.yaml: 3 breaking changes\n  breaking  id: may be null now\n  "
        "breaking  note: string becomes int64\n  breaking  table: a run on it is refused: column "
        "'note' is of type string in the table and int64 in the contract. Change the contract, or "
        "rewrite the table as a whole.\n"
    )
    piped = json.loads(run("diff", "-", "newer.yaml", "--json", code=3, given=text).stdout)
    assert piped["is_breaking"] is True
    assert piped["changes"][0] == {"effect": "breaking", "where": "id", "what": "may be null now"}
    back = run("diff", "newer.yaml", "orders.odcs.yaml", "--markdown", code=3).stdout
    assert back.startswith("### Contract newer.yaml → orders.odcs.yaml: 2 breaking changes and 1 compatible ")
    assert "- **compatible** id: is never null now\n" in back


def test_names_that_would_steer_a_terminal_or_markdown_are_shown_as_they_are_written(folder: Path) -> None:
    text = run("export", "orders", "-f", "shop.py").stdout
    (folder / "old.yaml").write_text(text.replace("name: note", 'name: "no\\e[31m<b>"'))
    (folder / "new.yaml").write_text(text.replace("- id\n", ""))
    assert (
        "  breaking  no\\x1b[31m<b>: the column is gone (string)\n"
        in run("diff", "old.yaml", "new.yaml", code=3).stdout
    )
    shown = run("diff", "old.yaml", "new.yaml", "--markdown", code=3).stdout
    assert "- **breaking** no\\\\x1b\\[31m&lt;b\\>: the column is gone (string)" in shown


def test_a_rule_that_a_file_names_and_the_table_has_lost_breaks(folder: Path) -> None:
    text = run("export", "orders", "-f", "shop.py").stdout
    (folder / "more.yaml").write_text(text + "  - {type: text, name: few, description: Few.}\n")
    assert run("diff", "more.yaml", "orders", "-f", "shop.py", code=3).stdout == (
        "more.yaml → orders: 1 breaking change\n  breaking  few: the rule is gone\n"
    )


def test_what_nothing_here_compares_is_named(folder: Path) -> None:
    text = run("export", "orders", "-f", "shop.py").stdout.replace("required: true", "requird: true")
    (folder / "odd.yaml").write_text(text)
    told = run("diff", "odd.yaml", "odd.yaml").stdout
    assert "not compared: id.requird (no key of the standard. Did you mean required?)" in told


def test_what_a_file_cannot_say_is_named_beside_it() -> None:
    result = run("export", "orders", "-f", "bounded.py")
    assert result.stderr == "left out: note.minimum ('a' is no value of a file's bounds)\n"
    assert json.loads(run("export", "orders", "-f", "bounded.py", "--json").stdout)["left_out"] == [
        "note.minimum ('a' is no value of a file's bounds)"
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("diff", "no.yaml", "no.yml"), "no.yaml cannot be read: No such file or directory."),
        (("diff", "-", "-"), "both contracts are standard input. Give one of them as a file."),
        (
            ("diff", "ordrs", "orders", "-f", "shop.py"),
            "there is no table 'ordrs' here. Did you mean orders?",
        ),
        (
            ("export", "bare", "-f", "shop.py"),
            "bare has no contract. Declare one: @table_asset(contract=Contract(…)).",
        ),
        (
            ("export", "orders", "-f", "shop.py", "-o", "no/a.yaml"),
            "no/a.yaml cannot be written: No such file or ",
        ),
    ],
    ids=["no file", "standard input", "misspelt table", "no contract", "no folder"],
)
def test_a_command_that_cannot_be_answered_says_why(arguments: tuple[str, ...], told: str) -> None:
    assert told in run(*arguments, code=1).stderr

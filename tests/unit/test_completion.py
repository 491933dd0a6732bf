"""The Tab key: what completion offers by the protocols of the shells, and where it knows it from."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from threading import Thread

import dagster as dg
import pytest
from click.testing import CliRunner

from practicus_assets.cli import main
from practicus_assets.cli.answers.locations import tables
from practicus_assets.cli.remembered import remember, remembered
from practicus_assets.code_location import CodeLocation, code_locations

SHOP = """
import dagster as dg
import pandas as pd
from practicus_assets import DeltaIOManager, table_asset

days = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-04")
named = dg.DynamicPartitionsDefinition(name="shops")

@table_asset(partitions_def=days, partition_by="day")
def orders() -> pd.DataFrame: ...

@table_asset(partitions_def=named, partition_by="shop")
def shops() -> pd.DataFrame: ...

@table_asset
def countries() -> pd.DataFrame: ...

defs = dg.Definitions([orders, shops, countries], resources={"io_manager": DeltaIOManager(root_uri="lake")})
"""
NAMES = {
    "orders": ["2026-01-02", "2026-01-01"],
    "order_lines": ["2026-01-02", "2026-01-01"],
    "hours": ["2026-01-01-01:00", "2026-01-01-00:00", "2025-12-31-23:00"],
    "by_shop": ["2026-01-01|a", "it's $5 & more", "b,"],
    "countries": [],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TERM", "xterm")
    for name in ("DAGSTER_MODULE_NAME", "DAGSTER_PYTHON_FILE", "DAGSTER_WORKING_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "pyproject.toml").write_text('[tool.dagster]\nmodule_name = "shop"\n')
    yield tmp_path
    sys.modules.pop("shop", None)


@pytest.fixture
def names() -> None:
    remember(code_locations(), NAMES)


@contextmanager
def at_a_terminal() -> Iterator[list[bytes]]:
    """Let standard error be a terminal; what it showed is in the list once it is over."""
    ours, theirs = os.openpty()
    shown: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # the other end is closed
            while part := os.read(ours, 4096):
                shown.append(part)

    reader = Thread(target=read)
    reader.start()
    try:
        with os.fdopen(theirs, "w") as stream, redirect_stderr(stream):
            yield shown
    finally:
        reader.join()
        os.close(ours)


def completed(line: str, shell: str = "bash") -> list[str]:
    """Return what the command answers for the words of a line, of which the last is not complete."""
    words = line.split(" ")
    answer = CliRunner().invoke(
        main,
        prog_name="practicus-assets",
        env={
            "_PRACTICUS_ASSETS_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": line if shell == "fish" else "\n".join(words),
            "COMP_CWORD": words[-1] if shell == "fish" else str(len(words) - 1),
        },
    )
    assert answer.exit_code == 0, answer.output
    lines = answer.stdout.strip("\n").splitlines()
    return lines[1::3] if shell == "zsh" else [value.partition(",")[2].partition("\t")[0] for value in lines]


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("practicus-assets history ord", ["orders", "order_lines"]),
        ("practicus-assets verify orders ord", ["order_lines"]),
        ("practicus-assets show orders --partition 2026-01-0", ["2026-01-02", "2026-01-01"]),
        ("practicus-assets rollback orders --partition 2026-01-02 --partition ", ["2026-01-01"]),
        ("practicus-assets worker orders --partition 2026-01-02", ["2026-01-02"]),
        ("practicus-assets plan --select coun", ["countries"]),
        ("practicus-assets release publish ord orders", ["orders"]),
        ("practicus-assets diff ", list(NAMES)),
        ("practicus-assets diff orders 1", []),
        ("practicus-assets diff orders --against base order_", ["order_lines"]),
        ("practicus-assets contract diff orders coun", ["countries"]),
        ("practicus-assets show countries --partition 2", []),
        ("practicus-assets show --location sh", ["shop"]),
        ("practicus-assets show -m shop ord", ["orders", "order_lines"]),
        ("practicus-assets show -f other.py ord", []),
        ("practicus-assets show -w no.yaml ord", []),
        ("practicus-assets stat", ["status"]),
        ("practicus-assets rollback --und", ["--undo-newer"]),
    ],
)
def test_tables_and_partitions_that_were_found_last_are_offered(
    line: str, offered: list[str], shell: str
) -> None:
    assert completed(line, shell) == offered


@pytest.mark.usefixtures("names")
def test_every_partition_is_offered_where_no_table_is_named_yet_each_once() -> None:
    assert completed("practicus-assets show --partition 2026-01-0", "zsh") == [
        "2026-01-02",
        "2026-01-01",
        "2026-01-01-01:00",
        "2026-01-01-00:00",
        "2026-01-01|a",
    ]


@pytest.mark.usefixtures("names")
def test_a_file_is_offered_where_no_table_has_such_a_name() -> None:
    assert completed("practicus-assets contract diff orders ./old.y") == ["./old.y"]


@pytest.mark.process
@pytest.mark.usefixtures("names")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["hours", "--partition", "2026-01-01-0"], ["2026-01-01-01:00", "2026-01-01-00:00"]),
        (["hours", "--partition", "2026-01-01-00", ":", "0"], ["00"]),
        (["orders", "--partition", "=", "2026-01-02"], ["2026-01-02"]),
        (["by_shop", "--partition", "2"], [r"2026-01-01\|a"]),
        (["by_shop", "--partition", r"2026-01-01\|"], [r"2026-01-01\|a"]),
        (["by_shop", "--partition", "it"], [r"it\'s\ \$5\ \&\ more"]),
        (["by_shop", "--partition", "b"], ["b,"]),
    ],
)
def test_bash_inserts_words_that_it_reads_as_one_value(
    words: list[str], offered: list[str], tmp_path: Path
) -> None:
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("there is no bash")
    command = tmp_path / "practicus-assets"
    command.write_text(f"#!{sys.executable}\nfrom practicus_assets.cli import main\nmain()\n")
    command.chmod(0o700)
    source = CliRunner().invoke(
        main, prog_name="practicus-assets", env={"_PRACTICUS_ASSETS_COMPLETE": "bash_source"}
    )
    line = ["practicus-assets", "show", *words]
    script = f"""{source.stdout}
COMP_WORDS=({" ".join(f"'{word}'" for word in line)}); COMP_CWORD={len(line) - 1}
_practicus_assets_completion practicus-assets
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    packages = os.pathsep.join(sys.path)
    answer = subprocess.run(
        [shell, "--norc", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": path, "PYTHONPATH": packages},
    )
    assert answer.stdout.splitlines() == offered, answer.stderr


def test_a_command_at_a_terminal_remembers_its_tables_and_their_newest_partitions() -> None:
    location = code_locations()
    with at_a_terminal() as shown:
        tables(location, [])
    seen = b"".join(shown)
    assert seen.count(b"Loading definitions") > 0
    assert seen.endswith(b"\x1b[2K")  # and it is gone
    found = remembered(location)
    assert found == {
        "orders": ["2026-01-03", "2026-01-02", "2026-01-01"],
        "shops": [],
        "countries": [],
    }
    assert completed("practicus-assets show orders --partition ") == found["orders"]


def test_a_command_that_no_terminal_sees_remembers_nothing_and_shows_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tables(code_locations(), [])
    assert capfd.readouterr() == ("", "")
    assert not (folder / "cache").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"tables": {"a": 3}, "partitions": []}', '{"tables": [1]}', "\xff\x00"]
)
def test_remembered_names_that_cannot_be_read_are_no_names_and_are_replaced(text: str) -> None:
    location = [CodeLocation("shop", "/", module="shop")]
    remember(location, {"orders": []})
    [file] = Path(os.environ["XDG_CACHE_HOME"]).rglob("*.json")
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(text.encode("latin-1"))
    assert remembered(location) == {}
    remember(location, {"orders": ["a"]})
    assert remembered(location) == {"orders": ["a"]}
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_names_stay_unremembered_where_the_cache_cannot_be_written(folder: Path) -> None:
    (folder / "cache").write_text("no folder")
    with at_a_terminal():
        assert [entry.name for entry in tables(code_locations(), ["orders"])] == ["orders"]
    assert completed("practicus-assets show ord") == []


def test_locations_have_names_of_their_own_and_the_same_ones_however_they_are_called() -> None:
    shop, other = CodeLocation("a", "/x", module="shop"), CodeLocation("b", "/y", module="shop")
    remember([shop], {"orders": []})
    assert remembered([CodeLocation("c", "/x", module="shop")]) == {"orders": []}
    assert remembered([other]) == remembered([shop, other]) == {}


def test_names_that_would_break_a_line_are_not_offered() -> None:
    remember(code_locations(), {"good": [], "bad\nplain,worse": []})
    assert completed("practicus-assets show ") == ["good"]


def test_many_partitions_are_remembered_as_the_newest_of_them(folder: Path) -> None:
    (folder / "shop.py").write_text(SHOP.replace('"2026-01-01", end_date="2026-01-04"', '"2016-01-01"'))
    location = [CodeLocation("shop", str(folder), file=str(folder / "shop.py"))]
    with at_a_terminal():
        [entry, *_] = tables(location, ["orders"])
    keys = remembered(location)["orders"]
    assert entry.partitions_def is not None
    assert keys == entry.partition_keys(dg.DagsterInstance.ephemeral())[:-1001:-1]

"""The page on lakes over production: its definitions and its commands, from a branch to production."""

import re
import shlex
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from practicus_assets.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "dev-lakes.md").read_text(encoding="utf-8")
[CODE] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
[SHELL] = re.findall(r"```\n(export.*?)```", PAGE, re.DOTALL)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run(name: str, instance: dg.DagsterInstance, day: str | None = None) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(CODE, "docs/dev-lakes.md", "exec"), names)  # noqa: S102 the page's code
    dg.materialize(
        [names["orders"], names["revenue"]],
        selection=[name],
        partition_key=day,
        resources={"io_manager": names["lake"]},
        instance=instance,
        run_config=QUIET,
    )


def test_the_page_brings_a_change_from_a_branch_to_production(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAKE_BASE", raising=False)
    monkeypatch.setenv("LAKE", str(tmp_path / "prod"))
    with dg.DagsterInstance.ephemeral() as instance:
        run("orders", instance, "2026-01-02")
        run("revenue", instance)
    exports, materialize, *commands = SHELL.splitlines()
    for variable, uri in re.findall(r"(LAKE\w*)=s3:/(\S+)", exports):
        monkeypatch.setenv(variable, str(tmp_path / uri.strip("/").partition("/")[0]))
    Path("shop.py").write_text(CODE.replace("[10]", "[12]"), encoding="utf-8")
    monkeypatch.setattr(f"{__name__}.CODE", Path("shop.py").read_text(encoding="utf-8"))
    words = shlex.split(materialize)
    with dg.DagsterInstance.ephemeral() as instance:
        run(words[words.index("--assets") + 1], instance, words[words.index("--partition") + 1])
    told = []
    for command in [*commands, *commands]:
        arguments = shlex.split(command.replace("-m shop.definitions", "-f shop.py"))[1:]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        told.append(" ".join(done.output.replace("│", " ").split()))
    assert "orders: version 0 of the base, 1 row to 1 row" in told[0]
    assert "- day=2026-01-02, amount=10" in told[0]
    assert "give --apply" in told[1]
    assert "orders 2026-01-02 1 0 1 1" in told[2]
    assert "2 tables unchanged" in told[3]
    assert "Nothing was written" in told[5]


def test_doctor_says_where_each_table_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAKE_BASE", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("LAKE", str(tmp_path / "prod"))
    with dg.DagsterInstance.ephemeral() as instance:
        for day in ("2026-01-01", "2026-01-02"):
            run("orders", instance, day)
        run("revenue", instance)
        Path("shop.py").write_text(CODE, encoding="utf-8")
        doctor = ["doctor", "-f", "shop.py"]
        assert "base" not in CliRunner().invoke(main, doctor).output
        monkeypatch.setenv("LAKE", str(tmp_path / "dev"))
        monkeypatch.setenv("LAKE_BASE", str(tmp_path / "prod"))
        run("orders", instance, "2026-01-02")
        monkeypatch.setenv("LAKE", str(tmp_path / "prod"))
        monkeypatch.delenv("LAKE_BASE")
        run("orders", instance, "2026-01-03")
    monkeypatch.setenv("LAKE", str(tmp_path / "dev"))
    monkeypatch.setenv("LAKE_BASE", str(tmp_path / "prod"))
    monkeypatch.setenv("COLUMNS", "400")
    told = CliRunner().invoke(main, doctor).output
    assert f"{tmp_path}/prod, which is only read" in told
    assert (
        "partitions that version 1 of the own root has are read there, the others in version 2 of the base"
        in told
    )
    assert "its rows lie over version 1 of the base's table, which has version 2 now" in told
    assert "read in the base: version 0" in told

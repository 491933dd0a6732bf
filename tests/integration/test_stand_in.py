"""`import practicuscore as prt` in tasks, where the SDK is not installed."""

import os
import textwrap
from pathlib import Path

import pytest

from practicus_assets import task_asset
from tests.integration.bench import Bench, errors


class Runs:
    """Runs the lines of a script as a task."""

    def __init__(self, folder: Path, bench: Bench) -> None:
        self._file, self._bench = folder / "t.py", bench

    def __call__(self, code: str, *, fails: bool = False) -> str:
        self._file.write_text("import practicuscore as prt\n" + textwrap.dedent(code))
        return errors(self._bench.run([task_asset(self._file)], fails=fails))


@pytest.fixture
def script(tmp_path: Path, bench: Bench) -> Runs:
    return Runs(tmp_path, bench)


def test_what_tasks_call_is_there(script: Runs, capfd: pytest.CaptureFixture[str]) -> None:
    script(
        """
        assert prt.running_on_a_worker()
        prt.logger.info("reading")
        prt.notify.send(recipients=["ops"], title="Done", body="all of it", level="warning")
        try:
            raise prt.exceptions.TaskError("x")
        except prt.exceptions.TaskError:
            pass
        """
    )
    out = capfd.readouterr().out
    assert "INFO reading" in out
    assert "WARNING notification for ['ops']: Done all of it" in out


def test_secrets_come_from_variables_and_mounted_files(
    script: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "of_file").write_text("from-file\n")
    monkeypatch.setenv("PRACTICUS_SECRETS", str(tmp_path / "secrets"))
    monkeypatch.setenv("of_variable", "from-variable")
    script(
        """
        assert prt.vault.get_secret("of_variable") == ("from-variable", 0)
        assert prt.vault.get_secret("of_file", shared=True)[0] == "from-file"
        """
    )
    assert "there is no secret 'other'" in script("prt.vault.get_secret('other')", fails=True)
    assert "there is no secret '../t.py'" in script("prt.vault.get_secret('../t.py')", fails=True)


@pytest.mark.parametrize("name", ["engines.Spark", "workflows.deploy", "vault.create_secret", "get_region"])
def test_what_is_not_there_says_what_it_is(script: Runs, name: str) -> None:
    text = script(f"prt.{name}('x')", fails=True)
    assert f"practicuscore.{name.split('.', maxsplit=1)[0]}" in text
    assert "practicuscore is a stand-in" in text


def test_a_task_runs_another_file_of_its_folder(script: Runs, tmp_path: Path) -> None:
    (tmp_path / "good.sh").write_text("true")
    (tmp_path / "bad.py").write_text("raise SystemExit(2)")
    script("assert prt.run_task('good.sh')[1]\nassert not prt.run_task('bad.py')[1]")


@pytest.mark.slow
def test_a_notebook_goes_where_it_is_configured_and_fails_only_if_asked(script: Runs, tmp_path: Path) -> None:
    cell = '{{"cell_type": "code", "source": "{}", "metadata": {{}}, "outputs": [], "execution_count": null}}'
    kernel = '{"kernelspec": {"name": "python3", "language": "python", "display_name": "x"}}'
    for name, source in (("good", "print(1)"), ("bad", "1 / 0")):
        text = (
            f'{{"cells": [{cell.format(source)}], "metadata": {kernel}, "nbformat": 4, "nbformat_minor": 4}}'
        )
        (tmp_path / f"{name}.ipynb").write_text(text)
    script(
        f"""
        prt.notebooks.configure({str(tmp_path / "out")!r}, {str(tmp_path / "failed")!r})
        assert prt.notebooks.execute_notebook("good")
        assert not prt.notebooks.execute_notebook("bad.ipynb")
        """
    )
    made = [path for folder in ("out", "failed") for path in (tmp_path / folder).rglob("*.ipynb")]
    found = [path.relative_to(tmp_path).parts for path in made]
    assert [(parts[0], len(parts), parts[-1]) for parts in found] == [
        ("out", 4, "good_output.ipynb"),
        ("failed", 4, "bad_output.ipynb"),
    ]


def test_the_real_package_is_used_where_it_is(
    script: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "practicuscore.py").write_text("REAL = True")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    )
    script("assert prt.REAL")

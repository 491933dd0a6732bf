"""docs/tutorial.md from beginning to end: its files, its changes, its commands, and what they print."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.integration.tutorial import forget, run
from tests.integration.tutorial_page import STARTS_A_SERVER, change, fails, file_named, missing, steps

BY_HAND = ("pip", "export", "cd")  # what a shell keeps, and what the environment of the tests has


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the project that the tutorial begins."""
    monkeypatch.delenv("LAKE_URI", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "shop"
    forget("shop")


@pytest.mark.slow
def test_the_tutorial_can_be_followed_and_prints_what_it_shows(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, printed, dies = Path(), "", False
    for prose, language, text, after in steps():
        file = file_named(prose, project) or file
        match language:
            case "python":
                file.write_text(text, encoding="utf-8")
            case "diff":
                dies = "+    os.kill" in text
                change(file, text)
            case "bash":
                printed = ""
                for line in text.splitlines():
                    words = shlex.split(line)
                    if words[0] in BY_HAND or words == STARTS_A_SERVER:
                        continue
                    code, output = run(line, "shop", dies=dies)
                    printed += output
                    assert (code != 0) is fails(after), (line, output)
                    if "project" in words:
                        begin(project, monkeypatch)
            case "text":
                assert missing(text, printed) == [], printed
    versions = {
        name: DeltaTable(project / "lake" / name).version() for name in ("orders", "revenue", "totals")
    }
    assert versions == {"orders": 3, "revenue": 1, "totals": 1}


def begin(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what the lines of the shell do that follow the first command."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("DAGSTER_HOME", str(project / ".dagster"))
    monkeypatch.setenv("PRACTICUS_FOLDER", str(project))
    monkeypatch.syspath_prepend(str(project / "src"))

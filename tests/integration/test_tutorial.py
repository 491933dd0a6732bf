"""docs/tutorial.md from beginning to end: its files, its changes, its commands, and what they print."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.integration.tutorial import forget, run

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
BY_HAND = ("pip", "export", "cd")  # what a shell keeps, and what the environment of the tests has
STARTS_A_SERVER = ["dg", "dev"]  # which tests/acceptance looks at


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
        named = re.findall(r"`((?:src|tests)/[\w/]+\.py)`", prose)
        file = project / named[-1] if named else file
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
                    assert (code != 0) is after.startswith("The run fails"), (line, output)
                    if "project" in words:
                        begin(project, monkeypatch)
            case "text":
                missing = [line for line in text.splitlines() if stable(line) not in stable(printed)]
                assert missing == [], printed
    versions = {
        name: DeltaTable(project / "lake" / name).version() for name in ("orders", "revenue", "totals")
    }
    assert versions == {"orders": 3, "revenue": 1, "totals": 1}


def steps() -> Iterator[tuple[str, str, str, str]]:
    """Yield the prose before each block, its language, its text, and the prose after it."""
    pieces = re.split(r"^```(\w*)\n(.*?)^```\n", PAGE, flags=re.DOTALL | re.MULTILINE)
    for at in range(0, len(pieces) - 1, 3):
        yield pieces[at], pieces[at + 1], pieces[at + 2], pieces[at + 3].strip()


def begin(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what the lines of the shell do that follow the first command."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("DAGSTER_HOME", str(project / ".dagster"))
    monkeypatch.setenv("PRACTICUS_FOLDER", str(project))
    monkeypatch.syspath_prepend(str(project / "src"))


def change(file: Path, diff: str) -> None:
    """Take the lines of a diff out of a file, and put the others in."""
    lines = diff.splitlines(keepends=True)
    old, new = ("".join(line[1:] for line in lines if line[0] == sign) for sign in "-+")
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def stable(text: str) -> str:
    """Return what is the same in each run: without times, names of runs and widths of columns."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+", "TIME", text)
    text = re.sub(r"\b[0-9a-f]{8}\b", "RUN", re.sub(r"\b[\d.]+ s\b", "SECONDS", text))
    return " ".join(text.strip("… ").split())

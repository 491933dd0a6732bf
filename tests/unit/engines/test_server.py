"""Servers of engines that do not start."""

import subprocess
import tempfile
from pathlib import Path

import pytest

from practicus_assets.engines.spark.server import Server
from practicus_assets.errors import DeclarationError


@pytest.mark.parametrize("lacks", ["Apache Spark", "a process"])
def test_a_server_that_cannot_start_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("SPARK_HOME", str(tmp_path / "none"))
    monkeypatch.setattr(subprocess, "Popen", failing)
    server = Server("spark" if lacks == "Apache Spark" else "sail")
    with pytest.raises((DeclarationError, OSError), match=r"SPARK_HOME|no more processes"), server:
        pass
    assert server._messages.closed
    assert list(tmp_path.iterdir()) == []

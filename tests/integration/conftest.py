from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.integration.bench import Bench


@pytest.fixture(scope="session")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as shared:
        yield shared


@pytest.fixture
def bench(instance: dg.DagsterInstance, tmp_path: Path) -> Bench:
    instance.wipe()
    return Bench(instance, str(tmp_path / "lake"))

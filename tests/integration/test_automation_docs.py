"""Every block of docs/automation.md runs, one after the other, and what it declares can be loaded."""

import re
import runpy
from pathlib import Path
from typing import Any

import dagster as dg

PAGE = Path(__file__).parents[2] / "docs" / "automation.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_what_the_page_declares_loads_and_is_stopped(tmp_path: Path) -> None:
    page = tmp_path / "page.py"  # tables look at the source of their functions
    page.write_text("\n".join(BLOCKS), encoding="utf-8")
    names: dict[str, Any] = runpy.run_path(str(page))
    dg.Definitions.validate_loadable(names["defs"])
    repository = names["defs"].get_repository_def()
    stopped = {schedule.name: schedule.default_status.value for schedule in repository.schedule_defs}
    stopped |= {sensor.name: sensor.default_status.value for sensor in repository.sensor_defs}
    assert stopped == dict.fromkeys(("daily", "conditions", "foreign_commits", "releases"), "STOPPED")

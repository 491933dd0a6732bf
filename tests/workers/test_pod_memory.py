"""Whether the kernel killed a process of a pod for memory, by the counts of its cgroup."""

from pathlib import Path

import pytest

from practicus_assets.workers.launch import pod_memory, variables

V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"
V2 = "low 0\nhigh 0\nmax 31\noom 3\noom_kill 2\noom_group_kill 0\n"


@pytest.mark.parametrize(
    ("text", "kills"), [(V1, 2), (V2, 2), ("oom_kill_disable 0\n", 0)], ids=["v1", "v2", "old"]
)
def test_kills_are_counted_by_the_cgroup_of_a_pod_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, kills: int
) -> None:
    counts = tmp_path / "counts"
    counts.write_text(text)
    monkeypatch.setattr(pod_memory, "_COUNTS", (tmp_path / "not there", counts))
    monkeypatch.setenv(variables.IN_POD, "yes")
    assert pod_memory.kills() == kills
    monkeypatch.setenv(variables.IN_POD, "no")
    assert pod_memory.kills() == 0


@pytest.mark.parametrize("code", [0, 1, -9, 137, -15])
def test_a_task_that_was_not_killed_for_memory_ends_its_step_in_no_way(code: int) -> None:
    pod_memory.end_if_killed(code, pod_memory.kills())

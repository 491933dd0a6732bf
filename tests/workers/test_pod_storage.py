"""A lake that is gone with its pod: mountinfo as containers on real nodes have it."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterResourceFunctionError

from practicus_assets import DeltaIOManager, table_asset
from practicus_assets.errors import DeclarationError
from practicus_assets.workers.launch.pod_storage import in_pod, refuse_lost_with_pod

_POD = "/var/lib/kubelet/pods/8b1f/volumes"
MOUNTS = f"""\
700 600 0:150 / / ro,relatime master:1 - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/c
701 700 0:151 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
702 700 8:1 {_POD}/kubernetes.io~empty-dir/scratch /tmp rw,relatime - ext4 /dev/sda1 rw
703 700 0:160 / /cache rw,relatime - tmpfs tmpfs rw,size=16777216k
704 700 0:161 / /lake rw,relatime - nfs4 10.0.0.9:/export/lake rw,vers=4.2
705 700 8:1 /srv/data /host rw,relatime - ext4 /dev/sda1 rw
706 704 8:1 /pods/8b1f/volumes/kubernetes.io~empty-dir/inner /lake/scratch rw - xfs /dev/sdb1 rw
707 700 8:16 / /my\\040lake rw,relatime - ext4 /dev/sdc rw
708 704 8:32 {_POD}/kubernetes.io~csi/pvc-1/mount /lake/scratch/kept rw - ext4 /dev/sdd rw
"""


@pytest.fixture
def _in_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRACTICUS_IN_POD", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("DAGSTER_RUN_JOB_NAME", "nightly")


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("/var/no-such-lake", "in the container's own file system"),
        ("/no-such-lake", "in the container's own file system"),
        ("/tmp/no-such-lake", "in the emptyDir volume that is mounted at /tmp"),  # noqa: S108 of a pod
        ("/cache/no-such-lake", "in memory, mounted at /cache"),
        ("/lake/scratch/no-such", "in the emptyDir volume that is mounted at /lake/scratch"),
        ("/lakes", "in the container's own file system"),
    ],
)
@pytest.mark.usefixtures("_in_pod")
def test_a_folder_that_is_gone_with_its_pod_is_refused(folder: str, names: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        refuse_lost_with_pod(Path(folder), MOUNTS)
    assert f"the lake's folder {folder} is {names}, which is gone with this pod" in str(caught.value)
    assert "persistentVolumeClaim" in str(caught.value)


@pytest.mark.parametrize("folder", ["/lake", "/lake/sub", "/host/lake", "/my lake/x", "/lake/scratch/kept/x"])
@pytest.mark.usefixtures("_in_pod")
def test_a_folder_of_a_volume_that_outlives_the_pod_is_taken(folder: str) -> None:
    refuse_lost_with_pod(Path(folder), MOUNTS)


def test_a_pod_in_which_somebody_works_is_a_machine_like_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.delenv("DAGSTER_RUN_JOB_NAME", raising=False)
    assert not in_pod()
    refuse_lost_with_pod(Path("/var/lake"), MOUNTS)
    monkeypatch.setenv("DAGSTER_RUN_JOB_NAME", "nightly")  # as a local step's process has it
    monkeypatch.setenv("PRACTICUS_IN_POD", "no")
    assert not in_pod()


@pytest.mark.usefixtures("_in_pod")
def test_neither_a_table_assets_nor_a_plain_assets_function_runs_there(tmp_path: Path) -> None:
    ran = []

    @table_asset
    def orders() -> None:
        ran.append("orders")

    @dg.asset
    def plain() -> int:
        ran.append("plain")
        return 1

    lake = DeltaIOManager(root_uri="/no-such-lake")
    for asset in (orders, plain):
        with pytest.raises(DagsterResourceFunctionError) as caught:
            dg.materialize([asset], resources={"io_manager": lake})
        assert "is gone with this pod" in str(caught.value.__cause__)
    assert ran == []

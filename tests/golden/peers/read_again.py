"""Takes over the lakes of other Delta IO managers, and lets the old managers read them again.

Run by hand, with this package's Python, for it needs the environments of `make.py`:

    python -m tests.golden.peers.read_again dagster_deltalake /tmp/peer/bin/python
    python -m tests.golden.peers.read_again dagster_delta /tmp/other/bin/python
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import dagster as dg

from practicus_assets import DeltaIOManager
from tests.golden.peers import make

HERE = Path(__file__).parent


def main(package: str, python: str) -> None:
    """Replace the first partition of each table, and print whether the old manager reads what is there."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder, "lake")
        shutil.copytree(HERE / package, lake)
        for name, (_, _, keys) in make.TABLES.items():
            dg.materialize(
                [make.asset(name, first_id=11)],
                partition_key=dg.MultiPartitionKey(keys[0]) if isinstance(keys[0], dict) else keys[0],
                resources={"io_manager": DeltaIOManager(root_uri=str(lake))},
            )
        command = [python, make.__file__, "read", package, str(lake)]
        answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    found = json.loads(answer.stdout)
    for name, (_, _, keys) in make.TABLES.items():
        parts = [make.rows_of(name, key, 1 if n else 11).to_pylist() for n, key in enumerate(keys)]
        expected = [row for part in parts for row in part]
        texts = json.loads(json.dumps(sorted(expected, key=repr), default=str))
        print(f"{package} {name}: {'the same' if found[name] == texts else f'DIFFERS: {found[name]}'}")


if __name__ == "__main__":
    main(*sys.argv[1:])

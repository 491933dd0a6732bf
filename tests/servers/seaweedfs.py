"""SeaweedFS: an S3 server that honours conditional puts."""

import json
import secrets
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake.fs import DeltaStorageHandler

from tests.servers.ports import free_ports
from tests.servers.server import Server

_STOP_S = 2
_BUCKET = "lake"


class SeaweedFS(Server):
    """A server with one bucket, in a fresh folder and with credentials of its own; a context manager.

    Args:
        folder: where it keeps its data and its log, `weed.log`; made if need be.
        address: where S3 listens; everything else of the server listens on 127.0.0.1.
        signed: whether requests must be signed; without, a proxy may change them.

    """

    def __init__(self, folder: Path, address: str = "127.0.0.1", *, signed: bool = True) -> None:
        super().__init__(address)
        self.signed = signed
        self.access_key = secrets.token_hex(10)
        self.secret_key = secrets.token_hex(20)
        self.reader = {"accessKey": secrets.token_hex(10), "secretKey": secrets.token_hex(20)}
        self._folder = folder

    @property
    def endpoint(self) -> str:
        """The URL that S3 clients on this machine use."""
        return f"http://{self.host}:{self.port}"

    @property
    def root_uri(self) -> str:
        """The bucket."""
        return f"s3://{_BUCKET}"

    def storage_options(self, endpoint: str | None = None) -> dict[str, str]:
        """Return delta-rs's options for this server, or for another way to it, such as a proxy."""
        return {
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_SKIP_SIGNATURE": str(not self.signed).lower(),
        }

    def reader_options(self) -> dict[str, str]:
        """Return delta-rs's options with a key that may only list and read."""
        keys = self.reader
        return {
            **self.storage_options(),
            "AWS_ACCESS_KEY_ID": keys["accessKey"],
            "AWS_SECRET_ACCESS_KEY": keys["secretKey"],
        }

    def start(self) -> None:
        """Start the server, make its bucket, and return once it takes objects."""
        self._folder.mkdir(parents=True, exist_ok=True)
        names = ["master.port", "volume.port", "filer.port", "s3.port"]
        ports = free_ports(2 * len(names))
        flags = dict(zip([*names, *(f"{name}.grpc" for name in names)], ports, strict=True))
        self.port = flags["s3.port"]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        keys = {"accessKey": self.access_key, "secretKey": self.secret_key}
        identities: list[dict[str, object]] = [
            {"name": "tests", "credentials": [keys], "actions": actions},
            {"name": "reader", "credentials": [self.reader], "actions": ["Read", "List"]},
        ]
        if not self.signed:
            identities.append({"name": "anonymous", "actions": actions})
        config = self._folder / "s3.json"
        config.write_text(json.dumps({"identities": identities}), encoding="utf-8")
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        command = [
            Path(sys.executable).with_name("weed"),
            "server",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=256",
            "-volume.max=100",
            "-filer",
            "-filer.localSocket=filer.sock",  # in its folder, whose path may be longer than a socket's can be
            "-s3",
            f"-s3.ip.bind={self.address}",
            f"-s3.config={config}",
            "-s3.localSocket=s3.sock",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            *(f"-{name}={port}" for name, port in flags.items()),
        ]
        self._run(command, self._folder, self._folder / "weed.log")

    def stop(self) -> None:
        """Ask the server to stop, and kill it if it does not."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _ask(self) -> None:
        """Put an object, which also makes the bucket."""
        options = {**self.storage_options(), "AWS_MAX_RETRIES": "0"}
        bucket = pyarrow.fs.PyFileSystem(DeltaStorageHandler(self.root_uri, options))
        pq.write_table(pa.table({"ready": [True]}), "ready", filesystem=bucket)

"""Provenance: who commits, and from which inputs."""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from practicus_assets.lake.delta.record import RECORD, InputVersion, SourceRead, VersionElsewhere
from practicus_assets.lake.partitions.scope import Scope


@dataclass(frozen=True)
class Provenance:
    """Who commits, and from what; written into the commit, so without secrets.

    Attributes:
        run_id, step: the work; every attempt at it has the same.
        attempt: the attempt's number, from 1.
        asset_key, code_version: the asset's.
        inputs: the tables that the rows are computed from.
        sources: what they are computed from in other systems.
        config_digest: tells which configuration the rows are computed by, so that a later run may use them
            again; empty where none may.
        restores: the version whose rows a rollback brings back; None for new rows.
        base: the version of the base's table that the rows go before; None for a lake without a base.
        promotes: the version of a dev lake's table whose rows these are; None for all others.

    """

    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    step: str = ""
    attempt: int = 1
    asset_key: str = ""
    code_version: str = ""
    inputs: Sequence[InputVersion] = ()
    sources: Sequence[SourceRead] = ()
    config_digest: str = ""
    restores: int | None = None
    base: VersionElsewhere | None = None
    promotes: VersionElsewhere | None = None

    @property
    def input_versions(self) -> dict[str, int]:
        """The version of each table that was read, by its name."""
        return {read.name: read.version for read in self.inputs}

    def app_id(self, scope: Scope) -> str:
        """Return the application id of the Delta transaction, which every attempt at the work has."""
        digest = hashlib.sha256(json.dumps([scope.columns, sorted(scope.keys)]).encode()).hexdigest()[:16]
        return f"{RECORD}/{self.run_id}/{self.step}/{digest}"

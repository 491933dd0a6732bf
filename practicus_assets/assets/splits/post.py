"""The post of splits in pods: their work and their answers, as objects below the place of the attempt.

Where the work lies, and its digest, is in the pod's environment; the digest of the answer is in the pod's
termination message. So a pod unpacks nothing that its step did not write, and the step nothing that its pods
did not: what others put into the lake, and pods of other attempts, are passed over.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from practicus_assets.engines.secrets import Secrets, settings_of
from practicus_assets.engines.splits import Split
from practicus_assets.errors import CommitConflict
from practicus_assets.lake.delta.root import STAGED
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.delta.table_folder import TableFolder
from practicus_assets.lake.transactions.stage.staged import delete_files


class Post:
    """Brings splits their work, and has their answers.

    Args:
        table: the table.
        attempt: the attempt at its transaction.
        work: what all splits are given.
        secrets: the secrets of this process's environment.

    """

    def __init__(self, table: Table, attempt: str, work: bytes, secrets: Secrets) -> None:
        self._table = table
        self._place = f"{STAGED}{attempt}/{uuid.uuid4().hex[:8]}"
        self._digest = hashlib.sha256(work).hexdigest()
        self._options = secrets.named(table.storage_options)
        self._answers: list[str] = []
        table.write(self._work, work)

    @property
    def _work(self) -> str:
        return f"{self._place}/work"

    def work(self, split: Split, name: str) -> str:
        """Return the text by which the pod of a Job finds the work of a split."""
        self._answers.append(self._answer(name))
        return json.dumps(
            {
                "name": self._table.name,
                "uri": self._table.uri,
                "options": self._options,
                "work": self._work,
                "digest": self._digest,
                "answer": self._answer(name),
                "index": split.index,
                "count": split.count,
            }
        )

    def answer(self, name: str, digest: str) -> bytes | None:
        """Return the answer that the pod of a Job left; None if it is not there, or has another digest."""
        content = self._table.read(self._answer(name))
        return content if content is not None and hashlib.sha256(content).hexdigest() == digest else None

    def clear(self) -> None:
        """Delete the work, and the answers that are there."""
        delete_files(self._table, [self._work, *self._answers])

    def _answer(self, name: str) -> str:
        return f"{self._place}/{name}"


@dataclass(frozen=True)
class Address:
    """Where the pod of a split finds its work, and leaves its answer.

    Attributes:
        folder: the table's folder.
        index, count: the split, and how many there are.

    """

    folder: TableFolder
    index: int
    count: int
    _told: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, text: str) -> "Address":
        """Return the address that `Post.work` wrote.

        Raises:
            DeclarationError: if a variable of the step is not set here.

        """
        told = json.loads(text)
        folder = TableFolder(told["name"], told["uri"], settings_of(told["options"]))
        return cls(folder, told["index"], told["count"], told)

    def work(self) -> bytes:
        """Return what the splits are given.

        Raises:
            CommitConflict: if it is not there, or is something else: the attempt is over.

        """
        content = self.folder.read(self._told["work"])
        if content is None or hashlib.sha256(content).hexdigest() != self._told["digest"]:
            raise CommitConflict(
                f"the work of this split is not at {self.folder.uri}/{self._told['work']} any more.",
                "Its attempt is over: nothing is to do.",
            )
        return content

    def leave(self, answer: bytes) -> str:
        """Leave the answer, and return the word by which the step knows it."""
        self.folder.write(self._told["answer"], answer)
        return f"answer_sha256={hashlib.sha256(answer).hexdigest()}"

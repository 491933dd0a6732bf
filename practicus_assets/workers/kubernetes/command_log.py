"""The log of a command's container: passed on as it comes, each byte once, over lost connections too."""

import hashlib
import threading
from collections.abc import Callable

from kubernetes.client.exceptions import ApiException

from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.refusal import UNREACHABLE
from practicus_assets.workers.request.manifest import CONTAINER

_CHUNK = 65_536  # bytes
_PAUSE_S = 1.0
_NOTICED_S = 10.0  # in which the pod's end is seen after that of its log
_LEFT_S = 30.0  # for output that is still to come when the pod has ended
_GAP = b"\n[the connection to the log was lost, and the log has been rotated: output may be missing here]\n"
_CUT = b"\n[the end of the output could not be read: see the pod's log]\n"


class CommandLog:
    """What a command's container writes.

    Args:
        cluster: the cluster of the pod.
        pass_on: takes the output as it comes.

    """

    def __init__(self, cluster: Cluster, pass_on: Callable[[bytes], object]) -> None:
        self._cluster = cluster
        self._pass_on = pass_on
        self._passed = 0  # bytes
        self._digest = hashlib.sha256()  # of these
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._is_given_up = False
        self._thread: threading.Thread | None = None

    def begin(self, pod: str) -> None:
        """Follow the log of a pod whose container has started, unless that has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, args=(pod,), daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Pass on what is left of a container that has ended; an empty chunk says that there is no more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(_LEFT_S)
            with self._lock:
                self._is_given_up = True
                if self._thread.is_alive():
                    self._pass_on(_CUT)
        self._pass_on(b"")

    def _follow(self, pod: str) -> None:
        while not self._is_given_up:
            try:
                self._read(pod)
            except (ApiException, *UNREACHABLE):
                self._over.wait(_PAUSE_S)
                continue
            if self._over.wait(_NOTICED_S):  # else it was closed while the container runs
                return

    def _read(self, pod: str) -> None:
        """Pass on the log from where it was left."""
        answer = self._cluster.follow_log(pod, CONTAINER)
        try:
            known, seen = self._passed, hashlib.sha256()
            for given in answer.stream(_CHUNK):
                chunk = given
                if known:
                    before, chunk = chunk[:known], chunk[known:]
                    seen.update(before)
                    known -= len(before)
                    if not known and seen.digest() != self._digest.digest():
                        self._take(_GAP)
                if chunk:
                    self._take(chunk)
            if known:
                self._take(_GAP)
                self._passed -= known
        finally:
            answer.close()

    def _take(self, chunk: bytes) -> None:
        with self._lock:
            if self._is_given_up:
                return
            self._pass_on(chunk)
            if chunk is not _GAP:
                self._passed += len(chunk)
                self._digest.update(chunk)

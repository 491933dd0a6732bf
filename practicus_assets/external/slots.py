"""Slots of Dagster's pools: how many steps read a system at once, over all runs."""

import time
from collections.abc import Iterable
from typing import Any

from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

_PAUSE_S = 0.2  # between two looks; the instance is asked less often


class Slots:
    """The slots that a step holds while it reads, one of each pool.

    Dagster claims a slot for an op that names a pool, and an op names one at most. A step reads several
    systems, and its asset does not name theirs, so the step claims them when it begins to read. They are
    claimed in one order by all, so no two steps wait for each other.

    Args:
        step: Dagster's context of the step.
        pools: the names of the pools; the one that the step's own op names is Dagster's to claim.

    """

    def __init__(self, step: Any, pools: Iterable[str]) -> None:
        self._instance, self._step = step.instance, step
        self._pools = sorted(set(pools) - {step.step.pool})
        self._claimed: list[str] = []

    def claim(self) -> None:
        """Wait until the step has a slot of each pool; a pool without a limit has enough."""
        if not self._pools:
            return
        try:
            self._wait()
        except BaseException:  # an interrupt
            self.free()
            raise

    def _wait(self) -> None:
        with InstanceConcurrencyContext(self._instance, self._step.dagster_run) as context:
            for pool in self._pools:
                is_told = False
                while not context.claim(pool, self._key(pool)):
                    if not is_told:
                        self._step.log.info(
                            "waiting for a slot of the pool %s, which bounds its readers", pool
                        )
                        is_told = True
                    time.sleep(_PAUSE_S)
                self._claimed.append(pool)

    def free(self) -> None:
        """Let other steps have the slots."""
        while self._claimed:
            key = self._key(self._claimed.pop())
            self._instance.event_log_storage.free_concurrency_slot_for_step(self._step.run_id, key)

    def _key(self, pool: str) -> str:
        """Return the key by which the instance knows the slot; another attempt at the step has the same."""
        return f"{self._step.step.key} reads {pool}"

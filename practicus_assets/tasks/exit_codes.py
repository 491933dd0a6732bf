"""Exit codes: what the end of a task's process means for its step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import dagster as dg

from practicus_assets.errors import DeclarationError, TaskFailed
from practicus_assets.tasks.process import Ended

Meaning = Literal["succeed", "skip", "retry", "fail"]
DEFAULT: Mapping[int, Meaning] = {0: "succeed", 75: "retry", 99: "skip"}  # 75: EX_TEMPFAIL of sysexits.h


@dataclass(frozen=True)
class ExitCodes:
    """What each exit code means; any other is a failure, about which the step's retry policy decides.

    Attributes:
        meanings: by exit code, beside those of `DEFAULT`: "succeed"; "skip", the asset stays as it is and
            what needs it is skipped; "retry", again up to three times where no retry policy says otherwise;
            "fail", without another attempt.

    Raises:
        DeclarationError: for what is no exit code, or has no such meaning.

    """

    meanings: Mapping[int, Meaning] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is no exit code, and unknown meanings."""
        for code, meaning in self.meanings.items():
            if not isinstance(code, int) or code not in range(256) or meaning not in get_args(Meaning):
                raise DeclarationError(
                    f"exit_codes has {code!r}: {meaning!r}.",
                    f"An exit code is from 0 to 255 and means one of {', '.join(get_args(Meaning))}.",
                )

    def judge(self, ended: Ended, policy: dg.RetryPolicy | None) -> bool:
        """Return whether the task succeeded; False if its asset stays as it is.

        Args:
            ended: how the process ended.
            policy: the step's retry policy.

        Raises:
            TaskFailed: about which the retry policy decides.
            dg.RetryRequested: for a failure that will pass.
            dg.Failure: for one that another attempt does not mend.

        """
        meaning = {**DEFAULT, **self.meanings}.get(ended.code)
        if meaning in ("succeed", "skip"):
            return meaning == "succeed"
        failure = TaskFailed(
            f"the task {ended.how} after {ended.seconds:.1f} s.", "Read its output.", ended.tail
        )
        if meaning == "fail":
            raise dg.Failure(str(failure), allow_retries=False) from failure
        if meaning == "retry" and policy is None:
            raise dg.RetryRequested(max_retries=3, seconds_to_wait=10) from failure
        raise failure

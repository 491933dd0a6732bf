"""The process of a pod that runs one split: `python -m practicus_assets.assets.splits.pod`."""

import os
from collections.abc import Callable

from practicus_assets.workers.launch import variables
from practicus_assets.workers.launch.entrypoint import watch


def work(say: Callable[[str], None]) -> None:
    """Run the split that the environment names, and leave its answer where the step looks for it.

    Args:
        say: takes what the step is told at the pod's end.

    """
    # the process that watches this one is there before all of this is loaded
    from practicus_assets.assets.splits.call import stage_parcel  # noqa: PLC0415
    from practicus_assets.assets.splits.post import Address  # noqa: PLC0415
    from practicus_assets.engines.answers import answer, refusal_of  # noqa: PLC0415
    from practicus_assets.engines.secrets import Secrets  # noqa: PLC0415
    from practicus_assets.engines.splits import Split  # noqa: PLC0415
    from practicus_assets.errors import CommitConflict, DeclarationError  # noqa: PLC0415

    try:
        address = Address.of(os.environ[variables.SPLIT])
        given = address.work()
    except (DeclarationError, CommitConflict) as error:  # there is no place for an answer
        say(refusal_of(error))
        return
    split = Split(address.index, address.count)
    say(address.leave(answer(stage_parcel, given, split, Secrets())))


if __name__ == "__main__":
    watch(work)

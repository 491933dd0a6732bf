"""What the stand-in does not have."""


class AbsentError(AttributeError):
    """The SDK has it, and its stand-in does not."""


def refusal(name: str) -> AttributeError:
    """Return the error for what is asked for and absent; a name of Python's own is just no attribute."""
    if name.rpartition(".")[2].startswith("__"):
        return AttributeError(name)
    return AbsentError(
        f"{name} is not here: in tasks of practicus_assets, practicuscore is a stand-in, which has logger, "
        "notebooks, notify, vault, exceptions, running_on_a_worker and run_task. Install the SDK of "
        "Practicus AI in the worker's image, or write it another way (docs/tasks.md)."
    )

"""What tasks may import where the real package is absent: the folder is on their path then."""

import importlib.util
from pathlib import Path

FOLDER = Path(__file__).parent


def is_needed() -> bool:
    """Return whether there is no `practicuscore` here."""
    return importlib.util.find_spec("practicuscore") is None

"""Names: the keys of metadata by which sources are shown, and of what Dagster has of them beside."""

import hashlib
import re

import dagster as dg

ADDRESS = "source/address"
RELATION = "source/relation"
POOL = "source/pool"

# of an input that was loaded
PARTITIONS = "source/partitions"
STATE = "source/state"
CONSISTENCY = "source/consistency"

# of an observation
PREVIOUS_VERSION = "source/previous_version"


def identifier(key: dg.AssetKey) -> str:
    """Return a name for Python that no other asset key has: `shop__orders`."""
    text = "__".join(key.path)
    plain = re.sub(r"\W", "_", text, flags=re.ASCII)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return plain if plain == text else f"{plain}_{digest}"

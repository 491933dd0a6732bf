"""Names: the keys of metadata by which sources are shown."""

ADDRESS = "source/address"
RELATION = "source/relation"
POOL = "source/pool"

# of an input that was loaded
PARTITIONS = "source/partitions"
STATE = "source/state"
CONSISTENCY = "source/consistency"

# of an observation
PREVIOUS_VERSION = "source/previous_version"

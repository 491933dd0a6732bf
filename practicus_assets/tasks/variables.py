"""Environment variables by which a task learns what it is run for."""

from practicus_assets.workers.launch.variables import TIME_LIMIT

ASSET_KEY = "PRACTICUS_ASSET_KEY"  # the asset's key, its parts joined by "/"; of several, one a line
RUN_ID = "PRACTICUS_RUN_ID"
ATTEMPT = "PRACTICUS_ATTEMPT"  # 1 for the first
PARTITION_KEY = "PRACTICUS_PARTITION_KEY"  # of a run of one partition
PARTITION_KEYS_FILE = "PRACTICUS_PARTITION_KEYS_FILE"  # a JSON list; an environment variable holds 128 KiB
PARTITION_KEYS = "PRACTICUS_PARTITION_KEYS"  # the list itself, of a command in an image of its own
WINDOW_START = "PRACTICUS_WINDOW_START"  # ISO 8601, of the first partition's time window
WINDOW_END = "PRACTICUS_WINDOW_END"  # ISO 8601, of the last partition's, excluded
EXECUTION_DATE = "EXECUTION_DATE"  # the window's first day, else the day on which the run was made, UTC
PARAMETERS_FILE = "PRACTICUS_PARAMETERS_FILE"  # the task's parameters, a JSON object
PARAMETERS = "PRACTICUS_PARAMETERS"  # the object itself, of a command in an image of its own
TABLES = "PRACTICUS_TASK_TABLES"  # the folder that takes the rows of tables
WORKSPACE = "PRACTICUS_TASK_WORKSPACE"  # of a step: its task runs once, in this folder

TOLD = frozenset(
    {
        ASSET_KEY,
        RUN_ID,
        ATTEMPT,
        PARTITION_KEY,
        PARTITION_KEYS_FILE,
        PARTITION_KEYS,
        WINDOW_START,
        WINDOW_END,
        EXECUTION_DATE,
        PARAMETERS_FILE,
        PARAMETERS,
        TABLES,
        WORKSPACE,
        TIME_LIMIT,
    }
)
"""All of these, of which no task may be given another's."""

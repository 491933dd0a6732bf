"""Names: the keys of metadata and tags by which tables are declared to Dagster, and reported.

`delta/…` says something about a Delta table, `worker/…` about where a step ran, `dagster/…` is what Dagster's
own pages read, `practicus/…` is for tags of runs and steps. docs/tables.md has the whole list.
"""

# of a definition: how a table is stored
PARTITION_EXPR = "partition_expr"  # Dagster's own, without a prefix
PARTITION_BY = "delta/partition_by"
MODE = "delta/mode"
MERGE_KEYS = "delta/merge_keys"
MERGE_KIND = "delta/merge_kind"
DELETE_UNMATCHED = "delta/delete_unmatched"
HISTORY_KEYS = "delta/history_keys"
SEQUENCE_BY = "delta/sequence_by"
APPLY_AS_DELETES = "delta/apply_as_deletes"
ON_SCHEMA_CHANGE = "delta/on_schema_change"
TABLE_PROPERTIES = "delta/table_properties"
COMMIT_METADATA = "delta/commit_metadata"
PATH = "delta/path"
PROTECTED = "delta/protected"
STATISTICS = "delta/statistics"  # and of a materialization, followed by column and number

# of an input: what is read, beside its version
COLUMNS = "delta/columns"
PREDICATE = "delta/predicate"

# of a materialization: what was committed
SUMMARY = "delta/summary"
VERSION = "delta/version"
TABLE_ID = "delta/table_id"  # of what another writer committed
OUTCOME = "delta/outcome"
REUSED = "reused"  # the outcome of a run that computed nothing, for the rows are those that were there
REUSED_VERSION = "delta/reused_version"  # that the rows are from
REUSED_RUN = "delta/reused_run"  # that made it
UNCHANGED = "unchanged"  # the outcome of a run that computed the rows that were there
CONTRACT_DIGEST = "delta/contract_digest"  # of such a run, which left nothing in the log
FILLED = "delta/filled_columns"
SPLITS = "delta/splits"
REJECTED_ROWS = "delta/rejected_rows"
REJECTED = "delta/rejected"  # and of a failed check: the asset of the rejected rows
ROWS = "delta/rows"
ROWS_BEFORE = "delta/rows_before"
ROWS_ADDED = "delta/rows_added"
ROWS_REMOVED = "delta/rows_removed"
ROWS_CHANGED = "delta/rows_changed"
VERSIONS = "delta/versions_"  # of a history, followed by what became of them: opened, closed, …
FILES = "delta/files"
SIZE_MB = "delta/size_mb"
DURATION_S = "delta/duration_s"
READ_INPUTS_S = "delta/read_inputs_s"
FUNCTION_S = "delta/function_s"
AUDIT_S = "delta/audit_s"
WRITE_S = "delta/write_s"
COMMIT_S = "delta/commit_s"
INPUTS = "delta/inputs/"  # followed by an asset that was read
INPUT_VERSIONS = "delta/input_versions"
SOURCES = "delta/sources"
PREVIEW = "delta/preview"
FINGERPRINT = "delta/fingerprint"
RESTORES = "delta/restores"

# of a materialization of one partition among several: what was committed with it
RUN_PARTITIONS = "delta/run_partitions"
RUN_ROWS = "delta/run_rows"
RUN_FILES = "delta/run_files"
RUN_SIZE_MB = "delta/run_size_mb"
RUN_DURATION_S = "delta/run_duration_s"

# of a materialization: what the step's worker asked for, and used
USED = "worker/used"
PEAK_MEMORY_MIB = "worker/peak_memory_mib"
MEMORY_LIMIT_MIB = "worker/memory_limit_mib"
MEMORY_USED_PERCENT = "worker/memory_used_percent"
TIME_S = "worker/time_s"
CPU_USED_CORE_S = "worker/cpu_used_core_s"
CPU_ASKED_CORE_S = "worker/cpu_asked_core_s"
MEMORY_ASKED_GIB_S = "worker/memory_asked_gib_s"

# Dagster's own
COLUMN_SCHEMA = "dagster/column_schema"
COLUMN_LINEAGE = "dagster/column_lineage"
CODE_REFERENCES = "dagster/code_references"
ROW_COUNT = "dagster/row_count"
SIZE_BYTES = "dagster/size_bytes"
PARTITION_ROW_COUNT = "dagster/partition_row_count"
TABLE_NAME = "dagster/table_name"
STORAGE_KIND = "dagster/storage_kind"
IO_MANAGER_KEY = "dagster/io_manager_key"  # of a definition
TABLE_URI = "dagster/uri"
DATA_VERSION_TAG = "dagster/data_version"
CODE_VERSION_TAG = "dagster/code_version"
BACKFILL_TAG = "dagster/backfill"
DIMENSION_TAG = "dagster/partition/"  # followed by the dimension's name

# of a run
REPLACE_TAG = "practicus/replace"  # the names of protected tables that it may replace
REUSE_TAG = "practicus/reuse"  # "no" where tables are to be computed in any case

"""Other fields: what replaces the configuration fields of other Delta IO managers."""

ADVICE = {
    "base_dir": "It is called root_uri here.",
    "client_options": "Put them into storage_options, by delta-rs's names.",
    "cloud_storage_options": "It is called storage_options here.",
    "commit_properties": "Write commit_metadata for its custom_metadata; a transaction has no others.",
    "custom_metadata": "It is called commit_metadata here.",
    "merge_config": 'Each asset has its keys: metadata={"delta/mode": "merge", "delta/merge_keys": ["id"]}.',
    "overwrite_schema": 'Write on_schema_change="replace" for true, and on_schema_change="refuse" for false.',
    "parquet_read_options": "Leave it out: a table is read as its log describes it.",
    "schema": 'Write table_path="my_schema/{name}".',
    "schema_mode": 'It is called on_schema_change here: "add" for merge, "replace" for overwrite.',
    "table_config": 'Each asset has its own: metadata={"delta/table_properties": {…}}.',
    "version": 'An input says it: dg.AssetIn(metadata={"delta/version": 3}).',
    "writer_engine": "Leave it out: there is one.",
    "writer_properties": "Leave it out: files are written with Zstandard, in row groups of 131,072 rows.",
}

STORAGE_OPTIONS = (
    "{name} is a configuration of another IO manager, {kind}.",
    'Write the options by delta-rs\'s names: {{"AWS_REGION": "eu-west-1"}}, and none for a folder.',
)

"""The relation that a connection file names, in its system."""

import re
from pathlib import Path
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.sources.connection_file import ConnectionFile
from practicus_assets.sources.files.store import Files
from practicus_assets.sources.mysql.system import MySQL
from practicus_assets.sources.postgresql.system import PostgreSQL
from practicus_assets.sources.relation import Relation
from practicus_assets.sources.selection import Selection
from practicus_assets.sources.union import Union

_STORAGE_OPTIONS = {
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
    "aws_region": "AWS_REGION",
    "endpoint_url": "AWS_ENDPOINT_URL",
}
_DATABASE = {
    "db_host": "host",
    "db_port": "port",
    "db_name": "database",
    "user": "user",
    "password": "password",
}
_WILDCARD = re.compile(r"[*?\[]")


def relation_of(connection: ConnectionFile) -> Relation[Any]:
    """Return what a connection file is about, with its login in the system and nowhere else.

    Raises:
        DeclarationError: if it names a folder, or files of a format that nobody knows.

    """
    relation: Relation[Any]
    if connection.connection_type == "S3":
        relation = _in_a_bucket(connection)
    elif connection.connection_type == "POSTGRESQL":
        relation = _in_postgresql(connection)
    elif connection.connection_type == "MYSQL":
        relation = _in_mysql(connection)
    else:
        path = Path(connection.fields["file_path"])
        path = path if path.is_absolute() else connection.path.parent.absolute() / path
        relation = Files(str(path.parent)).files(_literal(path.name))
    return Selection(relation, connection.columns) if connection.columns else relation


def _in_postgresql(connection: ConnectionFile) -> Relation[Any]:
    system = PostgreSQL(**_login(connection))
    if connection.whole_table is not None:
        return system.table(connection.whole_table.lower())  # SQL folds names without quotes
    return system.query(connection.fields["sql_query"], name=connection.table_name)


def _in_mysql(connection: ConnectionFile) -> Relation[Any]:
    system = MySQL(**_login(connection))
    if connection.whole_table is not None:
        return system.table(connection.whole_table)
    return system.query(connection.fields["sql_query"], name=connection.table_name)


def _login(connection: ConnectionFile) -> dict[str, Any]:
    """Return what both databases take; a port that is not given is their own."""
    return {_DATABASE[name]: value for name, value in connection.fields.items() if name in _DATABASE}


def _in_a_bucket(connection: ConnectionFile) -> Relation[Any]:
    fields = connection.fields
    keys = [key.lstrip("/") for key in dict.fromkeys(fields["s3_keys"])]
    folders = [key for key in keys if not key or key.endswith("/")]
    if folders:
        raise DeclarationError(
            f"{connection.path} names the folder {folders[0]!r}, and not which files of it are read.",
            'Declare the source by a pattern: Files("s3://…", storage_options={…}).files("orders/*.csv").',
        )
    options = {name: fields[key] for key, name in _STORAGE_OPTIONS.items() if key in fields}
    if str(fields.get("endpoint_url", "")).startswith("http://"):
        options["AWS_ALLOW_HTTP"] = "true"
    bucket = Files(f"s3://{fields['s3_bucket']}", storage_options=options)
    objects = tuple(bucket.files(_literal(key)) for key in keys)
    return Union(objects) if len(objects) > 1 else objects[0]


def _literal(path: str) -> str:
    """Return the pattern that only this path matches."""
    return _WILDCARD.sub(r"[\g<0>]", path.replace("{", "{{").replace("}", "}}"))

"""Credentials in a folder's files: where they are, and never what they are."""

import base64
import json
from pathlib import Path

import pytest

from practicus_assets.workflows.practicus.absent_files import absent_files
from practicus_assets.workflows.practicus.credentials import credentials_in

HIDDEN = base64.b64encode(
    json.dumps({"env_variables": {"DB_PASSWORD": "hunter2", "DAYS": 3}}).encode()
).decode()
SCRIPT = """import os
PASSWORD = 'hunter2'
os.environ['X_TOKEN'] = 'hunter2'
f(token='hunter2')
d = {'secret': 'hunter2', **d}
def g(a, password='hunter2', *, api_key='hunter2'): ...
connect('postgres://u:hunter2@db/shop')
x.secret: str = 'hunter2'
"""
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "source": ["token = 'x'"]},
        {"cell_type": "code", "source": ["%pip install x\n", "API_TOKEN = 'hunter2'"]},
        {"cell_type": "code", "source": "not python ("},
    ]
}


@pytest.mark.parametrize(
    ("name", "text", "fields"),
    [
        (
            "default_worker.json",
            json.dumps({"refresh_token": "hunter2", "image_config": {"repo_password": "hunter2"}}),
            ["refresh_token", "image_config.repo_password"],
        ),
        (
            "a_worker.json",
            json.dumps({"additional_params": HIDDEN}),
            ["additional_params.env_variables.DB_PASSWORD"],
        ),
        ("b_conn.json", json.dumps([{"user": "u", "password": "hunter2"}]), ["[0].password"]),
        ("e.json", json.dumps({"refresh_token": "None", "password": "", "personal_secrets": ["X"]}), []),
        ("odd.json", "{", []),
        ("p.json", json.dumps({"additional_params": "no base64"}), []),
        (
            "a.py",
            SCRIPT,
            [
                "PASSWORD (line 2)",
                "X_TOKEN (line 3)",
                "token (line 4)",
                "secret (line 5)",
                "password (line 6)",
                "api_key (line 6)",
                "a URL (line 7)",
                "secret (line 8)",
            ],
        ),
        ("fine.py", "TOKEN = os.environ['TOKEN']\npassword = ''\nsecret = '{{ var.value.x }}'\nn = 3", []),
        ("n.ipynb", json.dumps(NOTEBOOK), ["cell 2, API_TOKEN (line 2)"]),
        ("t.sh", "export API_TOKEN='hunter2'\nDB_PASSWORD=$PW\nMODE=x\n", ["API_TOKEN (line 1)"]),
        (".env", "DB_PASSWORD=hunter2", ["DB_PASSWORD (line 1)"]),
        (".git/config.json", json.dumps({"password": "hunter2"}), []),
        ("notes.txt", "password = hunter2", []),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value and len(value) < 20 else "",
)
def test_a_credential_is_named_by_file_and_field(
    tmp_path: Path, name: str, text: str, fields: list[str]
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    found = credentials_in(tmp_path)
    assert sorted(found.get(name, [])) == sorted(fields)
    assert "hunter2" not in repr(found)


def test_files_that_tasks_run_and_worker_files_of_no_task_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "prt.notebooks.execute_notebook('there')\nprt.notebooks.execute_notebook('gone')\n"
        "prt.run_task(file_name='gone.py')\nprt.run_task(file_name=name)\nprint('x.ipynb')"
    )
    (tmp_path / "b.py").write_text("(")
    for name in ("there.ipynb", "default_worker.json", "a_worker.json", "aa_worker.json"):
        (tmp_path / name).write_text("{}")
    assert [*absent_files(tmp_path, ["a", "b", "c"])] == [
        "aa_worker.json is of no task, and says nothing to any. Did you mean a?",
        "a.py runs gone.ipynb (line 2), which is not there.",
        "a.py runs gone.py (line 3), which is not there.",
        "b.py cannot be read: SyntaxError.",
    ]

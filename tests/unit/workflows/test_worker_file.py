"""Worker files of Practicus, as workers."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from practicus_assets import Worker
from practicus_assets.errors import DeclarationError
from practicus_assets.workflows.practicus.worker_file import Site, worker_of

SITE = Site({"practicus": "registry/ours:7"}, {"https://eu.example.com": "eu"})


def written(tmp_path: Path, *contents: dict[str, Any] | str) -> list[Path]:
    files = []
    for number, content in enumerate(contents):
        files.append(tmp_path / f"{number}_worker.json")
        files[-1].write_text(content if isinstance(content, str) else json.dumps(content))
    return files


def hidden(params: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(params).encode()).decode()


def test_a_generated_file_is_a_worker_and_its_login_reaches_nothing(tmp_path: Path) -> None:
    content = {
        "worker_image": "practicus",
        "worker_size": "small",
        "service_url": "",
        "email": "",
        "refresh_token": "eyJhbGciOi",
    }
    worker, unread = worker_of(written(tmp_path, content), SITE)
    assert worker == Worker(image="registry/ours:7", size="small")
    assert unread == ["0_worker.json holds refresh_token, which nothing here reads: remove it"]
    assert "eyJ" not in repr((worker, unread))


def test_what_hides_in_additional_params_is_read_as_if_it_stood_outside(tmp_path: Path) -> None:
    inside = {"env_variables": {"MY_FIRST_PARAM": "VALUE1", "MY_SECOND_PARAM": 123}}
    worker, _ = worker_of(written(tmp_path, {"additional_params": hidden(inside)}), SITE)
    assert worker == Worker(env={"MY_FIRST_PARAM": "VALUE1", "MY_SECOND_PARAM": "123"})


def test_a_tasks_file_lies_over_the_default_and_what_it_leaves_empty_does_not(tmp_path: Path) -> None:
    default = {"worker_size": "Small", "worker_image": "practicus"}
    own = {"worker_size": "Large", "worker_image": "None", "additional_params": "e30="}
    worker, _ = worker_of([*written(tmp_path, default, own), tmp_path / "missing.json"], SITE)
    assert worker == Worker(size="Large", image="registry/ours:7")


def test_a_service_is_a_region(tmp_path: Path) -> None:
    worker, _ = worker_of(written(tmp_path, {"service_url": "https://eu.example.com"}), SITE)
    assert worker == Worker(region="eu")
    with pytest.raises(
        DeclarationError, match=r"the service https://us.*, which is no region here.*known are"
    ):
        worker_of(written(tmp_path, {"service_url": "https://us.example.com"}), SITE)


def test_secrets_and_pod_fields_have_counterparts(tmp_path: Path) -> None:
    content = {
        "personal_secrets": ["MY_DB"],
        "image_config": {"repo_secret_name": "pull", "pull_policy": "Always"},
        "worker_image": "ghcr.io/acme/jobs:3",
    }
    worker, unread = worker_of(written(tmp_path, content), SITE)
    assert worker is not None
    assert (worker.secrets, worker.image_pull_secrets) == (["my-db"], ["pull"])
    assert (worker.image, unread) == ("ghcr.io/acme/jobs:3", [])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"distributed_config": {"job_type": "spark"}}, "distributed_config has no counterpart"),
        ({"wroker_size": "Small"}, "wroker_size is not known"),
        ({"worker_image": "practicus-gpu"}, "the image 'practicus-gpu' is none of images"),
        ({"startup_script": "sudo apt-get install x"}, "startup_script installs packages"),
        ({"env_variables": {"DB_PASSWORD": "hunter2!"}}, "the variable DB_PASSWORD is a secret"),
        ({"shared_secrets": ["Y:OTHER"]}, "the secret Y is to be the variable OTHER"),
        ({"image_config": {"builder": "x"}}, "image_config.builder has no counterpart"),
    ],
    ids=["spark", "misspelt", "image", "root", "secret", "renamed", "builder"],
)
def test_what_has_no_counterpart_is_said(tmp_path: Path, content: dict[str, Any], said: str) -> None:
    worker, unread = worker_of(written(tmp_path, content), SITE)
    assert any(said in sentence for sentence in unread), unread
    assert "hunter2!" not in repr((worker, unread))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is no JSON: JSONDecodeError"),
        ("[]", "is no JSON object"),
        ({"additional_params": "e"}, "additional_params of 0_worker.json is not JSON in base64"),
        ({"env_variables": "x"}, "env_variables of 0_worker.json is no mapping"),
    ],
    ids=["json", "list", "base64", "variables"],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: Any, problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        worker_of(written(tmp_path, content), SITE)


def test_a_folder_without_worker_files_asks_for_nothing(tmp_path: Path) -> None:
    assert worker_of([tmp_path / "default_worker.json"], SITE) == (None, [])

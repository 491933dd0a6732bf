"""Worker files: what `default_worker.json` and `<task>_worker.json` ask for, as a `Worker`."""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.redaction import is_secret
from practicus_assets.workers.request.fields import CHECKS
from practicus_assets.workers.request.worker import Worker

READ_BY_NOTHING = "which nothing here reads: remove it"  # how a sentence on logins ends
_LOGINS = {"email", "refresh_token", "password", "repo_password", "repo_username"}  # go nowhere
_NO_COUNTERPART = {
    "service_type",
    "network_protocol",
    "distributed_config",
    "git_configs",
    "interactive",
    "bypass_ssl_verification",
    "log_level",
    "modules_log_level",
}
_OWN = set(CHECKS) - {"startup_script"}  # fields of Worker, which Practicus has not
_OF_IMAGE = {"pull_policy", "repo_secret_name"}
_NOTHING: tuple[Any, ...] = (None, "", "None", {}, [])
_LARGEST = 4 * 2**20  # bytes
_ROOT = re.compile(r"\b(sudo|apt-get|apt|yum|dnf)\b")
_NOT_IN_SECRETS = re.compile(r"[^a-z0-9.-]+")


@dataclass(frozen=True)
class Site:
    """What the worker files of a site leave to its configuration.

    Attributes:
        images: the image of each name that worker files use, e.g. `{"practicus": "registry/ours:7"}`.
        regions: the region of each `service_url`; None where all workers are processes of one machine.

    """

    images: Mapping[str, str] = field(default_factory=dict)
    regions: Mapping[str, str] | None = field(default_factory=dict)


def worker_files_of(folder: Path, task: str) -> list[Path]:
    """Return the worker files of a task, the weakest first; they need not be there."""
    return [folder / "default_worker.json", folder / f"{task}_worker.json"]


def worker_of(files: Sequence[Path], site: Site) -> tuple[Worker | None, list[str]]:
    """Return the worker that files ask for, and what of them has no counterpart, as sentences.

    Logins in the files, such as `refresh_token`, are read by nothing.

    Args:
        files: worker files, the weakest first; those that are missing say nothing.
        site: the configuration of the site.

    Raises:
        DeclarationError: if a file is no worker file, or asks for what nobody can give.

    """
    fields: dict[str, Any] = {}
    unread: list[str] = []
    for file in files:
        if file.is_file():
            fields |= _fields(file, unread)
    if not fields:
        return None, unread
    source = next(file.name for file in reversed(files) if file.is_file())
    return _worker(fields, site, source, unread), unread


def _fields(file: Path, unread: list[str]) -> dict[str, Any]:
    """Return the fields that a file gives, those among its `additional_params` as if they stood outside."""
    try:
        if file.stat().st_size > _LARGEST:
            raise DeclarationError(
                f"the worker file {file.name} has more than {_LARGEST // 2**20} MiB.", "Write it anew."
            )
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DeclarationError(
            f"the worker file {file.name} is no JSON: {type(error).__name__}.", "Repair the file."
        ) from None
    if not isinstance(content, dict):
        raise DeclarationError(f"the worker file {file.name} is no JSON object.", "Repair the file.")
    inside = content.pop("additional_params", None)
    if inside not in _NOTHING:
        try:
            further = json.loads(base64.b64decode(str(inside), validate=True))
        except (binascii.Error, ValueError, RecursionError):
            raise DeclarationError(
                f"additional_params of {file.name} is not JSON in base64.", "Write the file anew."
            ) from None
        if not isinstance(further, dict):
            raise DeclarationError(
                f"additional_params of {file.name} is no JSON object.", "Write the file anew."
            )
        content |= further
    logins = sorted(name for name in content if name in _LOGINS and content[name] not in _NOTHING)
    if logins:
        unread.append(f"{file.name} holds {', '.join(logins)}, {READ_BY_NOTHING}")
    return {name: value for name, value in content.items() if value not in _NOTHING and name not in _LOGINS}


def _worker(fields: Mapping[str, Any], site: Site, source: str, unread: list[str]) -> Worker:
    given = {name: value for name, value in fields.items() if name in _OWN}  # of a file that was written here
    secrets: list[str] = [*given.pop("secrets", [])]
    others = {name: value for name, value in fields.items() if name not in _OWN}
    for name, value in others.items():
        match name:
            case "worker_size":
                given["size"] = str(value)
            case "worker_image":
                given |= _named_image(str(value), site, source, unread)
            case "service_url":
                given |= _region(str(value), site, source)
            case "env_variables":
                given["env"] = _environment(value, source, unread)
            case "personal_secrets" | "shared_secrets":
                secrets += _secrets(value, source, unread)
            case "startup_script":
                given["startup_script"] = _script(str(value), source, unread)
            case "image_config":
                given |= _image(value, source, unread)
            case _:
                known = name in _NO_COUNTERPART
                unread.append(f"{source}: {name} {'has no counterpart' if known else 'is not known'}")
    if secrets:
        given["secrets"] = secrets
    return Worker.from_config(given, source)


def _named_image(name: str, site: Site, source: str, unread: list[str]) -> dict[str, Any]:
    image = site.images.get(name, name if "/" in name else None)
    if image is None:
        unread.append(f"{source}: the image {name!r} is none of images, and the default one is taken")
        return {}
    return {"image": image}


def _script(text: str, source: str, unread: list[str]) -> str:
    if _ROOT.search(text):
        unread.append(
            f"{source}: startup_script installs packages, and workers are non-root on a read-only root: put "
            "them into the image"
        )
    return text


def _region(url: str, site: Site, source: str) -> dict[str, str]:
    if site.regions is None:
        return {}
    if url not in site.regions:
        raise DeclarationError(
            f"{source} is for the service {url}, which is no region here.",
            f"Give regions={{{url!r}: …}}; known are {', '.join(site.regions) or 'none'}.",
        )
    return {"region": site.regions[url]}


def _environment(value: Any, source: str, unread: list[str]) -> dict[str, str]:
    if not isinstance(value, dict):
        raise DeclarationError(f"env_variables of {source} is no mapping.", "Repair the file.")
    found = {}
    for name, text in value.items():
        if is_secret(str(name), str(text)):
            unread.append(f"{source}: the variable {name} is a secret, and is left out: give it as a Secret")
        else:
            found[str(name)] = text if isinstance(text, str) else json.dumps(text)
    return found


def _secrets(value: Any, source: str, unread: list[str]) -> list[str]:
    """Return the names of Kubernetes Secrets; each of their keys becomes a variable."""
    names = []
    for entry in value if isinstance(value, list) else [value]:
        name, _, variable = str(entry).partition(":")
        names.append(_NOT_IN_SECRETS.sub("-", name.lower()).strip("-."))
        if variable:
            unread.append(f"{source}: the secret {name} is to be the variable {variable}: name its key so")
    return names


def _image(value: Any, source: str, unread: list[str]) -> dict[str, Any]:
    config = value if isinstance(value, dict) else {}
    unread.extend(
        f"{source}: image_config.{name} has no counterpart"
        for name in sorted(set(config) - _OF_IMAGE - _LOGINS)
    )
    given: dict[str, Any] = {}
    if config.get("repo_secret_name") not in _NOTHING:
        given["image_pull_secrets"] = [str(config["repo_secret_name"])]
    if config.get("pull_policy") not in _NOTHING:
        container = {"name": "dagster", "imagePullPolicy": str(config["pull_policy"])}
        given["pod_spec"] = {"containers": [container]}
    return given

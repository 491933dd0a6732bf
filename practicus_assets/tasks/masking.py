"""Masking: which texts a task's output must not show, and notebooks without them."""

import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote, unquote

from practicus_assets.redaction import SHORTEST_SECRET, is_secret, passwords_in

MASK = "***"
_UNLIKELY = {"", "0", "1", "true", "false", "none"}
_BINARY = ("image/", "audio/", "video/", "application/pdf", "application/octet-stream")
_TEXT = {"image/svg+xml"}


def secrets_of(environment: Mapping[str, str]) -> set[str]:
    """Return the secrets that variables hold beyond doubt, by their names or in URLs, in all their forms."""
    found = set()
    for name, value in environment.items():
        if is_secret(name, value):
            found |= {value, *passwords_in(value)}
    found |= {form for value in found for form in (quote(value, safe=""), unquote(value))}
    return {value for value in found if len(value) >= SHORTEST_SECRET and value.lower() not in _UNLIKELY}


def masked_notebook(text: str, secrets: Collection[str]) -> str:
    """Return a notebook whose cells, outputs and parameters show no secret; pictures stay as they are.

    Args:
        text: the notebook, as its file holds it.
        secrets: the texts that it must not show.

    """
    if not secrets:
        return text
    notebook = json.loads(text)
    for cell in notebook.get("cells", ()):
        if "outputs" in cell:
            cell["outputs"] = _joined(cell["outputs"])
    return json.dumps(_masked(notebook, sorted(secrets, key=len, reverse=True)), indent=1, ensure_ascii=False)


def _masked(value: Any, secrets: Collection[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
        return value
    if isinstance(value, list):
        if value and all(isinstance(line, str) for line in value):  # a text, as lines that keep their ends
            return _masked("".join(value), secrets).splitlines(keepends=True)
        return [_masked(each, secrets) for each in value]
    if isinstance(value, dict):
        return {
            _masked(name, secrets): each if _is_binary(name) else _masked(each, secrets)
            for name, each in value.items()
        }
    return value


def _is_binary(name: str) -> bool:
    return name.startswith(_BINARY) and name not in _TEXT


def _joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return outputs in which a stream's pieces are one, for a secret may be cut between two of them."""
    joined: list[dict[str, Any]] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output.get("output_type") == "stream" and last.get("name") == output.get("name"):
            joined[-1] = {**last, "text": [*_lines(last["text"]), *_lines(output["text"])]}
        else:
            joined.append(output)
    return joined


def _lines(text: str | list[str]) -> list[str]:
    return [text] if isinstance(text, str) else text

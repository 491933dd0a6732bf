"""Notebooks without the secrets of their worker."""

import json
from typing import Any

from practicus_assets.tasks.masking import masked_notebook, secrets_of


def masked(outputs: list[dict[str, Any]], *secrets: str) -> Any:
    text = masked_notebook(json.dumps({"cells": [{"source": ["x"], "outputs": outputs}]}), secrets)
    return json.loads(text)["cells"][0]["outputs"]


def test_a_secret_that_lines_and_pieces_of_a_stream_cut_is_masked() -> None:
    pieces = [
        {"output_type": "stream", "name": "stdout", "text": ["a\n", "ses"]},
        {"output_type": "stream", "name": "stdout", "text": "ame\nb"},
    ]
    [output] = masked(pieces, "a\nsesame")
    assert output == {"output_type": "stream", "name": "stdout", "text": ["***\n", "b"]}


def test_pictures_stay_as_they_are_and_drawings_do_not() -> None:
    data = {"image/png": "abcd", "image/svg+xml": ["<text>abcd</text>"], "application/json": {"k": "abcd"}}
    [output] = masked([{"output_type": "display_data", "data": data}], "abcd")
    assert output["data"] == {
        "image/png": "abcd",
        "image/svg+xml": ["<text>***</text>"],
        "application/json": {"k": "***"},
    }


def test_a_notebook_without_secrets_is_not_touched() -> None:
    assert masked_notebook("{not json", ()) == "{not json"


def test_short_and_likely_values_are_no_secrets() -> None:
    assert secrets_of({"A_TOKEN": "abc", "USE_TOKEN": "true", "B_TOKEN": "a b c"}) == {"a b c", "a%20b%20c"}

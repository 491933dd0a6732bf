"""Commands whose image has neither Python nor this package: what is refused, and how their output is read."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pytest

from practicus_assets import Worker, task_asset
from practicus_assets.errors import DeclarationError
from practicus_assets.tasks.in_pod import PodOutput
from practicus_assets.tasks.process import OutputStream
from practicus_assets.tasks.told import refuse_long
from tests.integration.bench import Bench

ANY = Worker(image="report:3")


@pytest.mark.parametrize(
    ("program", "options", "said"),
    [
        (["report"], {}, "and no image"),
        (["report"], {"worker": Worker(memory="1Gi")}, "and no image"),
        (["report"], {"worker": ANY, "table": {"mode": "append"}}, "bare_image and table"),
        (["report"], {"worker": ANY, "artifacts": ["*.html"]}, "bare_image and artifacts"),
        (["report"], {"worker": ANY, "parameters": {"TOKEN": dg.EnvVar("TOKEN")}}, "'TOKEN' is dg.EnvVar"),
        ("../cluster/task_steps/broken.sh", {"worker": ANY}, "the file broken.sh"),
    ],
    ids=["no worker", "no image", "a table", "artifacts", "a secret", "a file"],
)
def test_what_a_command_in_a_bare_image_cannot_have_is_refused_where_it_is_declared(
    program: Any, options: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(DeclarationError, match=said):
        task_asset(program, bare_image=True, **options)


def test_a_command_in_a_bare_image_runs_on_a_laptop_as_any_command(bench: Bench) -> None:
    bench.run([task_asset(["sh", "-c", "exit 0"], name="report", bare_image=True, worker=ANY)])
    assert bench.metadata("report")["practicus/exit_code"] == 0


def test_a_variable_that_no_process_can_be_given_is_refused_with_what_to_do() -> None:
    with pytest.raises(DeclarationError, match=r"PRACTICUS_PARTITION_KEYS.*multi_run"):
        refuse_long({"PRACTICUS_PARTITION_KEYS": "x" * 200_000})


def taken(chunks: list[bytes]) -> tuple[list[bytes], str]:
    messages: list[bytes] = []

    def take(line: bytes) -> bool:
        messages.append(line)
        return line.endswith(b"}")

    output = PodOutput(OutputStream(1, ["s3cret-word"]), take)
    for chunk in [*chunks, b""]:
        output.pass_on(chunk)
    return messages, output.tail()


MESSAGE = b'{"__dagster_pipes_version": "0.1", "method": "opened"}'


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_lines_that_are_messages_are_taken_from_the_output_however_it_is_cut(size: int) -> None:
    text = (
        b"one\n" + MESSAGE + b'\n{"__dagster} two\n {"__dagster_pipes_version"\nwith s3cret-word\n' + MESSAGE
    )
    messages, shown = taken([text[at : at + size] for at in range(0, len(text), size)])
    assert messages == [MESSAGE, MESSAGE]
    assert shown == 'one\n{"__dagster} two\n {"__dagster_pipes_version"\nwith ***'


def test_a_line_that_only_begins_like_a_message_is_shown() -> None:
    messages, shown = taken([b'{"__dagster_pipes_version": broken\nnext\n'])
    assert len(messages) == 1
    assert shown == '{"__dagster_pipes_version": broken\nnext'

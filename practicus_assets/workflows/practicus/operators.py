"""Operators of Airflow: what runs instead of those that run no file of the folder."""

import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta

from practicus_assets.workflows.practicus.syntax.node import Node

_TIMES = {"poke_interval": ("--interval", 60), "timeout": ("--timeout", 604_800)}  # Airflow's defaults, s


def command_of(node: Node, gates: Mapping[str, str], unread: list[str]) -> list[str]:
    """Return what runs instead of an operator: never nothing, for what comes after would not wait.

    Args:
        node: the operator.
        gates: the URL that a sensor waits for, by its task id.
        unread: takes what of the operator has no counterpart, as sentences.

    """
    if node.operator == "BashOperator" and isinstance(node.arguments.get("bash_command"), str):
        command = str(node.arguments["bash_command"])
        # one that ends in .sh is a file of templates
        if not any(mark in command for mark in ("{{", "{%", "{#")) and not command.endswith((".sh", ".bash")):
            _say_others(node, {"bash_command"}, unread)
            return ["bash", "-c", command]
    if node.operator in {"EmptyOperator", "DummyOperator"}:
        _say_others(node, set(), unread)
        return ["true"]
    if node.task_id in gates:
        words = [sys.executable, "-u", "-m", "practicus_assets.tasks.gate", gates[node.task_id]]
        _say_others(node, {*_TIMES, "endpoint", "http_conn_id", "mode"}, unread)
        for name, (option, default) in _TIMES.items():
            value = node.arguments.get(name, default)
            value = value.total_seconds() if isinstance(value, timedelta) else value
            if not isinstance(value, int | float):
                unread.append(f"{name} of {node.task_id}, {value}, only a run would tell: it is {default} s")
                value = default
            words += [option, str(value)]
        return words
    advice = "give its URL in gates" if node.operator.endswith("Sensor") else "write it as a task"
    unread.append(f"{node.task_id} is a {node.operator}, which has no counterpart: it fails; {advice}")
    told = f"{node.task_id} is a {node.operator} of Airflow, which has no counterpart: {advice}."
    return ["bash", "-c", 'echo "$0" >&2; exit 1', told]


def _say_others(node: Node, read: AbstractSet[str], unread: list[str]) -> None:
    others = [name for name in node.arguments if name not in read]
    unread.extend(f"{name} of {node.task_id} has no counterpart" for name in others)

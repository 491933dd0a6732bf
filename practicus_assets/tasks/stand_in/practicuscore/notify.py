"""Notifications, which go to the task's output."""

import logging
from typing import Any

from .absent import refusal


def send(recipients: Any = None, title: str = "", body: str = "", level: str = "info", **_: Any) -> None:
    """Write a notification to the log of the task."""
    to = f" for {recipients}" if recipients else ""
    number = logging.getLevelNamesMapping().get(str(level).upper(), logging.INFO)
    logging.getLogger("practicuscore").log(number, "notification%s: %s %s", to, title, body)


def __getattr__(name: str) -> Any:
    raise refusal(f"practicuscore.notify.{name}")

"""Receivers: who is told. What all of them have in common, and the log, which is the simplest."""

import logging
from typing import TYPE_CHECKING, Any, Protocol

import dagster as dg

from practicus_assets.errors import DeclarationError

if TYPE_CHECKING:
    from practicus_assets.notifications.message import Message

_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "ok": logging.INFO}


class Receiver(Protocol):
    """Who takes messages. A class of your own needs a name and `send`, and no more."""

    @property
    def name(self) -> str:
        """How the sensor's log and cursor call it; the same from tick to tick, and no secret."""

    def send(self, message: "Message", log: logging.Logger) -> None:
        """Send a message, or raise what kept it from being sent; it is tried again later."""


class Log:
    """Writes messages into the log of the sensor's ticks, which the code server's output shows, too."""

    name = "log"

    def send(self, message: "Message", log: logging.Logger) -> None:
        """Write a message."""
        log.log(_LEVELS[message.level], "%s", message.text)

    def __repr__(self) -> str:
        return "Log()"


def text_of(value: Any, what: str) -> str:
    """Return a setting's value: of an environment variable, what it holds now.

    Args:
        value: a text, or a `dg.EnvVar`.
        what: the setting, as an error calls it.

    Raises:
        DeclarationError: if the environment variable is not set.

    """
    if not isinstance(value, dg.EnvVar):
        return str(value)
    text = value.get_value()
    if not text:
        raise DeclarationError(
            f"{what} comes from the environment variable {value.env_var_name}, which is not set.",
            "Set it where the code server runs.",
        )
    return text


def refuse_no_text(value: Any, what: str, example: str) -> None:
    """Raise DeclarationError for a setting that is no text and no `dg.EnvVar`; its value is not shown."""
    if not isinstance(value, str) or not value:  # an EnvVar is a text
        raise DeclarationError(f"{what} is no text.", example)


def seconds_of(value: Any, what: str) -> float:
    """Return a time limit; raise DeclarationError for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 60:  # noqa: PLR2004
        raise DeclarationError(f"{what} is {value!r}.", "Write seconds, more than 0 and at most 60.")
    return float(value)

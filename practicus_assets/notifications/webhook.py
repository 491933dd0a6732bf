"""Webhooks: messages as JSON by HTTP, for Slack and what takes the same, or for programs."""

import base64
import http.client
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from practicus_assets.errors import DeclarationError, NotificationFailed, did_you_mean
from practicus_assets.notifications.message import Message
from practicus_assets.notifications.receiver import refuse_no_text, seconds_of, text_of
from practicus_assets.parameters import named_parameters

_FORMATS = ("slack", "json")
_REPLY = 200  # bytes of an answer that an error shows


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: it would turn the message into a request without one."""

    def redirect_request(self, *_: Any) -> None:
        """Return no further request, so that the answer is an error."""


@named_parameters
@dataclass(frozen=True)
class Webhook:
    """A receiver that posts messages to an address.

    Attributes:
        url: the address; one that is a secret, as Slack's are, is a `dg.EnvVar`.
        format: "slack" for `text` and `blocks`, which Slack, Mattermost, Rocket.Chat and others take; "json"
            for `id`, `level`, `title`, `text`, `url`, `owners` and `count`.
        headers: further headers, by name; secrets are `dg.EnvVar`.
        timeout_seconds: how long the receiver may take to answer.
        name: how the sensor's log calls it; two webhooks need two names.

    """

    url: str = field(repr=False)
    format: Literal["slack", "json"] = "slack"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    timeout_seconds: float = 10
    name: str = "webhook"

    def __post_init__(self) -> None:
        """Refuse what no message could be sent to.

        Raises:
            DeclarationError: naming the setting.

        """
        refuse_no_text(self.url, "the webhook's url", 'Write url=dg.EnvVar("SLACK_WEBHOOK_URL").')
        if self.format not in _FORMATS:
            raise DeclarationError(
                f"the webhook's format is {self.format!r}.",
                did_you_mean(self.format, _FORMATS, "slack or json."),
            )
        seconds_of(self.timeout_seconds, "the webhook's timeout_seconds")

    def send(self, message: Message, log: logging.Logger) -> None:  # noqa: ARG002 a Receiver
        """Post a message; 2xx says that it was taken.

        Raises:
            NotificationFailed: without the address, which may be a secret.
            DeclarationError: if the address is none, or an environment variable is not set.

        """
        url = text_of(self.url, f"the url of {self.name}")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise DeclarationError(f"the url of {self.name} is no http or https address.", "Correct it.")
        headers = {
            name: text_of(value, f"the header {name} of {self.name}") for name, value in self.headers.items()
        }
        if parts.username or parts.password:
            login = base64.b64encode(f"{parts.username or ''}:{parts.password or ''}".encode()).decode()
            headers.setdefault("Authorization", f"Basic {login}")
            host = parts.hostname + (f":{parts.port}" if parts.port else "")
            url = parts._replace(netloc=host).geturl()
        body = json.dumps(message.slack() if self.format == "slack" else message.json()).encode()
        request = urllib.request.Request(  # noqa: S310 http and https alone
            url, body, {"Content-Type": "application/json", "User-Agent": "practicus-assets", **headers}
        )
        opener = urllib.request.build_opener(_NoRedirects)
        try:
            with opener.open(request, timeout=self.timeout_seconds) as answer:
                answer.read(_REPLY)
        except urllib.error.HTTPError as error:
            with error:
                said = _said(error)
            raise NotificationFailed(
                f"the receiver answered with {error.code}{said}.", _advice(error.code)
            ) from None
        except TimeoutError:
            raise NotificationFailed(
                f"the receiver did not answer within {self.timeout_seconds:g} s."
            ) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise NotificationFailed(f"the receiver cannot be reached: {_kind(reason)}.") from None


def _said(error: urllib.error.HTTPError) -> str:
    """Return the first words of an answer that are plain: `no_team`, `invalid_payload`."""
    try:
        text = error.read(_REPLY).decode("ascii").strip()
    except (OSError, UnicodeDecodeError, http.client.HTTPException):
        return ""
    return f", {text}" if text.replace("_", "").isalnum() else ""


def _advice(code: int) -> str:
    if code in {401, 403, 404, 410}:
        return "Look whether its url and headers still hold."
    return "It redirects: give it the url that it redirects to." if code // 100 == 3 else ""  # noqa: PLR2004


def _kind(reason: object) -> str:
    """Return what went wrong without the address: the system's words, or the class."""
    words = getattr(reason, "strerror", None)
    if isinstance(reason, TimeoutError):
        return "it did not answer in time"
    return str(words) if words else type(reason).__name__

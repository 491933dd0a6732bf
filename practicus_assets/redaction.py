"""Redaction: which settings are secrets by their names, and texts without them."""

import os
import re
from collections.abc import Mapping
from urllib.parse import quote

# in texts, too much is hidden rather than too little; the probe has a copy, for it runs without the package
HIDDEN_NAMES = (
    r"secret|key|token|passw|pwd|sas|credential|client|auth|signature|connection_string|service_account"
)
SHORTEST_SECRET = 4  # characters; shorter values stand in many texts
# a declaration is refused only for what is a secret beyond doubt: a PARTITION_KEY is none
_CERTAIN = re.compile(
    r"(PASSWORD|PASSWD|_PWD|SECRET|TOKEN|CREDENTIALS?|(API|ACCESS|PRIVATE|ACCOUNT)_?KEY)$", re.IGNORECASE
)
_LONGEST_ERROR = 500
_POSSIBLE = re.compile(HIDDEN_NAMES, re.IGNORECASE)
_LOGIN = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_USER = re.compile(r"//[^/\s@]+@")


def is_secret(name: str, value: str) -> bool:
    """Return whether a setting is a secret beyond doubt: by its name, or by a URL with a password."""
    return bool(_CERTAIN.search(name) or _LOGIN.search(value))


def passwords_in(text: str) -> list[str]:
    """Return the passwords of the URLs in a text."""
    return _LOGIN.findall(text)


def may_be_secret(name: str) -> bool:
    """Return whether the value of a setting of this name must not be shown."""
    return bool(_POSSIBLE.search(name))


def redacted(text: str, settings: Mapping[str, str]) -> str:
    """Return a text without the values of settings that may be secrets, and without logins in URLs.

    Args:
        text: the text.
        settings: values by name, such as storage options.

    """
    for name, value in settings.items():
        if len(value) >= SHORTEST_SECRET and may_be_secret(name):
            for form in (value, quote(value, safe="")):
                text = text.replace(form, "***")
    return _USER.sub("//***@", text)


def description(error: BaseException) -> str:
    """Return the class and the text of a foreign error in one line, without the environment's secrets."""
    text = redacted(f"{type(error).__name__}: {error}", os.environ)
    return " ".join(text.split()).rstrip(".: ")[:_LONGEST_ERROR]

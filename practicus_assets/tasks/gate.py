"""Gates: `python -m practicus_assets.tasks.gate URL` ends once a URL says that work may begin.

That is an answer 2xx, whose body, if it is a JSON object with `ok`, says true. Exit code 1 after the timeout.
"""

import argparse
import http.client
import json
import sys
import time
import urllib.error
import urllib.request

_ANSWER_S = 30.0
_LONGEST_ANSWER = 4 * 2**20  # bytes


def main() -> int:
    """Wait for the URL that the arguments name."""
    parser = argparse.ArgumentParser(prog="practicus_assets.tasks.gate")
    parser.add_argument("url")
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between two requests")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds after which it fails")
    asked = parser.parse_args()
    deadline = time.monotonic() + asked.timeout
    said = ""
    while True:
        is_open, answer = _ask(asked.url)
        if answer != said:
            sys.stdout.write(f"{answer}\n")
            said = answer
        if is_open:
            return 0
        left = deadline - time.monotonic()
        if left <= 0:
            sys.stderr.write(f"the gate did not open within {asked.timeout:g} s\n")
            return 1
        time.sleep(min(asked.interval, left))


def _ask(url: str) -> tuple[bool, str]:
    if not url.startswith(("http://", "https://")):
        sys.exit("a gate is a URL that begins with http:// or https://")
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_S) as response:  # noqa: S310 http alone, see above
            body = response.read(_LONGEST_ANSWER + 1)
    except urllib.error.HTTPError as error:
        error.close()
        return False, f"the gate answers {error.code}"
    except (OSError, http.client.HTTPException) as error:
        return False, f"the gate does not answer: {type(error).__name__}"
    if len(body) > _LONGEST_ANSWER:
        return False, f"the gate answers more than {_LONGEST_ANSWER} bytes, which may say anything"
    try:
        answer = json.loads(body)
    except ValueError:
        return True, "the gate is open"
    if isinstance(answer, dict) and "ok" in answer and answer["ok"] is not True:
        return False, f"the gate is closed: {answer.get('error', answer['ok'])}"
    return True, "the gate is open"


if __name__ == "__main__":
    sys.exit(main())

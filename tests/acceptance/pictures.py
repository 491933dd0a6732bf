"""Pictures of pages for the docs, each with the texts that the docs rely on."""

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, FloatRect, Locator, Page

from tests.acceptance.deployment import ROOT

FOLDER = ROOT / "docs" / "images"
_TARGET = os.environ.get("SCREENSHOTS", "")  # make screenshots names docs/images
_KEYWORD = b"Description\0"
_WIDTH, _HEIGHT = 1280, 800
_MARGIN = 95  # pixels around what is cut out


class Camera:
    """A page as the docs show it: as wide as their column can show it, and without the navigation's names.

    Args:
        browser: the browser.
        url: the webserver.
        folder: the folder for pictures, unless they are to be written anew.

    """

    def __init__(self, browser: Browser, url: str, folder: Path) -> None:
        self.page: Page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
        self.page.add_init_script("localStorage.setItem('dagster-nav-collapsed', 'true')")
        self._url, self._folder = url, Path(_TARGET) if _TARGET else folder

    def visit(self, path: str) -> None:
        """Go to a page."""
        self.page.goto(f"{self._url}{path}")

    def take(self, name: str, texts: Sequence[str], *, cut: bool = False, height: int = _HEIGHT) -> None:
        """Take a picture once the page shows the texts, and compare them with those of the docs' picture.

        Args:
            name: the file's name without its ending.
            texts: what the docs say that the page shows.
            cut: whether only what is around the texts is in the picture.
            height: of the picture, in pixels from the page's top; below may be paths of the machine.

        """
        shown = [self.page.get_by_text(text).locator("visible=true").last for text in texts]
        for each in shown:
            each.wait_for(timeout=60_000)
        whole: FloatRect = {"x": 0, "y": 0, "width": _WIDTH, "height": height}
        picture = self._still(_around(shown) if cut else whole)
        (self._folder / f"{name}.png").write_bytes(with_description(picture, "\n".join(texts)))
        committed = FOLDER / f"{name}.png"
        assert description(committed.read_bytes()) == "\n".join(texts), f"{committed}: run make screenshots"

    def _still(self, clip: FloatRect) -> bytes:
        """Return a picture of the page once nothing changes on it: statuses come after the texts."""
        picture = b""
        for _ in range(20):
            former, picture = picture, self.page.screenshot(animations="disabled", clip=clip)
            if former == picture:
                break
            self.page.wait_for_timeout(1_500)
        return picture


def with_description(png: bytes, text: str) -> bytes:
    """Return a PNG file that says in words what it shows, after its header."""
    chunk = b"tEXt" + _KEYWORD + text.encode("latin-1")
    end = 8 + 25  # the signature, and the header
    return (
        png[:end]
        + struct.pack(">I", len(chunk) - 4)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + png[end:]
    )


def description(png: bytes) -> str:
    """Return what `with_description` wrote into a PNG file."""
    length, kind = struct.unpack(">I4s", png[33:41])
    text = png[41 : 41 + length]
    assert kind == b"tEXt"
    assert text.startswith(_KEYWORD)
    return text.removeprefix(_KEYWORD).decode("latin-1")


def _around(shown: Sequence[Locator]) -> FloatRect:
    """Return the smallest rectangle with all of that and a margin."""
    boxes = [box for each in shown if (box := each.bounding_box()) is not None]
    left, top = (min(box[side] for box in boxes) - _MARGIN for side in ("x", "y"))
    right = max(box["x"] + box["width"] for box in boxes) + _MARGIN
    bottom = max(box["y"] + box["height"] for box in boxes) + _MARGIN
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}

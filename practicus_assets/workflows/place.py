"""Places in a text that is read and never run: errors show the line, and point into it."""

import ast
import re

from practicus_assets.errors import DeclarationError

_LINE_END = re.compile(r"\r\n|\r|\n")  # those of Python; str.splitlines knows more
_LONGEST_LINE = 160
_STRING = re.compile(r"(['\"])(?:\\.|(?!\1).)*\1")


class Source:
    """A text, as its reader sees it.

    Args:
        text: the text.
        hides_strings: whether strings in it are shown without their content, which may be a password.

    """

    def __init__(self, text: str, *, hides_strings: bool = False) -> None:
        self._lines = _LINE_END.split(text)
        self._hides_strings = hides_strings

    def error(self, node: ast.expr | ast.stmt, problem: str, advice: str) -> DeclarationError:
        """Return an error that points at a node of the text's syntax tree."""
        line = self._line(node.lineno)
        column = len(line.encode()[: node.col_offset].decode(errors="replace"))  # it counts bytes
        return self.error_at(node.lineno, column, problem, advice)

    def error_at(self, line: int, column: int, problem: str, advice: str) -> DeclarationError:
        """Return an error that points at a character.

        Args:
            line: its line, from 1.
            column: its column, from 0.
            problem: what is wrong, without a full stop.
            advice: what to do.

        """
        text = self._line(line)
        before = "".join("\t" if character == "\t" else " " for character in text[:column].ljust(column))
        if self._hides_strings:
            text = _STRING.sub(lambda found: found[1] + "…" * (len(found[0]) - 2) + found[1], text)
        if len(text) > _LONGEST_LINE:
            start = max(0, column - _LONGEST_LINE // 2)
            text, before = text[start : start + _LONGEST_LINE], before[start:]
        return DeclarationError(f"{problem} (line {line}):\n    {text}\n    {before}^\n", advice)

    def _line(self, number: int) -> str:
        return self._lines[number - 1] if number <= len(self._lines) else ""

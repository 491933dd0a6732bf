"""What is left out: what a contract promises and its file cannot say, or the other way round."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from practicus_assets.errors import DeclarationError
from practicus_assets.wording import number_of

Unkept = Literal["refuse", "warn"]

_SHOWN = 8


@dataclass(frozen=True)
class LeftOut:
    """Something that is left out.

    Attributes:
        where: its place: the table, the column, and what it is called there.
        why: what it is, or why it has no counterpart, in a few words; empty where the place says it.
        is_promise: whether rows could break it; otherwise it is documentation.
        rule: the name of the rule that would keep it, where the file says it in words, SQL or code.

    """

    where: str
    why: str = ""
    is_promise: bool = False
    rule: str = ""

    def __str__(self) -> str:
        return f"{self.where} ({self.why})" if self.why else self.where


class ContractFileWarning(UserWarning):
    """A contract was read from a file, or written to one, and something of it was left out.

    Attributes:
        left_out: what was left out.

    """

    def __init__(self, text: str, left_out: Sequence[LeftOut] = ()) -> None:
        super().__init__(text)
        self.left_out = tuple(left_out)


class Notes:
    """Collects what is left out on the way.

    Attributes:
        left_out: it, in the order in which it was met.

    """

    def __init__(self) -> None:
        self.left_out: list[LeftOut] = []

    def promise(self, where: str, why: str = "", rule: str = "") -> None:
        """Take note of a promise that has no counterpart, but for a rule of some name."""
        self.left_out.append(LeftOut(where, why, is_promise=True, rule=rule))

    def documentation(self, where: str, why: str = "") -> None:
        """Take note of something that rows cannot break."""
        self.left_out.append(LeftOut(where, why))

    def settle(self, what: str, unkept: Unkept, advice: str, *, stacklevel: int) -> None:
        """Refuse promises that were left out, or warn of all.

        Args:
            what: what was read or written, as the beginning of a sentence.
            unkept: whether promises without a counterpart are refused, or warned of as the rest is.
            advice: what to do about promises that are refused.
            stacklevel: how far above the caller is whom the warning is for.

        Raises:
            DeclarationError: for promises, unless `unkept` is "warn".

        """
        if unkept not in get_args(Unkept):
            raise DeclarationError(f"unkept={unkept!r}.", 'Write "refuse" or "warn".')
        promises = [item for item in self.left_out if item.is_promise]
        if promises and unkept == "refuse":
            count = number_of(len(promises), "promise")
            raise DeclarationError(
                f"{what} has {count} without a counterpart: {_listed(promises)}.",
                f'{advice} With unkept="warn" they are left out, with a warning.',
            )
        if self.left_out:
            warnings.warn(
                ContractFileWarning(
                    f"{what} says more than is kept. Left out: {_listed(self.left_out)}.", self.left_out
                ),
                stacklevel=stacklevel + 1,
            )


def _listed(items: Sequence[LeftOut]) -> str:
    texts = list(dict.fromkeys(map(str, items)))
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {more} more" if more > 0 else "")

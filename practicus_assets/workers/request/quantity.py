"""Kubernetes quantities: amounts of CPU and memory as text, such as `500m` and `1Gi`.

The syntax is that of the Kubernetes API (reference, "Quantity").
"""

import re
from decimal import Decimal

_QUANTITY = re.compile(
    r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)|[eE]([+-]?[0-9]+))?"
)
_LARGE = 10  # from which on people read no tenths
_BINARY = {unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_FACTORS = {
    **_BINARY,
    **{unit: Decimal(10) ** (3 * power) for power, unit in enumerate("kMGTPE", 1)},
    "m": Decimal("1e-3"),
    "u": Decimal("1e-6"),
    "n": Decimal("1e-9"),
}


def amount(quantity: str) -> Decimal:
    """Return a quantity as a number: of cores, or of bytes.

    Raises:
        ValueError: if it is not written as Kubernetes wants it.

    """
    match = _QUANTITY.fullmatch(quantity)
    if match is None:
        raise ValueError(quantity)
    number, unit, exponent = match.groups()
    if exponent is not None:
        return Decimal(number) * Decimal(10) ** int(exponent)
    return Decimal(number) * _FACTORS.get(unit, Decimal(1))


def in_words(size: float) -> str:
    """Return a number of bytes as people read it, in a binary unit and about exactly: `1.1 Gi`, `512 Mi`."""
    units = [unit for unit, factor in _BINARY.items() if size >= factor]
    unit = units[-1] if units else "Ki"
    number = size / float(_BINARY[unit])
    return f"{number:.{0 if number >= _LARGE else 1}f}".removesuffix(".0") + f" {unit}"


def memory(size: Decimal | int) -> str:
    """Return a number of bytes as a quantity in the largest binary unit that tells it exactly."""
    whole = int(size)
    for unit in reversed(_BINARY):
        if whole and whole % int(_BINARY[unit]) == 0:
            return f"{whole // int(_BINARY[unit])}{unit}"
    return str(whole)
